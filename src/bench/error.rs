//! What can end a load before its time.

use std::io;

use crate::shown;
use crate::wire::WireError;

/// Why a load failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Nobody answers at the server's address.
    #[error("cannot reach a server at {address}: {error}\nis it running? say where: HOST:PORT")]
    Unreachable {
        /// What was tried.
        address: String,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody answers, but not as a TCF peer does.
    #[error("{address} does not answer as a TCF peer: {reason}\ngive the port that it has for TCF")]
    NotTcf {
        /// What was tried.
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A connection broke in the middle, or could not be used.
    #[error("a connection to the server broke: {0}")]
    Broken(#[from] io::Error),
    /// The server ended a connection in good order.
    #[error("the server closed a connection{}", reason(report))]
    Closed {
        /// Its reason, where it gave one.
        report: Option<String>,
    },
    /// The server refused a command.
    #[error("the server refused {command}: {}", shown::line(text))]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        text: String,
    },
    /// The server's bytes make no sense.
    #[error("the server's answer cannot be understood: {0}")]
    Misbehaved(String),
    /// Bytes did not reach a reader.
    #[error("{0} bytes were lost")]
    Lost(u64),
    /// A reader got other bytes than were written.
    #[error("stream {stream} has wrong bytes near offset {offset}")]
    Wrong {
        /// Which stream of the load, counted from 0.
        stream: usize,
        /// Where, counted from the first byte written.
        offset: u64,
    },
    /// Nothing moved for a long time.
    #[error("stuck: {0}")]
    Stuck(String),
    /// The plan cannot be carried out.
    #[error("{0}")]
    Plan(String),
}

/// What the server said at its end, behind a colon.
fn reason(report: &Option<String>) -> String {
    report.as_ref().map(|report| format!(": {}", shown::line(report))).unwrap_or_default()
}

impl From<WireError> for BenchError {
    fn from(error: WireError) -> BenchError {
        BenchError::Misbehaved(error.to_string())
    }
}
