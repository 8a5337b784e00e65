//! What can go wrong for a client.

use std::io;

use crate::shown;
use crate::wire::WireError;

/// Why a client cannot go on. All but [`ClientError::Call`] end the connection.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the address.
    #[error(
        "cannot reach a broker at {address}: {error}\n\
         is the broker running? start it with `weir`, or say where it is with --broker HOST:PORT"
    )]
    Unreachable {
        /// What was tried.
        address: String,
        /// What the system said. Part of the text, so no source of it.
        error: io::Error,
    },
    /// Somebody answers, but not as a TCF peer does.
    #[error(
        "{address} does not answer as a TCF peer: {reason}\n\
         give the port that the broker's first line names behind TCP:, not that of its dashboard"
    )]
    NotTcf {
        /// What was tried.
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The peer ended the channel, with the text of its report where it gave one.
    #[error("the broker closed the channel{}", reason(report))]
    Closed {
        /// What the peer said.
        report: Option<String>,
    },
    /// The connection broke without a word.
    #[error("the connection to the broker is lost: {}", breakage(.0))]
    Disconnected(io::Error),
    /// The peer's bytes make no sense.
    #[error("the broker's answer cannot be understood: {0}")]
    Misbehaved(#[from] WireError),
    /// A call failed; the connection lives on.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// An error in a reply to one command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{command}: {}", shown::line(text))]
pub struct CallError {
    /// The command, as `Service.name`.
    pub command: &'static str,
    /// The TCF code; 25 where the peer does not know the command.
    pub code: i64,
    /// What the peer said.
    pub text: String,
}

impl CallError {
    /// "Buffer overflow": a bound is reached.
    pub const LIMIT: i64 = 4;
    /// "Invalid number": a value out of range, or a property that does not exist.
    pub const BAD_VALUE: i64 = 20;
    /// "Command canceled": it was pending when its stream or channel went away.
    pub const CANCELLED: i64 = 6;
    /// "End of file": the stream has been ended.
    pub const END_OF_FILE: i64 = 9;
    /// "Invalid context": the stream does not exist.
    pub const INVALID_CONTEXT: i64 = 16;
    /// "Unsupported command": a read or a write against the stream's direction.
    pub const UNSUPPORTED: i64 = 23;
    /// "Command is not recognized".
    pub const NOT_RECOGNIZED: i64 = 25;
}

impl ClientError {
    /// The TCF code where a call failed.
    pub fn call_code(&self) -> Option<i64> {
        match self {
            ClientError::Call(error) => Some(error.code),
            _ => None,
        }
    }
}

/// What the peer said at its end, behind a colon.
fn reason(report: &Option<String>) -> String {
    report.as_ref().map(|report| format!(": {}", shown::line(report))).unwrap_or_default()
}

fn breakage(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it was closed without a word".to_owned(),
        _ => error.to_string(),
    }
}
