//! The events of `Streams`. There are no others: clients end a channel over an event that they do
//! not know.

use crate::id::StreamId;
use crate::wire::{MessageWriter, Output};

/// Writes `created`: type, stream ID, context ID or `null`.
pub fn created(
    output: &mut Output,
    zero_copy: bool,
    stream_type: &str,
    stream: StreamId,
    context: Option<&str>,
) {
    let writer = MessageWriter::event(output, zero_copy, "Streams", "created")
        .string(stream_type)
        .string(&stream.to_string());
    match context {
        Some(context) => writer.string(context).end(),
        None => writer.null().end(),
    }
}

/// Writes `disposed`: type, stream ID.
pub fn disposed(output: &mut Output, zero_copy: bool, stream_type: &str, stream: StreamId) {
    let writer = MessageWriter::event(output, zero_copy, "Streams", "disposed");
    writer.string(stream_type).string(&stream.to_string()).end();
}
