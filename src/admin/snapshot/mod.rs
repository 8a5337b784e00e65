//! What `/stats` answers: how the workers' copies become rows, and which of them somebody wants.
//! The keys are a promise (`docs/STATS.md`); a change that breaks a reader raises
//! `schema_version`.

mod rows;
mod selection;

pub(crate) use rows::{ChannelRow, Head, Joined, Part, StreamContext};
pub(crate) use selection::{Selection, Sort};
