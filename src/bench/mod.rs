//! A load generator: publishers and readers of one load, in one thread and one event loop.
//!
//! The loop knows no protocol. A [`Protocol`] opens connections, says what a write looks like on
//! the wire, and has an [`Intake`] for what comes back; [`Tcf`] is the one for TCF peers. Writes
//! are encoded once, before the clock starts, into a ring that is sent again and again, and what
//! is delivered is counted where it was received, or thrown away unseen where its length says all:
//! so the generator is cheaper than the server that it measures.
//!
//! The loop is closed: at most a window of each stream is under way, measured at its slowest
//! reader. A run ends only when every reader has counted every byte that was written.
//!
//! Nothing here prints, and nothing here starts a server.

mod discard;
mod error;
mod files;
mod flow;
mod idle;
mod lane;
mod pattern;
mod plan;
mod process;
mod protocol;
mod report;
mod run;
mod storm;
mod tcf;

pub use error::BenchError;
pub use files::raise_open_files;
pub use idle::{IdleReport, hold_idle};
pub use pattern::{Check, Pattern};
pub use plan::{Plan, Shape, Span};
pub use process::ProcessSample;
pub use protocol::{Intake, Opened, Protocol, Tally};
pub use report::{Percentiles, Report, ServerCost};
pub use run::run;
pub use storm::{StormReport, storm};
pub use tcf::{Tcf, TcfOptions};
