//! `Locator.getAgentID`: the UUID of this process.

use crate::service::{Call, Core};
use crate::stream::Flow;
use crate::wire::WireError;

/// Answers with error report and UUID.
pub fn run(call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    call.arguments.end()?;
    call.responder.begin().error(None).string(&call.identity.agent_id).end();
    Ok(Flow::Continue)
}
