//! What `/stats` answers: how the workers' copies become rows, and which of them somebody wants.
//! The keys are a promise (`docs/STATS.md`); a change that breaks a reader raises
//! `schema_version`.

mod head;
mod rows;
mod selection;

pub(crate) use head::Head;
pub(crate) use rows::{ChannelRow, Joined, Part, StreamContext};
pub(crate) use selection::{Selection, Sort};
