//! `Streams.read`: take bytes from a stream, or wait for some.

use crate::service::stream_name::StreamName;
use crate::service::{Call, Core, error_code};
use crate::stream::{Command, Flow};
use crate::wire::WireError;

/// Reads stream ID and size; a size of -1 means "no limit".
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = StreamName::read(&mut call.arguments)?;
    let size = call.arguments.integer()?;
    call.arguments.end()?;
    match name.id() {
        Some(stream) => Ok(core.execute(Command::Read { stream, size })),
        None => {
            let text = name.no_such_stream();
            let writer = call.responder.begin_read_with_error(error_code::OTHER, &text);
            writer.integer(0).boolean(false).end();
            Ok(Flow::Continue)
        }
    }
}
