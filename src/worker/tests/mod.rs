//! Tests of the files that `tests/interleavings` takes in as they are, which therefore hold none.

mod doorbell;
mod mailbox;
