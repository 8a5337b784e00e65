//! Loads for other servers than Weir, and a server that is nothing but a fan-out.
//!
//! The generator's loop is `weir::bench`; here are the protocols that it does not know, and
//! [`compare`], which puts one load on several servers.

pub mod compare;
mod dialog;
pub mod fanout;
mod framed;
mod mqtt;
mod nats;
mod raw;
mod redis;
pub mod siege;

pub use mqtt::Mqtt;
pub use nats::Nats;
pub use raw::Raw;
pub use redis::Redis;
