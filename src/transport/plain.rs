//! Bytes as they are, over a socket of the system.

use std::io::{self, IoSlice};

use crate::net::Conn;
use crate::transport::{Edges, Readiness, Received, Transport};

/// Whether a call that moves fewer bytes than it was asked to shows that readiness is over, so that
/// a message costs one read and not two. Linux promises it (epoll(7)); elsewhere only `WouldBlock`
/// counts.
const SHORT_CALL_COUNTS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A socket whose bytes are the channel's.
#[derive(Debug)]
pub struct Plain {
    conn: Conn,
    edges: Edges,
    is_finished: bool,
}

impl Plain {
    /// Carries over `conn`, whose readiness is to be told from here on.
    pub fn new(conn: Conn) -> Plain {
        Plain { conn, edges: Edges::default(), is_finished: false }
    }
}

impl Transport for Plain {
    fn note(&mut self, readiness: Readiness) {
        self.edges.note(readiness);
    }

    fn receive(&mut self, slices: &mut [&mut [u8]]) -> Received {
        let room: usize = slices.iter().map(|slice| slice.len()).sum();
        let outcome = self.conn.read(slices);
        let is_short = outcome.as_ref().is_ok_and(|count| *count < room);
        let is_emptied = SHORT_CALL_COUNTS && is_short && self.edges.short_read_empties();
        self.edges.note_read(outcome, is_emptied)
    }

    fn may_receive(&self) -> bool {
        self.edges.readable
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let asked: usize = slices.iter().map(|slice| slice.len()).sum();
        let outcome = self.conn.write(slices);
        let is_short = outcome.as_ref().is_ok_and(|count| *count < asked);
        self.edges.note_write(outcome, SHORT_CALL_COUNTS && is_short)
    }

    fn may_send(&self) -> bool {
        self.edges.writable
    }

    fn wants_to_write(&self) -> bool {
        false
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.is_finished = true;
        self.conn.shutdown_write()
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }

    fn buffered_bytes(&self) -> usize {
        0
    }

    fn has_end(&self) -> bool {
        self.edges.end
    }

    fn is_broken(&self) -> bool {
        self.edges.broken
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use socket2::SockRef;

    use super::*;
    use crate::net::{Listener, Socket};

    const KEY: mio::Token = mio::Token(7);

    struct Ends {
        ours: Plain,
        theirs: std::net::TcpStream,
        poll: mio::Poll,
    }

    fn ends() -> Ends {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let theirs = std::net::TcpStream::connect(listener.address()).unwrap();
        let mut conn = Conn::new(Socket::Tcp(listener.accept().unwrap().0)).unwrap();
        let poll = mio::Poll::new().unwrap();
        conn.register(poll.registry(), KEY).unwrap();
        Ends { ours: Plain::new(conn), theirs, poll }
    }

    impl Ends {
        /// Goes by readiness alone, as a worker does, until `count` bytes or the end have come.
        fn receive(&mut self, count: usize) -> (Vec<u8>, bool) {
            let mut events = mio::Events::with_capacity(4);
            let mut bytes = Vec::new();
            while bytes.len() < count {
                if !self.ours.may_receive() {
                    self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
                    assert!(!events.is_empty(), "nothing is told of {} bytes", count - bytes.len());
                    for event in &events {
                        self.ours.note(Readiness {
                            readable: event.is_readable(),
                            writable: event.is_writable(),
                            end: event.is_read_closed(),
                            broken: event.is_error(),
                            urgent: event.is_priority(),
                        });
                    }
                }
                let mut slice = [0; 64];
                match self.ours.receive(&mut [&mut slice]) {
                    Received::Bytes(count) => bytes.extend(&slice[..count]),
                    Received::Nothing => {}
                    Received::End => return (bytes, true),
                    Received::Broken(error) => panic!("{error}"),
                }
            }
            (bytes, false)
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_message_costs_one_read() {
        let mut ends = ends();
        ends.theirs.write_all(b"message").unwrap();
        assert_eq!(ends.receive(7).0, b"message");
        assert!(!ends.ours.may_receive());
        ends.theirs.write_all(b"another").unwrap();
        assert_eq!(ends.receive(7).0, b"another");
    }

    #[test]
    fn an_end_that_was_told_together_with_the_last_bytes_is_received() {
        let mut ends = ends();
        ends.theirs.write_all(b"last").unwrap();
        ends.theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(ends.receive(usize::MAX), (b"last".to_vec(), true));
        assert!(ends.ours.has_end() && !ends.ours.may_receive());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn bytes_behind_a_mark_of_urgent_data_are_received() {
        let mut ends = ends();
        ends.theirs.write_all(b"before").unwrap();
        SockRef::from(&ends.theirs).send_out_of_band(b"!").unwrap();
        ends.theirs.write_all(b"behind").unwrap();
        assert_eq!(ends.receive(12).0, b"beforebehind");
    }
}
