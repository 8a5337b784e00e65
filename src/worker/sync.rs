//! What the mailboxes and bells are built on: the only users of crossbeam and of atomics in this
//! room.
//!
//! Kept apart so that `tests/interleavings` can put the same names of a scheduler under its control
//! in this file's place.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};

pub(crate) use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
