//! The `Streams` service (TCF specification, "TCF Streams Service").

mod connect;
mod disconnect;
mod eos;
mod events;
mod read;
mod subscribe;
mod unsubscribe;
mod write;

use crate::service::Handler;

pub use events::{created, disposed};

/// The handler of a command of this service. The commands of the data path come first.
pub fn find(name: &[u8]) -> Option<Handler> {
    Some(match name {
        b"write" => write::run,
        b"read" => read::run,
        b"connect" => connect::run,
        b"disconnect" => disconnect::run,
        b"eos" => eos::run,
        b"subscribe" => subscribe::run,
        b"unsubscribe" => unsubscribe::run,
        _ => return None,
    })
}
