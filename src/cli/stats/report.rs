//! What `/stats` answers, as far as the tools show it.

use serde::Deserialize;

use crate::cli::table;
use crate::shown;

/// The whole answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) uptime_ms: u64,
    pub(crate) totals: Totals,
    pub(crate) streams: Vec<Stream>,
}

/// Sums over the broker.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    pub(crate) channels: u64,
    pub(crate) streams: u64,
    pub(crate) readers: u64,
    pub(crate) accepted_bytes: u64,
    pub(crate) delivered_bytes: u64,
    pub(crate) lost_bytes: u64,
    pub(crate) parked_writes: u64,
    pub(crate) held_bytes: u64,
    pub(crate) held_bytes_max: u64,
}

/// One stream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stream {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) stream_type: String,
    pub(crate) name: Option<String>,
    pub(crate) context_id: Option<String>,
    pub(crate) direction: String,
    pub(crate) buffer_size: u64,
    pub(crate) history: u64,
    pub(crate) stall_timeout: Option<u64>,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) buffered: u64,
    pub(crate) rate: u64,
    pub(crate) eos: bool,
    pub(crate) cut_off: bool,
    pub(crate) parked_writes: u64,
    pub(crate) parked_bytes: u64,
    pub(crate) full_ms: u64,
    pub(crate) held_by: Option<HeldBy>,
    pub(crate) owner: Option<String>,
    pub(crate) owner_says: Option<Says>,
    pub(crate) age_ms: u64,
    pub(crate) reader_count: u64,
    pub(crate) readers: Vec<Reader>,
}

/// What a peer says of itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Says {
    name: Option<String>,
    user: Option<String>,
    program: Option<String>,
}

/// The reader that a full stream waits for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct HeldBy {
    pub(crate) channel: String,
    pub(crate) peer: String,
    pub(crate) says: Option<Says>,
    pub(crate) away: bool,
    pub(crate) lag: u64,
    pub(crate) lag_ms: u64,
}

/// One reader.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reader {
    pub(crate) channel: String,
    pub(crate) peer: String,
    pub(crate) says: Option<Says>,
    pub(crate) away: bool,
    pub(crate) position: u64,
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) lag: u64,
    pub(crate) lag_ms: u64,
    pub(crate) pending_reads: u64,
    pub(crate) lagging: bool,
    pub(crate) stalled: bool,
}

/// The answer is not that of a broker.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not that of a broker's /stats: {0}")]
pub(crate) struct NoReport(#[from] serde_json::Error);

impl Report {
    /// Reads an answer.
    pub(crate) fn parse(body: &str) -> Result<Report, NoReport> {
        let mut report: Report = serde_json::from_str(body)?;
        for stream in &mut report.streams {
            for reader in &mut stream.readers {
                // A viewer is never waited for, so it never stalls: it is overtaken at once.
                reader.lagging |= reader.position < stream.start;
            }
        }
        Ok(report)
    }
}

/// The answer as it came, if it is JSON, with nothing in it that could steer the terminal.
pub(super) fn checked_json(body: &str) -> Result<String, NoReport> {
    serde_json::from_str::<serde::de::IgnoredAny>(body)?;
    Ok(shown::json(body).into_owned())
}

impl Says {
    /// What was said, in one line.
    fn text(&self) -> String {
        let parts = [&self.name, &self.user, &self.program];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// An address and who says to be there.
fn peer(address: &str, says: Option<&Says>) -> String {
    table::peer(address, says.map(Says::text).as_deref())
}

impl Stream {
    /// Who created it.
    pub(crate) fn owner(&self) -> String {
        peer(self.owner.as_deref().unwrap_or("-"), self.owner_says.as_ref())
    }

    /// The reader that is furthest back.
    pub(crate) fn slowest(&self) -> Option<&Reader> {
        self.readers.iter().max_by_key(|reader| reader.lag)
    }

    /// How full the buffer is, 0 to 100.
    pub(crate) fn fill_percent(&self) -> u64 {
        match self.buffer_size {
            0 => 0,
            size => (100 * u128::from(self.buffered) / u128::from(size)).min(100) as u64,
        }
    }

    /// Bytes that its readers lost.
    pub(crate) fn lost(&self) -> u64 {
        self.readers.iter().map(|reader| reader.lost).sum()
    }

    /// In a word.
    pub(crate) fn state(&self) -> &'static str {
        match (self.cut_off, self.eos) {
            (true, _) => "cut off",
            (false, true) => "ended",
            (false, false) => "live",
        }
    }
}

impl HeldBy {
    /// Who it is.
    pub(crate) fn peer(&self) -> String {
        let peer = peer(&self.peer, self.says.as_ref());
        if self.away { format!("{peer}, which is away") } else { peer }
    }
}

impl Reader {
    /// Who it is.
    pub(crate) fn peer(&self) -> String {
        peer(&self.peer, self.says.as_ref())
    }

    /// In a word.
    pub(crate) fn state(&self) -> &'static str {
        match (self.away, self.stalled, self.lagging) {
            (true, ..) => "away",
            (false, true, _) => "stalled",
            (false, false, true) => "lagging",
            (false, false, false) => "reading",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_that_was_overtaken_is_shown_as_one_that_lags() {
        let state = |position: u64| {
            let text = format!(
                r#"{{"streams":[{{"start":100,"readers":[{{"position":{position},"stall_timeout":0}}]}}]}}"#
            );
            Report::parse(&text).unwrap().streams[0].readers[0].state()
        };
        assert_eq!((state(100), state(99)), ("reading", "lagging"));
    }
}
