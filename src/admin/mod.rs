//! The control thread: answers HTTP from copies of the workers' numbers.
//!
//! It runs on a thread of its own, with an async runtime. It reaches workers through `inside` only
//! and never shares their state, so that a slow or hostile HTTP client cannot hold up a stream.
//! `gather` asks, `snapshot` is what is answered, `pass` answers many at once, `serving` has the
//! connections, `guard` says who may ask, `routes` joins them.

mod answers;
mod body;
mod control;
mod gather;
mod guard;
mod metrics;
mod named;
mod page;
mod pass;
mod query;
mod routes;
mod serving;
mod snapshot;
#[cfg(unix)]
mod streams;

pub use control::{About, Control, Timeouts};
