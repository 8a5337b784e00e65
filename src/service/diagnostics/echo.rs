//! `Diagnostics.echo`: a string comes back, byte for byte.

use crate::service::{Call, Core};
use crate::stream::Flow;
use crate::wire::WireError;

/// Answers with the string alone: the reply has no error report. The reference takes up to 4095
/// bytes, we whatever the bound on arguments lets through.
pub fn run(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let text = call.arguments.required_bytes()?;
    call.arguments.end()?;
    call.responder.begin().byte_string(&text).end();
    Ok(Flow::Continue)
}
