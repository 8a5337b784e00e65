//! What a request wants to see of `/stats`.

use crate::admin::query::{BadQuery, Query};
use crate::admin::snapshot::Snapshot;
use crate::admin::snapshot::rows::{ChannelRow, ReaderRow, StreamRow};
use crate::id::StreamId;

/// In which order rows come, the largest first. Rows that are equal stay in the order of age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    /// Leaves in `snapshot` what is wanted. False where the stream does not exist.
    pub(crate) fn apply(&self, snapshot: &mut Snapshot) -> bool {
        if let Some(stream) = self.stream {
            let id = stream.to_string();
            snapshot.streams.retain(|row| row.id == id);
            snapshot.unmatched_readers.retain(|row| row.stream == id);
            let rows = snapshot.streams.iter().flat_map(|row| &row.readers);
            let readers = rows.chain(&snapshot.unmatched_readers);
            let named: Vec<String> = readers.map(|row| row.channel.clone()).collect();
            snapshot.channels.retain(|row| named.contains(&row.id));
        }
        // Stable sorts: what is equal stays in the order of age.
        if self.sort != Sort::Age {
            snapshot.streams.sort_by_key(|row| std::cmp::Reverse(self.sort.of_stream(row)));
            for row in &mut snapshot.streams {
                row.readers.sort_by_key(|row| std::cmp::Reverse(self.sort.of_reader(row)));
            }
            snapshot.channels.sort_by_key(|row| std::cmp::Reverse(self.sort.of_channel(row)));
        }
        let exists = self.stream.is_none() || !snapshot.streams.is_empty();
        if let Some(top) = self.top {
            snapshot.streams.truncate(top);
            for row in &mut snapshot.streams {
                row.readers.truncate(top);
            }
            snapshot.unmatched_readers.truncate(top);
            snapshot.channels.truncate(top);
        }
        exists
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

    fn of_stream(self, row: &StreamRow) -> u64 {
        match self {
            Sort::Age => 0,
            Sort::Lag => row.largest_lag(),
            Sort::Rate => row.rate,
            Sort::Fill => row.fill(),
            Sort::Lost => row.lost(),
        }
    }

    fn of_reader(self, row: &ReaderRow) -> u64 {
        match self {
            Sort::Lost => row.lost,
            _ => row.lag,
        }
    }

    fn of_channel(self, row: &ChannelRow) -> u64 {
        match self {
            Sort::Rate => row.received_bytes + row.sent_bytes,
            _ => row.unsent_bytes,
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
