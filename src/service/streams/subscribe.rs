//! `Streams.subscribe`: hear of streams of a type.

use crate::service::{Call, Core};
use crate::stream::{Command, Flow};
use crate::wire::WireError;

/// Reads the type: any string, `"*"` for every type; `null` and `""` are one.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let stream_type = call.arguments.string()?;
    call.arguments.end()?;
    Ok(core.execute(Command::Subscribe(&stream_type)))
}
