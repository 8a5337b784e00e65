//! What an operator may set: file, environment and flags in, one immutable [`Settings`] out.
//!
//! The nearer source wins: flag, then environment, then file, then default. A key is spelled once,
//! as the name of its field.

mod address;
mod error;
mod file;
mod form;
mod load;
mod log_level;
mod settings;
pub mod units;

pub use address::{Address, AddressError, HttpAddress};
pub use error::{Error, Place};
pub use form::Size;
pub use load::load;
pub use log_level::{LogLevel, LogLevelError};
pub use settings::{Changes, LimitSettings, Settings};
