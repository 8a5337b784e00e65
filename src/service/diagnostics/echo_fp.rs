//! `Diagnostics.echoFP`: a number comes back.

use serde_json::Value;

use crate::service::{Call, Core};
use crate::stream::Flow;
use crate::wire::WireError;

/// Answers with the number as a double alone; `null` for what a double cannot hold. The reply has
/// no error report.
pub fn run(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let text = call.arguments.number_text()?;
    call.arguments.end()?;
    let number = match &*text {
        "null" => Value::Null,
        digits => match digits.parse::<f64>() {
            // Infinities have no JSON form; this gives null for them.
            Ok(number) => Value::from(number),
            Err(_) => return Err(WireError::Json("a number was expected".to_owned())),
        },
    };
    call.responder.begin().json(&number).end();
    Ok(Flow::Continue)
}
