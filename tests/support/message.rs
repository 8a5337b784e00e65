//! Messages and their fields, as the broker's peer sees them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::framing::Unit;

/// One message, its arguments still in their wire form (without their NULs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Command {
        token: Vec<u8>,
        service: String,
        name: String,
        args: Vec<Vec<u8>>,
    },
    Reply {
        token: Vec<u8>,
        args: Vec<Vec<u8>>,
    },
    Progress {
        token: Vec<u8>,
        args: Vec<Vec<u8>>,
    },
    NotRecognized {
        token: Vec<u8>,
    },
    Event {
        service: String,
        name: String,
        args: Vec<Vec<u8>>,
    },
    Flow {
        args: Vec<Vec<u8>>,
    },
    /// End of stream; the report is empty where the peer closed without an error.
    End {
        report: Vec<u8>,
    },
    /// The connection's other direction is closed.
    Fin,
}

impl Message {
    /// Reads a unit strictly: what a careful client would accept.
    pub fn parse(unit: Unit) -> Result<Message, String> {
        let body = match unit {
            Unit::End(body) => {
                let mut args = split_args(&body)?;
                if args.len() > 1 {
                    return Err(format!("{} fields in an end of stream", args.len()));
                }
                return Ok(Message::End { report: args.pop().unwrap_or_default() });
            }
            Unit::Message(body) => body,
        };
        let (kind, rest) = field(&body)?;
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| "a name that is not UTF-8".to_owned())
        };
        Ok(match kind {
            b"C" => {
                let (token, rest) = field(rest)?;
                let (service, rest) = field(rest)?;
                let (name, rest) = field(rest)?;
                Message::Command {
                    token: token.to_vec(),
                    service: text(service)?,
                    name: text(name)?,
                    args: split_args(rest)?,
                }
            }
            b"R" => {
                let (token, rest) = field(rest)?;
                Message::Reply { token: token.to_vec(), args: split_args(rest)? }
            }
            b"P" => {
                let (token, rest) = field(rest)?;
                Message::Progress { token: token.to_vec(), args: split_args(rest)? }
            }
            b"N" => {
                let (token, rest) = field(rest)?;
                if !rest.is_empty() {
                    return Err("an N message with arguments".to_owned());
                }
                Message::NotRecognized { token: token.to_vec() }
            }
            b"E" => {
                let (service, rest) = field(rest)?;
                let (name, rest) = field(rest)?;
                Message::Event {
                    service: text(service)?,
                    name: text(name)?,
                    args: split_args(rest)?,
                }
            }
            b"F" => Message::Flow { args: split_args(rest)? },
            other => return Err(format!("message type {:?}", other.escape_ascii().to_string())),
        })
    }

    /// The token, of a message that has one.
    pub fn token(&self) -> Option<&[u8]> {
        match self {
            Message::Command { token, .. }
            | Message::Reply { token, .. }
            | Message::Progress { token, .. }
            | Message::NotRecognized { token } => Some(token),
            _ => None,
        }
    }
}

fn field(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let end = bytes.iter().position(|&byte| byte == 0).ok_or("a field without its NUL")?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

/// Splits an argument area into arguments; a `(N)` value may hold NULs.
pub fn split_args(mut rest: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut args = Vec::new();
    while !rest.is_empty() {
        let start = match counted(rest) {
            Some((head, count)) if rest.len() > head + count => head + count,
            Some(_) => return Err("a (N) value longer than its message".to_owned()),
            None => 0,
        };
        let (_, behind) = field(&rest[start..])?;
        let end = rest.len() - behind.len() - 1;
        args.push(rest[..end].to_vec());
        rest = behind;
    }
    Ok(args)
}

/// Of `(N)…`: the length of `(N)` and N.
fn counted(bytes: &[u8]) -> Option<(usize, usize)> {
    let digits = bytes.strip_prefix(b"(")?;
    let close = digits.iter().position(|&byte| byte == b')')?;
    let count = std::str::from_utf8(&digits[..close]).ok()?.parse().ok()?;
    Some((close + 2, count))
}

/// An argument as JSON.
pub fn json(arg: &[u8]) -> Value {
    serde_json::from_slice(arg)
        .unwrap_or_else(|error| panic!("{error} in argument {:?}", arg.escape_ascii().to_string()))
}

/// An argument as binary data, in any of the three forms.
pub fn binary(arg: &[u8]) -> Vec<u8> {
    if arg == b"null" {
        return Vec::new();
    }
    if let Some((head, count)) = counted(arg) {
        assert_eq!(arg.len(), head + count, "a (N) value of its own length");
        return arg[head..].to_vec();
    }
    let text = json(arg);
    STANDARD.decode(text.as_str().expect("base64 in a string")).expect("canonical base64")
}

/// Data as a base64 argument.
pub fn base64_arg(data: &[u8]) -> Vec<u8> {
    format!("\"{}\"", STANDARD.encode(data)).into_bytes()
}

/// Data as a `(N)` argument.
pub fn counted_arg(data: &[u8]) -> Vec<u8> {
    let mut arg = format!("({})", data.len()).into_bytes();
    arg.extend_from_slice(data);
    arg
}

/// The code of an error report: 0 for success, which is empty or `null`.
pub fn error_code(arg: &[u8]) -> i64 {
    if arg.is_empty() || arg == b"null" {
        return 0;
    }
    let report = json(arg);
    assert!(report["Format"].is_string(), "a report with a text for people: {report}");
    report["Code"].as_i64().unwrap_or_else(|| panic!("a report with a code: {report}"))
}

/// The text of an error report.
pub fn error_text(arg: &[u8]) -> String {
    if arg.is_empty() || arg == b"null" {
        return String::new();
    }
    json(arg)["Format"].as_str().unwrap_or_default().to_owned()
}
