//! Sockets: listening ones and connected ones, with the options that a stream relay wants.
//!
//! The room moves bytes between the kernel and the caller's slices. It never looks at them, and it
//! keeps none: what to do about readiness is the worker's business.

mod conn;
mod listener;
mod socket;

pub use conn::{Conn, set_options};
pub use listener::{AcceptError, Listener};
pub use socket::Socket;
#[cfg(unix)]
pub use socket::pair;
