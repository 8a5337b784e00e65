//! `Locator.getPeers`: the peers that can be reached here, which are the broker's own addresses.

use serde_json::{Value, json};

use crate::service::{Call, Core, Identity};
use crate::stream::Flow;
use crate::wire::WireError;

/// A peer that is this process and may be told to others (1 local, 4 discoverable).
const OWN_PEER_FLAGS: u32 = 5;

/// Answers with error report and array of peer objects.
pub fn run(call: Call<'_>, _core: &mut dyn Core) -> Result<Flow, WireError> {
    call.arguments.end()?;
    let peers = call.identity.listens.iter().map(|listen| peer(call.identity, listen)).collect();
    call.responder.begin().error(None).json(&Value::Array(peers)).end();
    Ok(Flow::Continue)
}

/// The ID under which one of our addresses is known.
pub fn peer_id((host, port): &(String, u16)) -> String {
    format!("TCP:{host}:{port}")
}

/// All values are strings but `Flags`: clients take nothing else.
fn peer(identity: &Identity, listen: &(String, u16)) -> Value {
    let (host, port) = listen;
    json!({
        "ID": peer_id(listen),
        "Flags": OWN_PEER_FLAGS,
        "Name": identity.name,
        "OSName": std::env::consts::OS,
        "AgentID": identity.agent_id,
        "ServiceManagerID": format!("{}-0", identity.agent_id),
        "TransportName": "TCP",
        "Host": host,
        "Port": port.to_string(),
    })
}
