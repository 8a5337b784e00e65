//! `Streams.connect`: attach to a stream at the oldest byte kept.

use crate::service::stream_name::StreamName;
use crate::service::{Call, Core};
use crate::stream::{Command, Flow};
use crate::wire::WireError;

/// Reads the stream ID.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = StreamName::read(&mut call.arguments)?;
    call.arguments.end()?;
    match name.id() {
        Some(stream) => Ok(core.execute(Command::Connect(stream))),
        None => {
            name.refuse_as_unknown(call.responder);
            Ok(Flow::Continue)
        }
    }
}
