//! One peer, without its socket: framing, the channel's state, what waits to be sent, the calls
//! under way, and why it is not read now.
//!
//! Bytes come in through [`Inbound`] and out as [`Heard`]; what is said goes through
//! [`Outbound`], whose output whoever drives the endpoint sends. Both roles are made of the same
//! two halves. A server answers the commands that come in, into the output; it has no calls under
//! way, so that a reply is one to a command that was never sent. A caller sends commands with
//! [`Outbound::call`] and finds with [`Outbound::take_call`] which of them a reply answers. The two
//! halves may live on two threads ([`Endpoint::split`]).
//!
//! The room never sees a socket, a clock or a stream, and does not know what any command means.

mod halves;
mod inbound;
mod outbound;
mod pause;
mod report;
#[cfg(test)]
mod tests;

pub use halves::{Endpoint, Held};
pub use inbound::{Heard, Inbound};
pub use outbound::{CallId, Outbound};
pub use pause::{Pause, Pauses};
pub use report::ClosingReport;
