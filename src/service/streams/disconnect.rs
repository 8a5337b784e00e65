//! `Streams.disconnect`: leave a stream.

use crate::service::stream_name::StreamName;
use crate::service::{Call, Core};
use crate::stream::{Command, Flow};
use crate::wire::WireError;

/// Reads the stream ID.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = StreamName::read(&mut call.arguments)?;
    call.arguments.end()?;
    match name.id() {
        Some(stream) => Ok(core.execute(Command::Disconnect(stream))),
        None => {
            name.refuse_as_not_connected(call.responder);
            Ok(Flow::Continue)
        }
    }
}
