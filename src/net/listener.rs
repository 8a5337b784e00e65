//! A listening socket.

use std::io;
use std::net::SocketAddr;

use mio::Registry;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps for us to accept. The kernel cuts it to its own bound
/// (`net.core.somaxconn`, 4096 on Linux); a lab whose relay restarts comes back all at once.
const BACKLOG: i32 = 4096;

/// Why a connection was not accepted.
#[derive(Debug)]
pub enum AcceptError {
    /// None is waiting.
    WouldBlock,
    /// The one that was waiting is gone; the next may be fine.
    Gone(io::Error),
    /// The process or the machine is out of file descriptors or memory: wait before trying again.
    Exhausted(io::Error),
}

/// A listening TCP socket that never blocks.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `address`. An IPv6 socket takes IPv6 only, so that `0.0.0.0` and `[::]` go
    /// together.
    ///
    /// # Errors
    /// What the system says: the address is taken, is not of this machine, needs privileges.
    pub fn bind(address: SocketAddr) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // A restart must not wait for the old connections' TIME_WAIT. (On Windows the option means
        // that anybody may steal the port.)
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let socket = std::net::TcpListener::from(socket);
        let address = socket.local_addr()?;
        Ok(Listener { socket: TcpListener::from_std(socket), address })
    }

    /// Where it really listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for readiness under `token`, edge-triggered: accept until [`AcceptError::WouldBlock`].
    ///
    /// # Errors
    /// What the system says.
    pub fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, mio::Interest::READABLE)
    }

    /// The next connection that waits.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub fn accept(&self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        self.socket.accept().map_err(AcceptError::from)
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> AcceptError {
        match error.kind() {
            io::ErrorKind::WouldBlock => return AcceptError::WouldBlock,
            io::ErrorKind::OutOfMemory => return AcceptError::Exhausted(error),
            _ => {}
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;
            let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
            if short.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) {
                return AcceptError::Exhausted(error);
            }
        }
        #[cfg(not(target_os = "linux"))]
        if !matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        ) {
            return AcceptError::Exhausted(error);
        }
        AcceptError::Gone(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_is_replaced_by_the_one_that_was_free() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(listener.address().port(), 0);
        let taken = Listener::bind(listener.address()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn accept_says_when_none_waits() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(matches!(listener.accept(), Err(AcceptError::WouldBlock)));
        let client = std::net::TcpStream::connect(listener.address()).unwrap();
        let (_socket, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_lack_of_descriptors_is_told_from_a_lost_connection() {
        let of = |errno: rustix::io::Errno| {
            AcceptError::from(io::Error::from_raw_os_error(errno.raw_os_error()))
        };
        assert!(matches!(of(rustix::io::Errno::MFILE), AcceptError::Exhausted(_)));
        assert!(matches!(of(rustix::io::Errno::CONNABORTED), AcceptError::Gone(_)));
        assert!(matches!(of(rustix::io::Errno::AGAIN), AcceptError::WouldBlock));
    }
}
