//! Loads for other servers than Weir, and a server that is nothing but a fan-out.
//!
//! The generator's loop is `weir::bench`; here are the protocols that it does not know.

pub mod fanout;
mod raw;

pub use raw::Raw;
