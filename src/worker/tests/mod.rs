//! Tests of the files that `tests/interleavings` takes in as they are, which therefore hold none,
//! and of the loop over a poller of the tests' own.

mod backlog;
mod carry;
mod doorbell;
mod mailbox;
