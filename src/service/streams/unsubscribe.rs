//! `Streams.unsubscribe`: hear no more of streams of a type.

use crate::service::{Call, Core};
use crate::stream::{Command, Flow};
use crate::wire::WireError;

/// Reads the type.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let stream_type = call.arguments.string()?;
    call.arguments.end()?;
    Ok(core.execute(Command::Unsubscribe(&stream_type)))
}
