//! `Diagnostics.createTestStreams`: a pair of streams, the second giving what the first was given.

use crate::service::{Call, Core, error_code};
use crate::stream::{Command, Flow};
use crate::wire::WireError;

/// Reads the two buffer sizes, which must be positive as signed numbers.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let input_bytes = call.arguments.integer()?;
    let output_bytes = call.arguments.integer()?;
    call.arguments.end()?;
    if input_bytes as i64 <= 0 || output_bytes as i64 <= 0 {
        let writer = call.responder.begin_with_error(error_code::INV_NUMBER, "Invalid number");
        writer.null().null().end();
        return Ok(Flow::Continue);
    }
    Ok(core.execute(Command::CreateTestStreams { input_bytes, output_bytes }))
}
