//! `StreamBroker.confirm`: everything before an offset has arrived for good.

use crate::id::Offset;
use crate::service::stream_name::StreamName;
use crate::service::{Call, Core};
use crate::stream::{Command, Flow};
use crate::wire::WireError;

/// Reads stream ID and offset.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = StreamName::read(&mut call.arguments)?;
    let offset = call.arguments.integer()?;
    call.arguments.end()?;
    match name.id() {
        Some(stream) => Ok(core.execute(Command::Confirm(stream, Offset(offset)))),
        None => {
            name.refuse_as_not_connected(call.responder);
            Ok(Flow::Continue)
        }
    }
}
