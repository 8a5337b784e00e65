//! A blocking TCF client on std sockets, for the tools and the tests.
//!
//! [`Connection`] connects, says Hello and makes one call at a time. [`Connection::split`] parts it
//! into a [`Sender`] that writes commands and a [`Receiver`] that takes in replies and events, so
//! that many commands can be on their way at once and each half can live on a thread of its own.
//!
//! The room never logs, never retries and never decides what a failure means to the user.

mod address;
mod connection;
mod error;
mod link;
mod options;
mod receiver;
mod reply;
#[cfg(test)]
pub(crate) mod script;
mod sender;
#[cfg(test)]
mod tests;

pub use address::{Address, DEFAULT_PORT};
pub use connection::{ConnectOptions, Connection};
pub use error::{CallError, ClientError};
pub use options::{AttachOptions, CreateOptions, Key, Position, StallTimeout};
pub use receiver::{Event, Incoming, Receiver};
pub use reply::{Attached, CallId, ReadReply, Reply, StreamEntry};
pub(crate) use reply::{ReplyForm, read_reply};
pub use sender::Sender;
