//! What the tests of the whole program share: a broker to talk to, a peer to talk with, and
//! waiting.
//!
//! [`RawPeer`] has a TCF codec of its own, written from the protocol and not from `weir::wire`, so
//! that the two sides cannot share a mistake. Nothing here checks a rule of the broker; that is for
//! the tests.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "each test binary compiles this folder and uses a part of it"
)]

pub mod browser;
pub mod framing;
pub mod http;
pub mod idle;
pub mod message;
pub mod pattern;
pub mod peer;
pub mod seed;
pub mod server;
pub mod signal;
pub mod terminal;
pub mod tool;
pub mod wait;

pub use browser::Browser;
pub use message::Message;
pub use pattern::{Checked, Pattern};
pub use peer::RawPeer;
pub use seed::Seed;
pub use server::TestServer;
pub use terminal::Terminal;
pub use tool::Tool;
pub use wait::{PATIENCE, wait_until};
