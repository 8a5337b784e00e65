//! The `StreamBroker` service, Weir's own: TCF itself has no way to create, list or re-join a
//! stream from outside.

mod adopt;
mod attach;
mod confirm;
mod create;
mod dispose;
mod introduce;
mod list;

use crate::service::Handler;

pub use list::streams_json;

/// The handler of a command of this service.
pub fn find(name: &[u8]) -> Option<Handler> {
    Some(match name {
        b"create" => create::run,
        b"dispose" => dispose::run,
        b"list" => list::run,
        b"attach" => attach::run,
        b"adopt" => adopt::run,
        b"confirm" => confirm::run,
        b"introduce" => introduce::run,
        _ => return None,
    })
}
