//! What an operator may set: file, environment and flags in, one immutable [`Settings`] out.
//!
//! Each source yields [`Overrides`], where everything is optional; the nearer source wins (flag,
//! then environment, then file, then default). The rest of the house sees only `Settings`.

mod address;
mod error;
mod load;
mod log_level;
mod overrides;
mod raw;
mod settings;
pub mod units;

pub use address::{Address, AddressError, HttpAddress};
pub use error::{Error, Place};
pub use load::load;
pub use log_level::{LogLevel, LogLevelError};
pub use overrides::{LimitOverrides, Overrides};
pub use settings::{Changes, Settings};
