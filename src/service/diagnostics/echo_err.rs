//! `Diagnostics.echoERR`: an error report comes back, with its text.

use serde_json::Value;

use crate::service::{Call, Core};
use crate::stream::Flow;
use crate::wire::{ErrorReport, WireError};

/// Answers with the report itself and what a person reads for it.
pub fn run(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let report = call.arguments.json()?;
    call.arguments.end()?;
    if !matches!(report, Value::Null | Value::Object(_)) {
        return Err(WireError::Protocol("an error report is an object or null".to_owned()));
    }
    let writer = call.responder.begin();
    match ErrorReport::describe(&report) {
        Some(text) => writer.json(&report).string(&text).end(),
        None => writer.error(None).string("Success").end(),
    }
    Ok(Flow::Continue)
}
