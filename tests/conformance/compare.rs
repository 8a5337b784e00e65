//! When an argument is the one that was recorded.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::framing::{ESC, decode_varint, encode_varint};
use crate::support::message::error_code;

/// Which stream of ours plays which recorded one.
#[derive(Debug, Default)]
pub struct Bindings {
    ours: BTreeMap<String, String>,
}

impl Bindings {
    /// Whether `ours` may stand for `recorded`; binds them if neither is bound.
    fn unify(&mut self, recorded: &str, ours: &str) -> bool {
        if let Some(bound) = self.ours.get(recorded) {
            return bound == ours;
        }
        if self.ours.values().any(|taken| taken == ours) {
            return false;
        }
        self.ours.insert(recorded.to_owned(), ours.to_owned());
        true
    }

    /// Our stream for a recorded one.
    pub fn ours<'a>(&'a self, recorded: &'a str) -> &'a str {
        self.ours.get(recorded).map_or(recorded, |ours| ours)
    }

    /// Recorded bytes with our stream IDs in place of the recorded ones. Framing stays as it was,
    /// but for the length of a BIN block whose contents changed.
    pub fn substitute(&self, bytes: &[u8]) -> Vec<u8> {
        if self.ours.iter().all(|(recorded, ours)| recorded == ours) {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut plain_from = 0;
        let mut at = 0;
        while at < bytes.len() {
            let is_block = bytes[at] == ESC && bytes.get(at + 1) == Some(&ESC);
            let block = is_block.then(|| decode_varint(&bytes[at + 2..]).ok().flatten()).flatten();
            match block {
                Some((size, digits)) if at + 2 + digits + size <= bytes.len() => {
                    self.substitute_plain(&bytes[plain_from..at], &mut out);
                    let body = &bytes[at + 2 + digits..at + 2 + digits + size];
                    let mut replaced = Vec::new();
                    self.substitute_plain(body, &mut replaced);
                    if replaced.len() == body.len() {
                        out.extend_from_slice(&bytes[at..at + 2 + digits]);
                    } else {
                        out.extend_from_slice(&[ESC, ESC]);
                        encode_varint(replaced.len(), &mut out);
                    }
                    out.extend_from_slice(&replaced);
                    at += 2 + digits + size;
                    plain_from = at;
                }
                _ => at += if bytes[at] == ESC { 2 } else { 1 },
            }
        }
        self.substitute_plain(&bytes[plain_from.min(bytes.len())..], &mut out);
        out
    }

    fn substitute_plain(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut at = 0;
        while at < bytes.len() {
            match quoted_stream(&bytes[at..]) {
                Some(recorded) => {
                    out.push(b'"');
                    out.extend_from_slice(self.ours(recorded).as_bytes());
                    out.push(b'"');
                    at += recorded.len() + 2;
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
    }
}

/// The stream ID of `"VS<digits>"` where bytes begin so.
fn quoted_stream(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(b"\"")?;
    let end = rest.iter().position(|&byte| byte == b'"')?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    is_stream_id(text).then_some(text)
}

fn is_stream_id(text: &str) -> bool {
    let digits = text.strip_prefix("VS").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_agent_id(text: &str) -> bool {
    text.len() >= 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Whether these arguments say the same as the recorded ones.
pub fn same_args(
    recorded: &[Vec<u8>],
    ours: &[Vec<u8>],
    bindings: &mut Bindings,
) -> Result<(), String> {
    if recorded.len() != ours.len() {
        return Err(format!("{} arguments, recorded {}", ours.len(), recorded.len()));
    }
    for (recorded, ours) in recorded.iter().zip(ours) {
        same_arg(recorded, ours, bindings)?;
    }
    Ok(())
}

fn same_arg(recorded: &[u8], ours: &[u8], bindings: &mut Bindings) -> Result<(), String> {
    let differ = || {
        Err(format!("{:?}, recorded {:?}", ours.escape_ascii().to_string(), {
            recorded.escape_ascii().to_string()
        }))
    };
    if recorded == ours && quoted_stream(recorded).is_none() {
        return Ok(());
    }
    if recorded.starts_with(b"{\"Code\"") {
        let same = ours.starts_with(b"{") && error_code(recorded) == error_code_lenient(ours);
        return if same { Ok(()) } else { differ() };
    }
    if let (Some(recorded), Some(ours)) = (number(recorded), number(ours)) {
        // The reference writes 16 digits.
        let is_close = (recorded - ours).abs() <= recorded.abs() * 1e-15;
        return if is_close { Ok(()) } else { differ() };
    }
    let parsed = (serde_json::from_slice(recorded), serde_json::from_slice(ours));
    let (Ok(recorded), Ok(ours)) = parsed else {
        return differ();
    };
    if same_value(&recorded, &ours, bindings) { Ok(()) } else { differ() }
}

fn error_code_lenient(arg: &[u8]) -> i64 {
    serde_json::from_slice::<Value>(arg).map_or(-1, |report| report["Code"].as_i64().unwrap_or(-1))
}

fn same_value(recorded: &Value, ours: &Value, bindings: &mut Bindings) -> bool {
    match (recorded, ours) {
        (Value::String(recorded), Value::String(ours)) => {
            if is_stream_id(recorded) && is_stream_id(ours) {
                return bindings.unify(recorded, ours);
            }
            recorded == ours || is_agent_id(recorded) && is_agent_id(ours)
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            recorded.len() == ours.len()
                && recorded
                    .iter()
                    .zip(ours)
                    .all(|(recorded, ours)| same_value(recorded, ours, bindings))
        }
        (Value::Object(recorded), Value::Object(ours))
            if recorded.contains_key("TransportName") =>
        {
            // A peer: its values are its own, and all but the flags are strings.
            ["ID", "TransportName", "Host", "Port"].iter().all(|name| ours[*name].is_string())
                && ours.iter().all(|(name, value)| value.is_string() || name == "Flags")
        }
        _ => recorded == ours,
    }
}

/// A number in any of the ways to write it, also the agent's `-0.`.
fn number(arg: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(arg).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    // Integers of 64 bits do not fit a float: they are compared as text.
    if !is_number || text.len() > 15 && !text.contains(['.', 'e', 'E']) {
        return None;
    }
    text.parse().ok()
}
