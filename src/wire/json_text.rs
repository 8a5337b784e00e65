//! JSON as every TCF client reads it: compact, in UTF-8, with all control characters escaped.

use serde_json::Value;

use crate::wire::Output;

/// Puts a string in its quotes. What it puts never holds an ESC.
pub(crate) fn put_string(output: &mut Output, text: &str) {
    put_bytes(output, text.as_bytes());
}

/// The same for bytes that may be no UTF-8.
pub(crate) fn put_bytes(output: &mut Output, bytes: &[u8]) {
    output.put_slice(b"\"");
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        output.put_slice(&rest[..at]);
        put_escape(output, rest[at]);
        rest = &rest[at + 1..];
    }
    output.put_slice(rest);
    output.put_slice(b"\"");
}

/// Puts any value.
pub(crate) fn put_value(output: &mut Output, value: &Value) {
    match value {
        Value::Null => output.put_slice(b"null"),
        Value::Bool(true) => output.put_slice(b"true"),
        Value::Bool(false) => output.put_slice(b"false"),
        Value::Number(number) => output.put_slice(number.to_string().as_bytes()),
        Value::String(text) => put_string(output, text),
        Value::Array(elements) => {
            let mut separator: &[u8] = b"[";
            for element in elements {
                output.put_slice(separator);
                put_value(output, element);
                separator = b",";
            }
            output.put_slice(if elements.is_empty() { b"[]" } else { b"]" });
        }
        Value::Object(members) => {
            let mut separator: &[u8] = b"{";
            for (name, member) in members {
                output.put_slice(separator);
                put_string(output, name);
                output.put_slice(b":");
                put_value(output, member);
                separator = b",";
            }
            output.put_slice(if members.is_empty() { b"{}" } else { b"}" });
        }
    }
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f)
}

fn put_escape(output: &mut Output, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            return output.put_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                digit(byte >> 4),
                digit(byte & 15),
            ]);
        }
    };
    output.put_slice(&[b'\\', letter]);
}
