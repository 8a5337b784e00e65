//! The `Locator` service (TCF specification, "TCF Locator Service"), as far as a broker has it. Its
//! Hello event belongs to the channel.

mod get_agent_id;
mod get_peers;
mod redirect;
mod sync;

use crate::service::Handler;

/// The handler of a command of this service.
pub fn find(name: &[u8]) -> Option<Handler> {
    Some(match name {
        b"sync" => sync::run,
        b"getPeers" => get_peers::run,
        b"getAgentID" => get_agent_id::run,
        b"redirect" => redirect::run,
        _ => return None,
    })
}
