//! Weir is a stream relay: agents write byte streams into it, many hosts read them, over TCF.
//!
//! Data flows one way down and comes back as values:
//!
//! ```text
//!  socket bytes                                                        socket bytes
//!      |                                                                    ^
//!   net/ ....... sockets, readiness, reading and writing ................. net/
//!   transport/ . bytes carried, plain ............................... transport/
//!   wire/ ...... frames and messages decoded ............. encoded ....... wire/
//!   endpoint/ .. one peer: Hello, calls, output, its end ................. endpoint/
//!   service/ ... arguments -> Command          Reply, Event -> message ... service/
//!                        \                        ^
//!   stream/ ............ the core: append, read, park, trim (no I/O, no clock)
//! ```
//!
//! `worker` carries values between these rooms and decides nothing about streams; `server` starts
//! and stops the whole; `inside` is how the control thread reaches workers, `admin` answers HTTP
//! there; `client` and `cli` are the tools. `docs/ARCHITECTURE.md` has the map and the invariants.

pub mod access;
pub mod admin;
pub mod bench;
pub mod cli;
pub mod client;
pub mod config;
pub mod endpoint;
pub mod id;
pub mod inside;
pub mod net;
pub mod server;
pub mod service;
pub mod shown;
pub mod stats;
pub mod stream;
pub mod time;
pub mod transport;
pub mod wire;
pub mod worker;
