//! Connections that are refused: told why, with our end of stream, and closed soon after.
//!
//! A peer that is closed without an end of stream may spin for ever (the Python client does), and
//! closing with input unread would destroy what we said. So a refused connection is kept for a
//! moment, without a worker: its input is thrown away until its end or until the time is over.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::io::IoSlice;
use std::time::Duration;

use mio::Registry;
use mio::net::TcpStream;

use crate::endpoint::Endpoint;
use crate::net::{Conn, Socket};
use crate::service::{SERVICES, error_code, error_report};
use crate::time::{Instant, Now};
use crate::wire::WireLimits;

/// Refused connections that are not closed yet. One more closes the oldest.
const REFUSALS_MAX: usize = 64;

/// How long one is kept at most.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Input thrown away of one at most, before it is closed.
const DISCARD_BYTES_MAX: usize = 64 << 10;

/// Descriptors set aside to refuse with when there are none left otherwise.
const RESERVED_DESCRIPTORS: usize = 8;

/// What is opened to have a descriptor.
const PLACEHOLDER: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// The refused connections that are not closed yet, by age.
#[derive(Debug)]
pub(super) struct Refusals {
    waiting: VecDeque<Refusal>,
    /// Their keys begin here; those below belong to listeners.
    first_key: usize,
    /// Counts refusals.
    count: usize,
    /// Open files that stand for the descriptors set aside.
    reserve: Vec<File>,
}

#[derive(Debug)]
struct Refusal {
    key: usize,
    conn: Conn,
    discarded: usize,
    closes_at: Instant,
}

impl Refusals {
    /// None yet.
    pub(super) fn new(first_key: usize) -> Refusals {
        let mut refusals =
            Refusals { waiting: VecDeque::new(), first_key, count: 0, reserve: Vec::new() };
        refusals.refill_reserve();
        refusals
    }

    /// Tells a new connection `why` it is refused, and keeps it for a moment. Never waits.
    pub(super) fn refuse(&mut self, now: Now, registry: &Registry, socket: TcpStream, why: &str) {
        // Keys come again; those in use at once are too few to meet.
        let key = self.first_key + self.count % (2 * REFUSALS_MAX);
        self.count += 1;
        let conn = Conn::new(Socket::Tcp(socket)).and_then(|mut conn| {
            conn.register(registry, mio::Token(key))?;
            // A new socket has room for it.
            conn.write(&[IoSlice::new(&farewell(now, why))])?;
            conn.shutdown_write()?;
            Ok(conn)
        });
        // Where any of this failed, the peer is gone.
        let Ok(conn) = conn else { return };
        if self.waiting.len() == REFUSALS_MAX {
            self.waiting.pop_front();
        }
        let closes_at = now.instant.plus(REFUSAL_TIME);
        self.waiting.push_back(Refusal { key, conn, discarded: 0, closes_at });
    }

    /// Throws away what has come on the connection of this key, and closes it at its end.
    pub(super) fn discard(&mut self, key: usize) {
        let Some(index) = self.waiting.iter().position(|refusal| refusal.key == key) else {
            return;
        };
        if self.waiting[index].discard() {
            self.waiting.remove(index);
            self.refill_reserve();
        }
    }

    /// Closes those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|refusal| refusal.closes_at <= now) {
            self.waiting.pop_front();
            self.refill_reserve();
        }
    }

    /// When `expire` is due next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|refusal| refusal.closes_at)
    }

    /// Gives a descriptor that was set aside back to the system, to refuse one connection with.
    /// False: there is none.
    pub(super) fn release_descriptor(&mut self) -> bool {
        self.reserve.pop().is_some()
    }

    /// Sets descriptors aside, as far as there are some.
    pub(super) fn refill_reserve(&mut self) {
        while self.reserve.len() < RESERVED_DESCRIPTORS
            && let Ok(file) = File::open(PLACEHOLDER)
        {
            self.reserve.push(file);
        }
    }
}

impl Refusal {
    /// Whether it is to be closed.
    fn discard(&mut self) -> bool {
        let mut buffer = [0; 4096];
        while self.discarded < DISCARD_BYTES_MAX {
            match self.conn.read(&mut [&mut buffer]) {
                Ok(0) => return true,
                Ok(count) => self.discarded += count,
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
        true
    }
}

/// Our Hello, and our end of stream with the reason.
fn farewell(now: Now, why: &str) -> Vec<u8> {
    let mut endpoint: Endpoint<Infallible> = Endpoint::open(&SERVICES, &WireLimits::default());
    endpoint.finish(Some(error_report(error_code::BUFFER_OVERFLOW, now.unix_ms, why)));
    endpoint.close();
    endpoint.outbound.output.to_vec()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::net::Listener;

    struct Door {
        listener: Listener,
        poll: mio::Poll,
        refusals: Refusals,
    }

    fn door() -> Door {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Door { listener, poll: mio::Poll::new().unwrap(), refusals: Refusals::new(5) }
    }

    impl Door {
        fn refuse_one(&mut self) -> std::net::TcpStream {
            let client = std::net::TcpStream::connect(self.listener.address()).unwrap();
            let socket = self.listener.accept().unwrap().0;
            self.refusals.refuse(Now::default(), self.poll.registry(), socket, "Too many");
            client
        }
    }

    #[test]
    fn one_refused_is_told_why_with_our_end_of_stream_though_it_speaks() {
        let mut door = door();
        let mut client = door.refuse_one();
        client.write_all(b"E\0Locator\0Hello\0[]\0\x03\x01").unwrap();
        door.refusals.discard(5);
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("E\0Locator\0Hello\0"), "{text:?}");
        assert!(text.contains("\x03\x02{\"Code\":4") && text.contains("Too many"), "{text:?}");
        assert!(text.ends_with("\0\x03\x01"), "{text:?}");
    }

    #[test]
    fn no_more_are_kept_than_the_bound_and_none_beyond_its_time() {
        let mut door = door();
        let clients: Vec<_> = (0..=REFUSALS_MAX).map(|_| door.refuse_one()).collect();
        assert_eq!(door.refusals.waiting.len(), REFUSALS_MAX);
        let deadline = door.refusals.next_deadline().unwrap();
        assert_eq!(deadline, Instant::default().plus(REFUSAL_TIME));
        door.refusals.expire(Instant(deadline.0 - 1));
        assert_eq!(door.refusals.waiting.len(), REFUSALS_MAX);
        door.refusals.expire(deadline);
        assert_eq!(door.refusals.waiting.len(), 0);
        drop(clients);
    }

    #[test]
    fn a_flood_from_one_refused_is_cut_off() {
        let mut refusals = door();
        let mut client = refusals.refuse_one();
        client.set_nonblocking(true).unwrap();
        let mut rounds = 0;
        while !refusals.refusals.waiting.is_empty() {
            let _ = client.write(&[0; 4096]);
            refusals.refusals.discard(5);
            rounds += 1;
            assert!(rounds < 1_000_000, "it is never cut off");
        }
    }

    #[test]
    fn descriptors_are_set_aside_and_given_back_one_by_one() {
        let mut refusals = Refusals::new(0);
        assert_eq!((0..20).filter(|_| refusals.release_descriptor()).count(), RESERVED_DESCRIPTORS);
        refusals.refill_reserve();
        assert!(refusals.release_descriptor());
    }
}
