//! `Streams.write`: append bytes to a stream.

use crate::service::stream_name::StreamName;
use crate::service::{Call, Core, error_code};
use crate::stream::{Command, Flow, Payload};
use crate::wire::{Binary, WireError};

/// Reads stream ID, size and data. A size that does not match the data is refused here, before
/// anything of it could be written or parked; that refuses every negative size with it.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = StreamName::read(&mut call.arguments)?;
    let size = call.arguments.integer()?;
    let data = match call.arguments.binary()? {
        Binary::Borrowed(slice) => Payload::Borrowed(slice),
        Binary::Owned(bytes) => Payload::Owned(bytes),
    };
    call.arguments.end()?;
    if size != data.len() as u64 {
        call.responder.begin_with_error(error_code::INV_DATA_SIZE, "Invalid data size").end();
        return Ok(Flow::Continue);
    }
    match name.id() {
        Some(stream) => Ok(core.execute(Command::Write { stream, data })),
        None => {
            name.refuse_as_not_connected(call.responder);
            Ok(Flow::Continue)
        }
    }
}
