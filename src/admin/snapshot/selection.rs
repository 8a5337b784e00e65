//! What a request wants to see of `/stats`.

use crate::admin::query::{BadQuery, Query};
use crate::admin::snapshot::{Joined, StreamContext};
use crate::id::StreamId;
use crate::stream::ReaderReport;
use crate::worker::ChannelReport;

/// In which order rows come, the largest first. Rows that are equal stay in the order of age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    /// Oldest first.
    #[default]
    Age,
    /// By the lag of the reader that is furthest back.
    Lag,
    /// By bytes that come in.
    Rate,
    /// By how full the buffer is.
    Fill,
    /// By bytes lost.
    Lost,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Selection {
    /// This stream, with its readers and their channels.
    pub(crate) stream: Option<StreamId>,
    pub(crate) sort: Sort,
    /// At most so many streams, readers of each, and channels.
    pub(crate) top: Option<usize>,
}

impl Selection {
    /// Reads `stream`, `sort` and `top`.
    ///
    /// # Errors
    /// Says which parameter is wrong and what it may be.
    pub(crate) fn parse(query: &str) -> Result<Selection, BadQuery> {
        let mut query = Query::parse(query)?;
        let selection = Selection {
            stream: query.take_with("stream", "a stream ID such as VS7", |text| {
                StreamId::parse(text.as_bytes())
            })?,
            sort: query
                .take_with("sort", "one of age, lag, rate, fill, lost", Sort::parse)?
                .unwrap_or_default(),
            top: query.take_with("top", "a number from 1", |text| {
                text.parse().ok().filter(|top| *top > 0)
            })?,
        };
        query.end(&["stream", "sort", "top"])?;
        Ok(selection)
    }
}

impl Sort {
    fn parse(text: &str) -> Option<Sort> {
        Some(match text {
            "age" => Sort::Age,
            "lag" => Sort::Lag,
            "rate" => Sort::Rate,
            "fill" => Sort::Fill,
            "lost" => Sort::Lost,
            _ => return None,
        })
    }

    /// What streams are sorted by.
    pub(crate) fn of_stream(self, row: &Joined) -> u64 {
        match self {
            Sort::Age => 0,
            Sort::Lag => row.largest_lag(),
            Sort::Rate => row.context().rate(),
            Sort::Fill => row.context().fill(),
            Sort::Lost => row.lost(),
        }
    }

    /// What the readers of a stream are sorted by.
    pub(crate) fn of_reader(self, stream: &StreamContext, reader: &ReaderReport) -> u64 {
        match self {
            Sort::Age => 0,
            Sort::Lost => reader.lost,
            _ => stream.lag(reader),
        }
    }

    /// What channels are sorted by.
    pub(crate) fn of_channel(self, channel: &ChannelReport) -> u64 {
        match self {
            Sort::Age => 0,
            Sort::Rate => channel.received_bytes + channel.sent_bytes,
            _ => channel.unsent_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_and_what_is_wrong_is_named() {
        assert_eq!(Selection::parse(""), Ok(Selection::default()));
        let all = Selection { stream: Some(StreamId(7)), sort: Sort::Lag, top: Some(10) };
        assert_eq!(Selection::parse("stream=VS7&sort=lag&top=10"), Ok(all));
        for (query, names) in [
            ("stream=7", "stream"),
            ("sort=size", "sort"),
            ("top=0", "top"),
            ("top=", "top"),
            ("limit=5", "limit"),
            ("top=1&top=2", "top"),
        ] {
            let error = Selection::parse(query).unwrap_err().to_string();
            assert!(error.contains(names) && error.starts_with("400: "), "{error}");
        }
    }
}
