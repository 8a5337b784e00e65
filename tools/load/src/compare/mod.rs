//! One load on several servers, side by side.
//!
//! [`Server`] starts one and stops it, [`rows`] say what is measured, [`Bout`] measures in turns,
//! and [`report`] makes tables and plots of it.

mod bout;
mod machine;
mod plot;
pub mod report;
pub mod rows;
mod server;
mod statistics;

pub use bout::{Bout, Samples};
pub use machine::Machine;
pub use plot::{Line, Plot};
pub use rows::{Kind, Row, Target};
pub use server::{Contender, Programs, Server, stop_all};
pub use statistics::median;
