//! Binds addresses, and says what to do when that fails.

use std::io;
use std::net::SocketAddr;

use crate::config::{Address, HttpAddress, Settings};
use crate::net::Listener;
use crate::server::StartError;

/// Everything that listens.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) tcf: Vec<Listener>,
    pub(crate) http: Option<std::net::TcpListener>,
}

/// Which of the two services an address is for; they have different keys and neighbours.
#[derive(Clone, Copy)]
enum Purpose {
    Tcf,
    Http,
}

/// Binds all addresses of the settings.
pub(crate) fn bind(settings: &Settings) -> Result<Bound, StartError> {
    let mut tcf = Vec::new();
    for address in &settings.listen {
        tcf.extend(bind_each(address, Purpose::Tcf, Listener::bind, Listener::address)?);
    }
    let http = match &settings.http {
        HttpAddress::Off => None,
        HttpAddress::At(address) => {
            let local = |listener: &std::net::TcpListener| {
                listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
            };
            bind_each(address, Purpose::Http, bind_http, local)?.into_iter().next()
        }
    };
    Ok(Bound { tcf, http })
}

fn bind_http(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds what the address stands for. `localhost` is often two addresses, of which the machine may
/// have only one: those that are not there are passed over as long as one is.
fn bind_each<L>(
    address: &Address,
    purpose: Purpose,
    bind: impl Fn(SocketAddr) -> io::Result<L>,
    local: impl Fn(&L) -> SocketAddr,
) -> Result<Vec<L>, StartError> {
    let fault = |source| StartError::Bind { address: address.clone(), source };
    let mut listeners: Vec<L> = Vec::new();
    let mut not_there = None;
    for mut candidate in address.resolve().map_err(fault)? {
        if candidate.port() == 0
            && let Some(first) = listeners.first()
        {
            candidate.set_port(local(first).port());
        }
        match bind(candidate) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(taken(address, purpose));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(fault(error));
            }
            Err(error) => not_there = Some(error),
        }
    }
    match not_there {
        Some(error) if listeners.is_empty() => Err(fault(error)),
        _ => Ok(listeners),
    }
}

fn taken(address: &Address, purpose: Purpose) -> StartError {
    let other = Address { port: address.port.checked_add(1).unwrap_or(1024), ..address.clone() };
    let remedy = match purpose {
        Purpose::Tcf => format!("stop it, or give another port: --listen {other}"),
        Purpose::Http => format!("stop it, or give another port: --http {other} (or --http off)"),
    };
    StartError::Taken { address: address.clone(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_what_to_do() {
        let holder = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = holder.address().port();
        let mut settings =
            Settings { listen: vec![Address::loopback(port)], ..Settings::default() };
        let next = port.checked_add(1).unwrap_or(1024);
        assert_eq!(
            bind(&settings).unwrap_err().to_string(),
            format!(
                "127.0.0.1:{port} is taken: another program listens there (a TCF agent, another weir); \
                 stop it, or give another port: --listen 127.0.0.1:{next}"
            )
        );
        settings.listen = vec![Address::loopback(0)];
        settings.http = HttpAddress::At(Address::loopback(port));
        let text = bind(&settings).unwrap_err().to_string();
        assert!(text.ends_with(&format!("--http 127.0.0.1:{next} (or --http off)")), "{text}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        // 192.0.2.0/24 is reserved for documentation (RFC 5737).
        let listen = vec!["192.0.2.1:0".parse().unwrap()];
        let settings = Settings { listen, http: HttpAddress::Off, ..Settings::default() };
        let text = bind(&settings).unwrap_err().to_string();
        assert!(text.starts_with("cannot listen on 192.0.2.1:0: "), "{text}");
        assert!(text.ends_with("127.0.0.1 always is"), "{text}");
    }

    #[test]
    fn all_addresses_of_a_name_get_the_same_port() {
        let listen = vec!["localhost:0".parse().unwrap()];
        let settings = Settings { listen, http: HttpAddress::Off, ..Settings::default() };
        let bound = bind(&settings).unwrap();
        let port = bound.tcf[0].address().port();
        assert!(bound.tcf.iter().all(|listener| listener.address().port() == port));
    }
}
