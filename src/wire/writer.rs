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

/// Writes one message into an [`Output`], field by field; `end` completes it. `zero_copy` says
/// whether the peer's Hello listed `ZeroCopy`: only then may BIN blocks and `(N)` data be used.
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

    /// A string argument of bytes that may be no UTF-8.
    pub fn byte_string(self, bytes: &[u8]) -> MessageWriter<'a> {
        json_text::put_bytes(self.output, bytes);
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

    /// JSON text or any other argument bytes as they are (escaped by the framing only), with a NUL
    /// behind.
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
            each_varint_byte(length, |byte| self.output.put_slice(&[byte]));
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

    /// Binary data that is encoded already, in its quotes.
    pub fn quoted(self, text: Bytes) -> MessageWriter<'a> {
        self.output.put_own(text);
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

/// Hands on the length of a BIN block, seven bits a byte, lowest first.
pub(super) fn each_varint_byte(mut value: usize, mut put: impl FnMut(u8)) {
    while value > 0x7f {
        put(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    put(value as u8);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(write: impl FnOnce(&mut Output)) -> Vec<u8> {
        let mut output = Output::default();
        write(&mut output);
        output.to_vec()
    }

    #[test]
    fn headers_are_escaped() {
        let text = written(|output| {
            MessageWriter::command(output, true, b"t\x03\x03", "Streams", "connect")
                .string("VS0")
                .end();
        });
        assert_eq!(text, b"C\0t\x03\0\x03\0\0Streams\0connect\0\"VS0\"\0\x03\x01");
        let text = written(|output| MessageWriter::not_recognized(output, b"1"));
        assert_eq!(text, b"N\x001\0\x03\x01");
        let text = written(|output| {
            MessageWriter::event(output, false, "Locator", "Hello").raw(b"[\"Locator\"]").end();
        });
        assert_eq!(text, b"E\0Locator\0Hello\0[\"Locator\"]\0\x03\x01");
    }

    #[test]
    fn a_read_reply_takes_the_form_the_peer_reads() {
        let pieces = [Bytes::from_static(b"hel"), Bytes::new(), Bytes::from_static(b"lo")];
        let reply = |zero_copy| {
            written(|output| {
                MessageWriter::reply(output, zero_copy, b"4")
                    .binary(&pieces)
                    .error(None)
                    .integer(0)
                    .boolean(false)
                    .end();
            })
        };
        assert_eq!(reply(true), b"R\x004\0(5)\x03\x03\x05hello\0\x000\0false\0\x03\x01");
        assert_eq!(reply(false), b"R\x004\0\"aGVsbG8=\"\0\x000\0false\0\x03\x01");
        let empty = written(|output| MessageWriter::reply(output, true, b"").binary(&[]).end());
        assert_eq!(empty, b"R\0\0null\0\x03\x01");
    }

    #[test]
    fn block_lengths_are_minimal() {
        for (length, varint) in
            [(127, vec![0x7f]), (128, vec![0x80, 1]), (40_000, vec![0xc0, 0xb8, 2])]
        {
            let data = [Bytes::from(vec![3; length])];
            let text =
                written(|output| MessageWriter::reply(output, true, b"1").binary(&data).end());
            let head = [format!("R\x001\0({length})\x03\x03").as_bytes(), &varint].concat();
            assert_eq!(text[..head.len()], head);
            assert_eq!(text.len(), head.len() + length + 3);
        }
    }

    #[test]
    fn base64_is_one_padded_string_over_all_pieces() {
        use base64::Engine;
        let data: Vec<u8> = (0..=255).cycle().take(9001).collect();
        for sizes in
            [vec![1], vec![2], vec![3], vec![1, 1, 5, 2, 4, 3, 1000], vec![4096], vec![9001]]
        {
            for total in [1, 2, 3, 4, 100, 9000, 9001] {
                let mut rest = Bytes::copy_from_slice(&data[..total]);
                let mut pieces = Vec::new();
                for size in sizes.iter().cycle() {
                    if rest.is_empty() {
                        break;
                    }
                    pieces.push(rest.split_to(rest.len().min(*size)));
                }
                let text = written(|output| {
                    MessageWriter::reply(output, false, b"").binary(&pieces).end()
                });
                let expected = base64::prelude::BASE64_STANDARD.encode(&data[..total]);
                assert_eq!(text, format!("R\0\0\"{expected}\"\0\x03\x01").as_bytes());
            }
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let text = written(|output| {
            MessageWriter::reply(output, false, b"1")
                .string("q\" b\\ s/ \x08\x0c\n\r\t\0\x01\x03\x1f\x7f \u{e9}\u{1f600}")
                .json(
                    &json!({"a\x03": [1, -2, 1.5, "\x7f", null, true, [], {}], "b": {"c": false}}),
                )
                .null()
                .end();
        });
        let strings = r#""q\" b\\ s/ \b\f\n\r\t\u0000\u0001\u0003\u001F\u007F é😀""#;
        let value = r#"{"a\u0003":[1,-2,1.5,"\u007F",null,true,[],{}],"b":{"c":false}}"#;
        let expected = format!("R\x001\0{strings}\0{value}\0null\0\x03\x01");
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn reports_close_the_stream_and_fail_commands() {
        let report =
            ErrorReport { code: 9, time_ms: 1_600_000_000_000, text: "End of file".into() };
        let text = written(|output| {
            MessageWriter::reply(output, false, b"1").error(Some(&report)).end();
        });
        let json = r#"{"Code":9,"Time":1600000000000,"Format":"End of file"}"#;
        assert_eq!(text, format!("R\x001\0{json}\0\x03\x01").as_bytes());
        let text = written(|output| MessageWriter::end_of_stream(output, Some(&report)));
        assert_eq!(text, format!("\x03\x02{json}\0\x03\x01").as_bytes());
        let text = written(|output| MessageWriter::end_of_stream(output, None));
        assert_eq!(text, b"\x03\x02\0\x03\x01");
    }

    #[test]
    fn report_texts_hold_no_placeholders() {
        let report = ErrorReport { code: 1, time_ms: 0, text: "No such stream: {0}".into() };
        let text = written(|output| MessageWriter::end_of_stream(output, Some(&report)));
        assert!(String::from_utf8(text).unwrap().contains("\"No such stream: (0)\""));
    }
}
