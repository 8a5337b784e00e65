//! `Locator.redirect`: forward the channel to another peer, which a broker does not do.

use serde_json::Value;

use crate::service::locator::get_peers::peer_id;
use crate::service::{Call, Core, error_code};
use crate::stream::Flow;
use crate::wire::WireError;

/// Reads a peer ID or a peer object. The reference closes the channel over a property that is not a
/// string; we take numbers too, since people write ports as numbers.
pub fn run(mut call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    let target = call.arguments.json()?;
    call.arguments.end()?;
    let is_known = match target {
        Value::Null => false,
        Value::String(id) => call.identity.listens.iter().any(|listen| peer_id(listen) == id),
        Value::Object(properties) => {
            for (name, value) in &properties {
                if !matches!(value, Value::String(_) | Value::Number(_)) {
                    let text = format!("peer property {name} must be a string");
                    return Err(WireError::Protocol(text));
                }
            }
            true
        }
        _ => {
            let text = "a peer is named by its ID or described by an object";
            return Err(WireError::Protocol(text.to_owned()));
        }
    };
    let (code, text) = if is_known {
        (error_code::UNSUPPORTED, "Unsupported command: this broker does not forward channels")
    } else {
        (error_code::UNKNOWN_PEER, "Unknown peer")
    };
    call.responder.begin_with_error(code, text).end();
    Ok(Flow::Continue)
}
