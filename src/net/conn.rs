//! A connected socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::time::Duration;

use mio::{Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use crate::net::Socket;

/// How long a connection is silent before the kernel asks whether the peer is still there. Boards
/// lose power and laptops sleep without a word; a reader that is gone should not be kept for hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Questions without an answer until the connection counts as broken: two minutes of silence in
/// all.
const KEEPALIVE_RETRIES: u32 = 6;

/// A connected socket that never blocks.
#[derive(Debug)]
pub struct Conn {
    socket: Socket,
}

impl Conn {
    /// Takes a socket and sets the options of its kind. Buffer sizes are left to the kernel, which
    /// tunes them by itself as long as nobody sets them.
    ///
    /// # Errors
    /// What the system says (the peer may be gone already).
    pub fn new(socket: Socket) -> io::Result<Conn> {
        if let Socket::Tcp(socket) = &socket {
            set_options(socket)?;
        }
        Ok(Conn { socket })
    }

    /// Asks for readiness under `token`, edge-triggered: a side that was ready stays so until a
    /// call on it says `WouldBlock` or moves less than it was asked to.
    ///
    /// # Errors
    /// What the system says.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket.register(registry, token)
    }

    /// Reads what is there into the slices, in order; 0 is the peer's end.
    ///
    /// # Errors
    /// `WouldBlock`, or the connection is broken.
    pub fn read(&mut self, slices: &mut [&mut [u8]]) -> io::Result<usize> {
        retry(|| match slices {
            [one] => self.socket.read(one),
            [first, second] => {
                self.socket.read_vectored(&mut [IoSliceMut::new(first), IoSliceMut::new(second)])
            }
            _ => unreachable!("the worker reads into one or two slices"),
        })
    }

    /// Writes from the slices, in order; fewer bytes than there are means that the kernel's buffer
    /// is full.
    ///
    /// # Errors
    /// `WouldBlock`, or the connection is broken.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => retry(|| self.socket.write(one)),
            _ => retry(|| self.socket.write_vectored(slices)),
        }
    }

    /// Says to the peer that nothing more comes (FIN).
    ///
    /// # Errors
    /// The connection is broken.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        self.socket.shutdown_write()
    }
}

/// Sets the options of a TCP connection: no delay, and questions to a peer that is silent.
///
/// # Errors
/// What the system says (the peer may be gone already).
pub fn set_options<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    // We gather replies ourselves; the kernel should hold none back for an acknowledgement.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    #[cfg(not(any(target_os = "openbsd", target_os = "redox", target_os = "haiku")))]
    let keepalive = keepalive.with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&keepalive)
}

/// Repeats a call that a signal interrupted.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::net::Listener;

    fn pair() -> (Conn, std::net::TcpStream) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = std::net::TcpStream::connect(listener.address()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        (Conn::new(Socket::Tcp(socket)).unwrap(), client)
    }

    /// Reads as soon as something is there, with a poller instead of a sleep.
    fn read_when_ready(conn: &mut Conn, slices: &mut [&mut [u8]]) -> usize {
        let mut poll = mio::Poll::new().unwrap();
        conn.register(poll.registry(), Token(0)).unwrap();
        let mut events = mio::Events::with_capacity(4);
        loop {
            match conn.read(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
                    assert!(!events.is_empty(), "nothing came in 10 s");
                }
                outcome => return outcome.unwrap(),
            }
        }
    }

    #[test]
    fn one_read_fills_two_slices() {
        let (mut conn, mut client) = pair();
        client.write_all(b"abcdef").unwrap();
        let (mut first, mut second) = ([0; 4], [0; 16]);
        assert_eq!(read_when_ready(&mut conn, &mut [&mut first, &mut second]), 6);
        assert_eq!((&first, &second[..2]), (b"abcd", &b"ef"[..]));
    }

    #[test]
    fn one_write_takes_many_slices_and_the_end_is_seen() {
        let (mut conn, mut client) = pair();
        let slices = [IoSlice::new(b"one "), IoSlice::new(b"two "), IoSlice::new(b"three")];
        assert_eq!(conn.write(&slices).unwrap(), 13);
        conn.shutdown_write().unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two three");
        drop(client);
        assert_eq!(read_when_ready(&mut conn, &mut [&mut [0; 8]]), 0);
    }

    #[test]
    #[cfg(unix)]
    fn a_pair_within_the_process_carries_bytes_both_ways() {
        let (socket, mut ours) = crate::net::pair().unwrap();
        let mut conn = Conn::new(socket).unwrap();
        ours.write_all(b"there").unwrap();
        let mut slice = [0; 16];
        assert_eq!(read_when_ready(&mut conn, &mut [&mut slice]), 5);
        assert_eq!(conn.write(&[IoSlice::new(b"and "), IoSlice::new(b"back")]).unwrap(), 8);
        conn.shutdown_write().unwrap();
        ours.set_nonblocking(false).unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "and back");
    }
}
