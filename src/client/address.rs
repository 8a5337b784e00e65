//! Where a broker is.

use std::fmt;
use std::str::FromStr;

/// The port that TCF peers listen on unless told otherwise.
pub const DEFAULT_PORT: u16 = 1534;

/// A host and a port, as people write them: `HOST`, `HOST:PORT`, `:PORT`, `[V6]:PORT`, each also
/// behind `TCP:` as in TCF peer URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:PORT, for example 127.0.0.1:1534")]
pub struct AddressError;

impl Address {
    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        // Only this one transport is stripped: `localhost:1534` is a host and a port here.
        let rest = match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("TCP:") => &text[4..],
            _ => text,
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(inner) => {
                let (host, behind) = inner.split_once(']').ok_or(AddressError)?;
                match behind {
                    "" => (host, None),
                    _ => (host, Some(behind.strip_prefix(':').ok_or(AddressError)?)),
                }
            }
            // More than one colon without brackets is a bare IPv6 address.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => digits.parse().ok().filter(|&port| port > 0).ok_or(AddressError)?,
        };
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == ';') {
            return Err(AddressError);
        }
        Ok(Address { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, expected) in [
            ("127.0.0.1:1600", "127.0.0.1:1600"),
            ("localhost:1534", "localhost:1534"),
            ("TCP:lab:1535", "lab:1535"),
            ("tcp:lab", "lab:1534"),
            ("TCP::1535", "127.0.0.1:1535"),
            ("lab", "lab:1534"),
            (":9", "127.0.0.1:9"),
            ("[::1]:1600", "[::1]:1600"),
            ("[::1]", "[::1]:1534"),
            ("fe80::1", "[fe80::1]:1534"),
        ] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in ["lab:", "lab:0", "lab:65536", "lab:x", "[::1", "[::1]x", "http://lab", "a b:1"]
        {
            assert_eq!(text.parse::<Address>(), Err(AddressError), "{text:?}");
        }
    }
}
