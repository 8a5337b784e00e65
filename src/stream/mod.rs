//! The core: streams, readers, parked commands, and what happens to them.
//!
//! An [`Engine`] is one worker's share of the core. It is a deterministic state machine: commands,
//! messages of other engines and the time come in; effects, messages and a next deadline come out.
//! It never sees a socket, a clock, a thread or a log.
//!
//! A stream lives on its *home* engine (`home`), which owns its bytes (`log`), its parked writes
//! (`park`) and its end. Readers (`readers`) live where their channel lives; an engine with readers
//! of a stream that has its home elsewhere keeps a *view* of it (`view`).

mod account;
mod budget;
mod chunks;
mod command;
mod effect;
mod engine;
mod floor;
mod front;
mod home;
mod introduction;
mod limits;
mod log;
mod marks;
mod message;
mod meta;
mod notice;
mod options;
mod outgoing;
mod park;
mod parties;
mod places;
mod pump;
mod readers;
mod refusal;
mod report;
mod segments;
mod streams;
mod traffic;
mod view;

pub use chunks::Chunks;
pub use command::{Command, Flow, Payload};
pub use effect::{Effect, Reply};
pub use engine::{Engine, Writes};
pub use introduction::{INTRODUCTION_BYTES_MAX, Introduction};
pub use limits::CoreLimits;
pub use marks::Marks;
pub use message::Message;
pub use notice::{Happening, Notice};
pub use options::{
    AttachOptions, Direction, From, PLACE_NAME_BYTES_MAX, Placing, Properties, StallTimeout,
};
pub use parties::Departed;
pub use refusal::Refusal;
pub use report::{
    EngineReport, EngineTotals, Gauges, Held, Lag, PlaceReport, ReaderReport, ReadersReport,
    ReadersWanted, STALLED_AFTER, StreamReport, StreamRow, Walk,
};
pub use traffic::{Delivery, Policy, TYPES_MAX, Traffic, TypeSlot, TypeTraffic};
