//! What TCF bytes mean: framing, messages, arguments, error reports, and their limits.
//!
//! Decoding goes [`Framer`] (escapes, BIN blocks, end markers) → [`Frame`] → [`Body`] (one whole
//! message, possibly in pieces) → [`Arguments`]. Encoding goes [`MessageWriter`] → [`Output`]. The
//! room never sees a socket, a channel's state or a stream. The rules come from the TCF
//! specification and from what deployed peers really send.

mod arguments;
mod base64_text;
mod body;
mod encodings;
mod error;
mod error_report;
mod framer;
mod json_text;
mod json_value;
mod limits;
mod message;
mod message_format;
mod output;
mod plain;
pub mod plain_reply;
mod scanner;
mod writer;

pub use arguments::{Arguments, Binary};
pub use body::Body;
pub use encodings::Encodings;
pub use error::WireError;
pub use error_report::ErrorReport;
pub use framer::{Frame, Framer};
pub use limits::WireLimits;
pub use message::Header;
pub use output::Output;
pub use plain::{Plain, PlainCommands, PlainToken};
pub use writer::MessageWriter;
