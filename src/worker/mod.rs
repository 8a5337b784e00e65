//! One thread: one epoll loop, its channels, one engine, one mailbox.
//!
//! [`Shard`] is everything that a worker owns except its thread and its sockets: bytes and messages
//! in, bytes and messages out, the time as a parameter, so that a whole broker can run in one
//! thread under a simulated network. [`Worker`], the event loop, carries between transports,
//! mailboxes and the shard; it decides nothing about streams. What it waits in is a [`Poller`]: the
//! system's, or the simulation's, which runs this very loop.
//!
//! `event_loop` is the turn, `carry` what it does with one connection, `session` the table of them;
//! `mailbox` and `doorbell` join the threads.

mod budget;
mod carry;
pub mod cores;
mod doorbell;
mod event_loop;
mod favour;
mod load;
mod mail;
mod mailbox;
mod phase;
mod placement;
mod poller;
mod receive_buffers;
mod report;
mod running_clock;
mod session;
mod shard;
mod sync;
#[cfg(test)]
mod tests;
mod tuning;

pub use budget::TurnBudget;
pub use doorbell::{Doorbell, Wake};
pub use event_loop::{Links, Worker};
pub use favour::Favour;
pub use mail::{Inquiry, MAIL_MAX, Mail};
pub use mailbox::{Inbox, Outbox, Refused, mailbox};
pub use phase::{Phase, PhaseFlag};
pub use placement::Placement;
pub use poller::{Poller, Ready, SystemPoller, WAKE};
pub use report::{Answer, AnswerBody, Counters, Question, ROWS_MAX, TurnTime, WorkerTotals};
pub use shard::{
    Blank, ChannelReport, Identity, Limits, Shard, ShardGauges, ShardReport, ShardTotals, ShardWalk,
};
pub use tuning::Tuning;
