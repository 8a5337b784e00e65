//! Who may ask. A web page that the operator happens to visit must not reach the broker through the
//! operator's browser: not under a name of the page's own that resolves to this machine (DNS
//! rebinding; the `Host` header gives it away), nor as a plain cross-site request (the `Origin`
//! and `Sec-Fetch-Site` headers do). Programs send neither of the latter.

use std::net::IpAddr;

/// What a request's headers tell of where it comes from. One that is no text equals nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Provenance<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub(crate) fetch_site: Option<&'a str>,
    /// Whether somebody follows a link or types an address: the answer replaces the page that they
    /// came from, and no page gets to see it. Never true of what does more than answer: a tail
    /// reads a stream, and may hold it up.
    pub(crate) is_navigation: bool,
    /// A header of these that is there twice: which of them counts is anybody's guess.
    pub(crate) twice: Option<&'static str>,
    /// The host in the request's first line, where there is one: it counts before the header.
    pub(crate) target: Option<&'a str>,
}

/// Checks where requests come from.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// The address that HTTP is bound to.
    bound: IpAddr,
    /// The host as the operator wrote it.
    written: String,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("403: the request has no Host header\n")]
    HostMissing,
    #[error("403: the request has more than one {0} header\n")]
    Twice(&'static str),
    #[error("403: the host in the request's first line is not that of its Host header\n")]
    Target,
    #[error(
        "403: this server does not answer to the host name {0:?}; use localhost or its IP address\n"
    )]
    Host(String),
    #[error("403: requests from pages of {0:?} are not answered\n")]
    Origin(String),
    #[error("403: {0} requests of pages elsewhere are not answered\n")]
    Site(String),
}

impl Guard {
    pub(crate) fn new(bound: IpAddr, written: &str) -> Guard {
        Guard { bound, written: written.to_owned() }
    }

    /// Whether a request with these headers may be answered.
    pub(crate) fn check(&self, from: Provenance<'_>) -> Result<(), Denied> {
        if let Some(name) = from.twice {
            return Err(Denied::Twice(name));
        }
        let host = from.host.ok_or(Denied::HostMissing)?;
        if !host_name(host).is_some_and(|name| self.is_own(name)) {
            return Err(Denied::Host(host.to_owned()));
        }
        if from.target.is_some_and(|target| target != host) {
            return Err(Denied::Target);
        }
        // The page came from us: same scheme, host and port.
        if let Some(origin) = from.origin
            && origin.strip_prefix("http://") != Some(host)
        {
            return Err(Denied::Origin(origin.to_owned()));
        }
        match from.fetch_site {
            None | Some("same-origin" | "none") => Ok(()),
            Some(_) if from.is_navigation => Ok(()),
            Some(site) => Err(Denied::Site(site.to_owned())),
        }
    }

    /// Whether the name is one of ours. The port is not looked at: it differs behind a tunnel, and
    /// tells nothing about who asks.
    fn is_own(&self, name: &str) -> bool {
        if let Ok(address) = name.parse::<IpAddr>() {
            // A rebinding page has a name; an address typed by a person is fine wherever we listen.
            return address.is_loopback() || address == self.bound || self.bound.is_unspecified();
        }
        name.eq_ignore_ascii_case("localhost")
            || name.to_ascii_lowercase().ends_with(".localhost")
            || (!self.written.is_empty() && name.eq_ignore_ascii_case(&self.written))
    }
}

/// The name in a `Host` header: without the port, and without the brackets of IPv6. `None` for what
/// is no host and port.
fn host_name(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            name.parse::<std::net::Ipv6Addr>().ok()?;
            (name, port)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |digits: &str| digits.parse::<u16>().is_ok() && !digits.starts_with('+');
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(bound: &str, written: &str) -> Guard {
        Guard::new(bound.parse().unwrap(), written)
    }

    fn check(guard: &Guard, host: Option<&str>, origin: Option<&str>) -> Result<(), Denied> {
        guard.check(Provenance { host, origin, ..Provenance::default() })
    }

    #[test]
    fn loopback_names_and_the_bound_address_are_answered() {
        let loopback = guard("127.0.0.1", "127.0.0.1");
        for host in [
            "localhost",
            "localhost:9534",
            "LOCALHOST:80",
            "127.0.0.1:9534",
            "127.9.9.9",
            "[::1]:1",
        ] {
            assert_eq!(check(&loopback, Some(host), None), Ok(()), "{host}");
        }
        let named = guard("10.1.2.3", "lab-7.example");
        for host in ["10.1.2.3:9534", "lab-7.example:9534", "localhost"] {
            assert_eq!(check(&named, Some(host), None), Ok(()), "{host}");
        }
        let everywhere = guard("0.0.0.0", "0.0.0.0");
        assert_eq!(check(&everywhere, Some("192.0.2.7:9534"), None), Ok(()));
    }

    #[test]
    fn other_names_are_refused() {
        for host in [
            "evil.example",
            "evil.example:9534",
            "localhost.evil.example",
            "192.0.2.7",
            "",
            "localhost:80:80",
            "localhost:",
            "localhost:+80",
            "localhost:http",
            "localhost@evil.example",
            "evil.example:80@localhost",
            "localhost, evil.example",
            " localhost",
            "[::1",
            "[::1]evil.example",
            "[localhost]",
            "localhost/evil.example",
            "(not text)",
        ] {
            assert_eq!(
                check(&guard("127.0.0.1", "127.0.0.1"), Some(host), None),
                Err(Denied::Host(host.to_owned()))
            );
        }
        assert!(check(&guard("0.0.0.0", "0.0.0.0"), Some("evil.example"), None).is_err());
        assert_eq!(check(&guard("127.0.0.1", ""), None, None), Err(Denied::HostMissing));
    }

    #[test]
    fn foreign_origins_are_refused_and_our_own_is_not() {
        let guard = guard("127.0.0.1", "127.0.0.1");
        let host = Some("localhost:9534");
        assert_eq!(check(&guard, host, Some("http://localhost:9534")), Ok(()));
        for origin in
            ["http://evil.example", "https://localhost:9534", "http://localhost:3000", "null"]
        {
            assert_eq!(check(&guard, host, Some(origin)), Err(Denied::Origin(origin.to_owned())));
        }
    }

    #[test]
    fn requests_without_an_origin_that_a_foreign_page_makes_are_refused() {
        let guard = guard("127.0.0.1", "127.0.0.1");
        let check = |site, is_navigation| {
            let host = Some("localhost:9534");
            let fetch_site = Some(site);
            guard.check(Provenance { host, fetch_site, is_navigation, ..Provenance::default() })
        };
        for site in ["same-origin", "none"] {
            assert_eq!(check(site, false), Ok(()));
        }
        for site in ["cross-site", "same-site", "(not text)"] {
            assert_eq!(check(site, false), Err(Denied::Site(site.to_owned())));
            assert_eq!(check(site, true), Ok(()));
        }
    }

    #[test]
    fn headers_that_are_there_twice_and_another_host_in_the_first_line_are_refused() {
        let guard = guard("127.0.0.1", "127.0.0.1");
        let own = Provenance { host: Some("localhost:9534"), ..Provenance::default() };
        let twice = Provenance { twice: Some("Origin"), ..own };
        assert_eq!(guard.check(twice), Err(Denied::Twice("Origin")));
        let target = |target| guard.check(Provenance { target: Some(target), ..own });
        assert_eq!(target("localhost:9534"), Ok(()));
        assert_eq!(target("evil.example"), Err(Denied::Target));
    }
}
