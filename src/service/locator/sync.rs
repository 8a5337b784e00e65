//! `Locator.sync`: nothing but an answer, in order.

use crate::service::{Call, Core};
use crate::stream::Flow;
use crate::wire::WireError;

/// Answers with one empty error report: clients exist that end the channel over a reply without any
/// argument.
pub fn run(call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    call.arguments.end()?;
    call.responder.begin().error(None).end();
    Ok(Flow::Continue)
}
