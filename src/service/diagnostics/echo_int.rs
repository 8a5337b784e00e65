//! `Diagnostics.echoINT`: an integer comes back.

use crate::service::{Call, Core};
use crate::stream::Flow;
use crate::wire::WireError;

/// Reads the type (0 and 2 signed, 1 and 3 unsigned) and the integer. Answers with the integer
/// alone: the reply has no error report. The 64-bit reference does not narrow the types called 32
/// bits wide.
pub fn run(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let kind = call.arguments.integer()?;
    if kind > 3 {
        return Err(WireError::Json(format!("integer type {kind} is none of 0 to 3")));
    }
    let number = call.arguments.integer()?;
    call.arguments.end()?;
    let writer = call.responder.begin();
    if kind == 0 || kind == 2 {
        writer.raw(itoa::Buffer::new().format(number as i64).as_bytes()).end();
    } else {
        writer.integer(number).end();
    }
    Ok(Flow::Continue)
}
