//! Weir against recorded conversations with the reference agent, and against the rules that a
//! recording cannot show.
//!
//! `table` says of every recording whether it applies; `replay` plays those that do against a real
//! broker. Where Weir differs on purpose there is a test in `differs` or `rules` that shows the
//! right way round. `transcripts/README.md` tells what the files hold.

#[path = "../support/mod.rs"]
mod support;

mod compare;
mod differs;
mod replay;
mod rules;
mod table;
mod transcript;
