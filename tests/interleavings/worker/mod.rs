//! The worker's protocol files as they are, on top of the scheduler's primitives.

#![allow(dead_code, unused_imports, reason = "the tests use a part of it")]

#[path = "../../../src/worker/doorbell.rs"]
mod doorbell;
#[path = "../../../src/worker/mailbox.rs"]
mod mailbox;
mod sync;

pub use doorbell::{Doorbell, Wake};
pub use mailbox::{Inbox, Outbox, Refused, mailbox};
