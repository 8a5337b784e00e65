//! Why a request cannot be served. The channel lives on.

use crate::access::Right;
use crate::id::StreamId;

/// A request that cannot be served. `service::error_code` maps each to its TCF code; the text here
/// is what the peer's user reads, so it carries no braces and no quotes that `MessageFormat` would
/// take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A command on a stream that the channel is not connected to (code 1).
    #[error("No such stream: {0}")]
    NotConnected(StreamId),
    /// `connect`, `attach`, `adopt` or `dispose` of a stream that does not exist, or an unknown
    /// subscription (code 16).
    #[error("Invalid context: {0}")]
    UnknownContext(String),
    /// `adopt` with a wrong key (code 16).
    #[error("Invalid context: the key does not open stream {0}")]
    WrongKey(StreamId),
    /// The channel's principal may not do that (code 1).
    #[error("Permission denied: {}", what_is_denied(*.0))]
    Denied(Right),
    /// A second subscription to one type (code 1).
    #[error("Already subscribed")]
    AlreadySubscribed,
    /// A read or a write against the stream's direction (code 23).
    #[error("Unsupported command: {0}")]
    WrongDirection(&'static str),
    /// A write after the end (code 9).
    #[error("End of file")]
    EndOfFile,
    /// The end came while a write larger than the stream's buffer was going in (code 9).
    #[error("End of file: {taken} of the {size} bytes of the write went in")]
    EndOfFileAfter {
        /// Bytes that are in the stream.
        taken: u64,
        /// The size of the write.
        size: u64,
    },
    /// The command was pending when its stream or channel went away (code 6).
    #[error("Command canceled")]
    Cancelled,
    /// A write larger than the stream's buffer was going in when its channel went away (code 6).
    #[error("Command canceled: {taken} of the {size} bytes of the write went in")]
    CancelledAfter {
        /// Bytes that are in the stream.
        taken: u64,
        /// The size of the write.
        size: u64,
    },
    /// A value out of range (code 20).
    #[error("Invalid number: {0}")]
    InvalidValue(String),
    /// A named bound is reached (code 4).
    #[error("Buffer overflow: {0}")]
    Limit(String),
}

impl Refusal {
    /// There is no such stream, or none that the channel may know of.
    pub(super) fn no_stream(id: StreamId) -> Refusal {
        Refusal::UnknownContext(format!("no stream {id}"))
    }
}

fn what_is_denied(right: Right) -> &'static str {
    match right {
        Right::See => "you may not see streams",
        Right::Read => "you may not read this stream",
        Right::Write => "you may not write to this stream",
        Right::Create => "you may not create or take over streams",
        Right::Manage => "you may not dispose streams of others",
    }
}
