//! Addresses to listen on: `[TCP:]HOST:PORT`, as TCF's tools write them.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// A host and a port to listen on. All interfaces only where the user said so (`TCP::1534`,
/// `0.0.0.0:1534`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host name or IP address, without brackets.
    pub host: String,
    /// The port; 0 takes any free one.
    pub port: u16,
}

/// An address that cannot be read. Its text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A port alone.
    #[error(
        "`{0}` has no host: write 127.0.0.1:{1} for this machine only, TCP::{1} for all interfaces"
    )]
    HostMissing(String, u16),
    /// No port.
    #[error("`{0}` has no port: write {0}:{1}")]
    PortMissing(String, u16),
    /// A port that is no number from 0 to 65535.
    #[error("`{1}` in `{0}` is not a port: write a number from 0 to 65535")]
    Port(String, String),
    /// An IPv6 address without brackets.
    #[error("`{0}` reads as a bare IPv6 address: put it in brackets, [::1]:1534")]
    Brackets(String),
    /// A transport other than TCP.
    #[error("`{0}` asks for transport {1}: only TCP is there, write TCP:HOST:PORT")]
    Transport(String, String),
    /// Blanks, properties and the like.
    #[error("`{0}` is not an address: write HOST:PORT or TCP:HOST:PORT")]
    Form(String),
}

impl Address {
    /// The port that TCF tools look for first.
    pub const TCF_PORT: u16 = 1534;
    /// Our own, beside it.
    pub const HTTP_PORT: u16 = 9534;

    /// This machine only.
    pub fn loopback(port: u16) -> Address {
        Address { host: "127.0.0.1".to_owned(), port }
    }

    /// All socket addresses that the host stands for, each once.
    ///
    /// # Errors
    /// What the system's resolver says; `NotFound` where it knows no address.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
        }
        Ok(found)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(whole: &str) -> Result<Address, AddressError> {
        let form = || AddressError::Form(whole.to_owned());
        let (prefixed, text) = match whole.split_once(':') {
            Some((transport, rest)) if transport.eq_ignore_ascii_case("tcp") => (true, rest),
            Some((transport, rest)) if rest.contains(':') && is_other_transport(transport) => {
                return Err(AddressError::Transport(whole.to_owned(), transport.to_owned()));
            }
            _ => (false, whole),
        };
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || ";/@,".contains(c)) {
            return Err(form());
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(form)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, port),
                None if rest.is_empty() => {
                    return Err(AddressError::PortMissing(whole.to_owned(), Address::TCF_PORT));
                }
                None => return Err(form()),
            }
        } else {
            match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(AddressError::Brackets(whole.to_owned()));
                }
                Some(parts) => parts,
                None => match text.parse() {
                    Ok(port) => return Err(AddressError::HostMissing(whole.to_owned(), port)),
                    Err(_) => {
                        return Err(AddressError::PortMissing(whole.to_owned(), Address::TCF_PORT));
                    }
                },
            }
        };
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port.parse() {
            Ok(port) if is_number => port,
            _ => return Err(AddressError::Port(whole.to_owned(), port.to_owned())),
        };
        match host {
            // TCF's way to say "all interfaces". Without the prefix it is too easy to write by
            // accident.
            "" if prefixed => Ok(Address { host: "0.0.0.0".to_owned(), port }),
            "" => Err(AddressError::HostMissing(whole.to_owned(), port)),
            _ => Ok(Address { host: host.to_owned(), port }),
        }
    }
}

/// Transport names that TCF peers have, other than TCP.
fn is_other_transport(name: &str) -> bool {
    ["ssl", "tls", "unix", "ws", "wss", "http", "https", "udp", "pipe"]
        .iter()
        .any(|other| other.eq_ignore_ascii_case(name))
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

/// Where HTTP is served, if at all. Written as an address or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAddress {
    /// Nowhere.
    Off,
    /// Here.
    At(Address),
}

impl FromStr for HttpAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<HttpAddress, AddressError> {
        match text {
            "off" => Ok(HttpAddress::Off),
            _ => {
                // As the ready line has it, to be copied.
                let bare = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
                let address = bare.unwrap_or(text).parse();
                address.map(HttpAddress::At).map_err(|error| match error {
                    AddressError::PortMissing(host, _) => {
                        AddressError::PortMissing(host, Address::HTTP_PORT)
                    }
                    other => other,
                })
            }
        }
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpAddress::Off => f.write_str("off"),
            HttpAddress::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_tcf_tools_write_them() {
        for (text, shown) in [
            ("127.0.0.1:1534", "127.0.0.1:1534"),
            ("TCP:127.0.0.1:1535", "127.0.0.1:1535"),
            ("tcp:lab-7.example:0", "lab-7.example:0"),
            ("TCP::1535", "0.0.0.0:1535"),
            ("[::1]:1534", "[::1]:1534"),
            ("tcp:[fe80::1]:65535", "[fe80::1]:65535"),
            ("localhost:1534", "localhost:1534"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn each_bad_address_is_told_what_to_do() {
        for (text, message) in [
            (
                "1534",
                "`1534` has no host: write 127.0.0.1:1534 for this machine only, TCP::1534 for all interfaces",
            ),
            (
                ":99",
                "`:99` has no host: write 127.0.0.1:99 for this machine only, TCP::99 for all interfaces",
            ),
            (
                "TCP:1534",
                "`TCP:1534` has no host: write 127.0.0.1:1534 for this machine only, TCP::1534 for all interfaces",
            ),
            ("localhost", "`localhost` has no port: write localhost:1534"),
            ("[::1]", "`[::1]` has no port: write [::1]:1534"),
            ("a:65536", "`65536` in `a:65536` is not a port: write a number from 0 to 65535"),
            ("a:+1", "`+1` in `a:+1` is not a port: write a number from 0 to 65535"),
            ("a:", "`` in `a:` is not a port: write a number from 0 to 65535"),
            ("::1:1534", "`::1:1534` reads as a bare IPv6 address: put it in brackets, [::1]:1534"),
            (
                "SSL:host:1534",
                "`SSL:host:1534` asks for transport SSL: only TCP is there, write TCP:HOST:PORT",
            ),
            (
                "TCP:h:1;Name=x",
                "`TCP:h:1;Name=x` is not an address: write HOST:PORT or TCP:HOST:PORT",
            ),
            ("", "`` is not an address: write HOST:PORT or TCP:HOST:PORT"),
            ("TCP:", "`TCP:` is not an address: write HOST:PORT or TCP:HOST:PORT"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn http_may_be_off() {
        assert_eq!("off".parse(), Ok(HttpAddress::Off));
        assert_eq!("[::1]:80".parse::<HttpAddress>().unwrap().to_string(), "[::1]:80");
        assert_eq!("http://[::1]:80/".parse::<HttpAddress>().unwrap().to_string(), "[::1]:80");
        let error = "localhost".parse::<HttpAddress>().unwrap_err().to_string();
        assert_eq!(error, "`localhost` has no port: write localhost:9534");
    }

    #[test]
    fn a_numeric_address_resolves_to_itself() {
        let address = Address::loopback(7);
        assert_eq!(address.resolve().unwrap(), vec!["127.0.0.1:7".parse().unwrap()]);
    }
}
