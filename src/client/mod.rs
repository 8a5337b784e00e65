//! A blocking TCF client on std sockets, for the tools and the tests.
//!
//! [`Connection`] connects, says Hello and makes one call at a time. [`Connection::split`] parts it
//! into a [`Sender`] that writes commands and a [`Receiver`] that takes in replies and events, so
//! that many commands can be on their way at once and each half can live on a thread of its own.
//!
//! The room never logs, never retries and never decides what a failure means to the user.

mod address;
mod commands;
mod connection;
mod error;
mod incoming;
mod joint;
mod options;
mod receiver;
mod reply;
#[cfg(test)]
pub(crate) mod script;
mod sender;
#[cfg(test)]
mod tests;

pub use crate::endpoint::CallId;
pub use address::{Address, DEFAULT_PORT};
pub(crate) use commands::Call;
pub use connection::{ConnectOptions, Connection};
pub use error::{CallError, ClientError};
pub(crate) use incoming::{Decoded, interpret};
pub use incoming::{Event, Incoming};
pub use options::{AttachOptions, CreateOptions, Introduction, Key, Position, StallTimeout};
pub use receiver::Receiver;
pub use reply::{Attached, ReadReply, Reply, StreamEntry};
pub use sender::Sender;
