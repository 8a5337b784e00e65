//! The tests that a target runs on itself: a broker has none. The commands are there so that
//! clients which ask first find that out in the ordinary way.

use serde_json::Value;

use crate::service::{Call, Core, error_code};
use crate::stream::Flow;
use crate::wire::WireError;

/// `getTestList`: error report and an empty array.
pub fn get_test_list(call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    call.arguments.end()?;
    call.responder.begin().error(None).json(&Value::Array(Vec::new())).end();
    Ok(Flow::Continue)
}

/// `runTest`: no test has that name.
pub fn run_test(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = call.arguments.string()?;
    call.arguments.end()?;
    let text = format!("No such test: {name}");
    call.responder.begin_with_error(error_code::OTHER, &text).null().end();
    Ok(Flow::Continue)
}

/// `cancelTest`: no test runs.
pub fn cancel_test(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let context = call.arguments.string()?;
    call.arguments.end()?;
    let text = format!("Invalid context: {context}");
    call.responder.begin_with_error(error_code::INV_CONTEXT, &text).end();
    Ok(Flow::Continue)
}

/// `getSymbol`: no test runs that could have one.
pub fn get_symbol(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let context = call.arguments.string()?;
    call.arguments.string()?;
    call.arguments.end()?;
    let text = format!("Invalid context: {context}");
    call.responder.begin_with_error(error_code::INV_CONTEXT, &text).null().end();
    Ok(Flow::Continue)
}
