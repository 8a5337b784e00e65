//! TCF services: arguments into commands, replies and events into messages.
//!
//! [`find`] gives the handler of a command; the handler reads the arguments and either answers at
//! once (what needs no stream) or hands a [`Command`](crate::stream::Command) to the [`Core`]. What
//! the core answers, [`Responder::answer`] turns into a message, and [`streams::created`] and
//! [`streams::disposed`] write its events. The room holds no state and never sees a channel's
//! state, a socket or a clock.

mod call;
pub mod diagnostics;
pub mod error_code;
mod error_report;
mod identity;
pub mod locator;
mod object;
mod registry;
mod responder;
pub mod stream_broker;
mod stream_name;
pub mod streams;
#[cfg(test)]
pub(crate) mod transcript;

#[cfg(test)]
mod tests;

pub use call::{Call, Core, Handler};
pub use error_report::error_report;
pub use identity::Identity;
pub use registry::{SERVICES, find};
pub use responder::Responder;
