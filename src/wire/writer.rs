//! Encoding of messages.

use bytes::Bytes;
use memchr::memchr;
use serde_json::Value;

use crate::wire::{ErrorReport, Output, base64_text, json_text};

const ESC: u8 = 3;
/// `ESC 0`, the byte 3 as data.
const ESCAPED_ESC: &[u8] = &[ESC, 0];
/// `ESC 1`.
const EOM: &[u8] = &[ESC, 1];
/// `ESC 2`.
const EOS: &[u8] = &[ESC, 2];
/// `ESC 3`, before the length of a BIN block.
const BIN: &[u8] = &[ESC, 3];

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
        output.put_slice(b"C\0");
        put_field(output, token);
        put_field(output, service.as_bytes());
        put_field(output, name.as_bytes());
        MessageWriter { output, zero_copy }
    }

    /// Begins `R token`.
    pub fn reply(output: &'a mut Output, zero_copy: bool, token: &[u8]) -> MessageWriter<'a> {
        output.put_slice(b"R\0");
        put_field(output, token);
        MessageWriter { output, zero_copy }
    }

    /// Begins `E service name`.
    pub fn event(
        output: &'a mut Output,
        zero_copy: bool,
        service: &str,
        name: &str,
    ) -> MessageWriter<'a> {
        output.put_slice(b"E\0");
        put_field(output, service.as_bytes());
        put_field(output, name.as_bytes());
        MessageWriter { output, zero_copy }
    }

    /// A whole `N token`.
    pub fn not_recognized(output: &mut Output, token: &[u8]) {
        output.put_slice(b"N\0");
        put_field(output, token);
        output.put_slice(EOM);
    }

    /// A whole end of stream, with its report; `None` is the empty report of a normal close.
    pub fn end_of_stream(output: &mut Output, report: Option<&ErrorReport>) {
        output.put_slice(EOS);
        put_report(output, report);
        output.put_slice(EOM);
    }

    /// A string argument.
    pub fn string(self, text: &str) -> MessageWriter<'a> {
        json_text::put_string(self.output, text);
        self.nul()
    }

    /// An unsigned integer argument, in decimal.
    pub fn integer(self, number: u64) -> MessageWriter<'a> {
        put_integer(self.output, number);
        self.nul()
    }

    /// `true` or `false`.
    pub fn boolean(self, value: bool) -> MessageWriter<'a> {
        self.output.put_slice(if value { b"true\0" } else { b"false\0" });
        self
    }

    /// `null`.
    pub fn null(self) -> MessageWriter<'a> {
        self.output.put_slice(b"null\0");
        self
    }

    /// Any JSON value.
    pub fn json(self, value: &Value) -> MessageWriter<'a> {
        json_text::put_value(self.output, value);
        self.nul()
    }

    /// JSON text or any other argument bytes as they are (escaped by the framing only), with a NUL behind.
    pub fn raw(self, text: &[u8]) -> MessageWriter<'a> {
        put_field(self.output, text);
        self
    }

    /// An error report argument; `None` is success, the empty argument.
    pub fn error(self, report: Option<&ErrorReport>) -> MessageWriter<'a> {
        put_report(self.output, report);
        self
    }

    /// Binary data: `(N)` in a BIN block for a ZeroCopy peer, one padded base64 string for another,
    /// `null` for none.
    pub fn binary(self, pieces: &[Bytes]) -> MessageWriter<'a> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if length == 0 {
            return self.null();
        }
        if self.zero_copy {
            self.output.put_slice(b"(");
            put_integer(self.output, length as u64);
            self.output.put_slice(b")");
            self.output.put_slice(BIN);
            put_varint(self.output, length);
            for piece in pieces {
                self.output.put_shared(piece.clone());
            }
        } else {
            self.output.put_slice(b"\"");
            self.output
                .put_with(base64_text::encoded_len(length), |out| base64_text::encode(pieces, out));
            self.output.put_slice(b"\"");
        }
        self.nul()
    }

    /// Completes the message with EOM.
    pub fn end(self) {
        self.output.put_slice(EOM);
    }

    fn nul(self) -> MessageWriter<'a> {
        self.output.put_slice(&[0]);
        self
    }
}

/// Puts bytes and a NUL behind them, with each ESC escaped.
fn put_field(output: &mut Output, mut bytes: &[u8]) {
    while let Some(at) = memchr(ESC, bytes) {
        output.put_slice(&bytes[..at]);
        output.put_slice(ESCAPED_ESC);
        bytes = &bytes[at + 1..];
    }
    output.put_slice(bytes);
    output.put_slice(&[0]);
}

fn put_integer(output: &mut Output, number: u64) {
    output.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Puts the length of a BIN block, seven bits a byte, lowest first.
fn put_varint(output: &mut Output, mut value: usize) {
    while value > 0x7f {
        output.put_slice(&[value as u8 & 0x7f | 0x80]);
        value >>= 7;
    }
    output.put_slice(&[value as u8]);
}

/// Puts a report and its NUL. Braces, which some clients would take for placeholders and fail on,
/// become parentheses.
fn put_report(output: &mut Output, report: Option<&ErrorReport>) {
    if let Some(report) = report {
        output.put_slice(b"{\"Code\":");
        put_integer(output, report.code.into());
        output.put_slice(b",\"Time\":");
        put_integer(output, report.time_ms);
        output.put_slice(b",\"Format\":");
        if report.text.contains(['{', '}']) {
            let text = report.text.replace('{', "(").replace('}', ")");
            json_text::put_string(output, &text);
        } else {
            json_text::put_string(output, &report.text);
        }
        output.put_slice(b"}");
    }
    output.put_slice(&[0]);
}
