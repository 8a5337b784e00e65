//! One thread: one epoll loop, its channels, one engine, one mailbox.
//!
//! [`Shard`] is everything that a worker owns except its thread and its sockets: bytes and messages in,
//! bytes and messages out, the time as a parameter, so that a whole broker can run in one thread under a
//! simulated network. The event loop carries between sockets, mailboxes and the shard; it decides
//! nothing about streams.

pub mod cores;
mod shard;

pub use shard::{ChannelReport, Identity, Limits, Shard, ShardReport};
