//! `StreamBroker.adopt`: become the creator of a keyed stream.

use crate::service::stream_name::StreamName;
use crate::service::{Call, Core};
use crate::stream::{Command, Flow, Reply};
use crate::wire::WireError;

/// Reads stream ID and key.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = StreamName::read(&mut call.arguments)?;
    let key = call.arguments.string()?;
    call.arguments.end()?;
    match name.id() {
        Some(stream) => Ok(core.execute(Command::Adopt { stream, key: &key })),
        None => {
            call.responder.answer(Reply::Adopted(Err(name.unknown())));
            Ok(Flow::Continue)
        }
    }
}
