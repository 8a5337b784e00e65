//! Encoding of messages.

use bytes::Bytes;
use serde_json::Value;

use crate::wire::{ErrorReport, Output};

/// Writes one message into an [`Output`], field by field; `end` completes it. `zero_copy` says whether the
/// peer's Hello listed `ZeroCopy`: only then may BIN blocks and `(N)` data be used.
#[derive(Debug)]
#[must_use]
pub struct MessageWriter<'a> {
    output: &'a mut Output,
    zero_copy: bool,
}

impl<'a> MessageWriter<'a> {
    /// Begins `C token service name`.
    pub fn command(
        output: &'a mut Output,
        zero_copy: bool,
        token: &[u8],
        service: &str,
        name: &str,
    ) -> MessageWriter<'a> {
        let _ = (token, service, name);
        MessageWriter { output, zero_copy }
    }

    /// Begins `R token`.
    pub fn reply(output: &'a mut Output, zero_copy: bool, token: &[u8]) -> MessageWriter<'a> {
        let _ = token;
        MessageWriter { output, zero_copy }
    }

    /// Begins `E service name`.
    pub fn event(
        output: &'a mut Output,
        zero_copy: bool,
        service: &str,
        name: &str,
    ) -> MessageWriter<'a> {
        let _ = (service, name);
        MessageWriter { output, zero_copy }
    }

    /// A whole `N token`.
    pub fn not_recognized(output: &mut Output, token: &[u8]) {
        let _ = (output, token);
        unimplemented!()
    }

    /// A whole end of stream, with its report; `None` is the empty report of a normal close.
    pub fn end_of_stream(output: &mut Output, report: Option<&ErrorReport>) {
        let _ = (output, report);
        unimplemented!()
    }

    /// A string argument.
    pub fn string(self, text: &str) -> MessageWriter<'a> {
        let _ = text;
        unimplemented!()
    }

    /// An unsigned integer argument, in decimal.
    pub fn integer(self, number: u64) -> MessageWriter<'a> {
        let _ = number;
        unimplemented!()
    }

    /// `true` or `false`.
    pub fn boolean(self, value: bool) -> MessageWriter<'a> {
        let _ = value;
        unimplemented!()
    }

    /// `null`.
    pub fn null(self) -> MessageWriter<'a> {
        unimplemented!()
    }

    /// Any JSON value.
    pub fn json(self, value: &Value) -> MessageWriter<'a> {
        let _ = value;
        unimplemented!()
    }

    /// JSON text or any other argument bytes as they are (escaped by the framing only), with a NUL behind.
    pub fn raw(self, text: &[u8]) -> MessageWriter<'a> {
        let _ = text;
        unimplemented!()
    }

    /// An error report argument; `None` is success, the empty argument.
    pub fn error(self, report: Option<&ErrorReport>) -> MessageWriter<'a> {
        let _ = report;
        unimplemented!()
    }

    /// Binary data: `(N)` in BIN blocks for a ZeroCopy peer, one padded base64 string for another, `null` for none.
    pub fn binary(self, pieces: &[Bytes]) -> MessageWriter<'a> {
        let _ = pieces;
        unimplemented!()
    }

    /// Completes the message with EOM.
    pub fn end(self) {
        let _ = (self.output, self.zero_copy);
        unimplemented!()
    }
}
