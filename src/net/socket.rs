//! A connected socket of either kind that carries a channel.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// A connected socket that never blocks.
#[derive(Debug)]
pub enum Socket {
    /// A TCP connection.
    Tcp(TcpStream),
    /// One end of a pair within this process.
    #[cfg(unix)]
    Pair(UnixStream),
}

/// Two connected sockets within this process: one for a worker, and the other, which does not block
/// either, for whoever talks to it.
///
/// # Errors
/// No file descriptor is left.
#[cfg(unix)]
pub fn pair() -> io::Result<(Socket, std::os::unix::net::UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((Socket::Pair(UnixStream::from_std(theirs)), ours))
}

/// Does the same with either kind.
macro_rules! either {
    ($socket:expr, $inner:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($inner) => $call,
            #[cfg(unix)]
            Socket::Pair($inner) => $call,
        }
    };
}

impl Socket {
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        // The kernel ends a read at a mark of urgent data, so one that comes must be known.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = interest | Interest::PRIORITY;
        either!(self, socket => registry.register(socket, token, interest))
    }

    pub(super) fn read(&mut self, slice: &mut [u8]) -> io::Result<usize> {
        either!(self, socket => socket.read(slice))
    }

    pub(super) fn read_vectored(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        either!(self, socket => socket.read_vectored(slices))
    }

    pub(super) fn write(&mut self, slice: &[u8]) -> io::Result<usize> {
        either!(self, socket => socket.write(slice))
    }

    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, socket => socket.write_vectored(slices))
    }

    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        either!(self, socket => socket.shutdown(Shutdown::Write))
    }
}
