//! What is remembered of a socket's readiness.

use std::io;

use crate::transport::Received;

/// What the poller says of a socket: what has come about since it was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The peer's end is there, behind what there is to read.
    pub end: bool,
    /// The connection is broken.
    pub broken: bool,
    /// A mark of urgent data is among what there is to read.
    pub urgent: bool,
}

/// The readiness of one socket, from one call to the next. Every transport over a socket keeps one.
#[derive(Clone, Copy, Debug)]
pub struct Edges {
    /// A read may find something.
    pub readable: bool,
    /// A write may find room.
    pub writable: bool,
    /// The peer's end is among what is to be read, or has been read.
    pub end: bool,
    /// The connection is broken.
    pub broken: bool,
    /// Marks of urgent data have come.
    urgent: bool,
}

impl Default for Edges {
    /// A new socket has room to write.
    fn default() -> Edges {
        Edges { readable: false, writable: true, end: false, broken: false, urgent: false }
    }
}

impl Edges {
    /// Takes note of what the poller says.
    pub fn note(&mut self, readiness: Readiness) {
        self.writable |= readiness.writable;
        self.end |= readiness.end;
        self.broken |= readiness.broken;
        self.urgent |= readiness.urgent;
        self.readable |=
            readiness.readable || readiness.end || readiness.broken || readiness.urgent;
    }

    /// Whether a read that does not fill its slices has emptied the socket. Not where an end or a
    /// failure that was told together with the bytes is still to be read, and nobody will tell it
    /// again; nor where the kernel ends a read at a mark of urgent data.
    pub fn short_read_empties(&self) -> bool {
        !self.end && !self.broken && !self.urgent
    }

    /// Takes note of a read, which has emptied the socket if `is_emptied`, and says what came of
    /// it.
    pub fn note_read(&mut self, outcome: io::Result<usize>, is_emptied: bool) -> Received {
        match outcome {
            Ok(0) => {
                self.end = true;
                self.readable = false;
                Received::End
            }
            Ok(count) => {
                self.readable &= !is_emptied;
                Received::Bytes(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Received::Nothing
            }
            Err(error) => Received::Broken(error),
        }
    }

    /// Takes note of a write, which has filled the socket if `is_filled`, and says how many bytes
    /// went.
    ///
    /// # Errors
    /// The connection is broken. What came before is to be read, and meets the failure.
    pub fn note_write(&mut self, outcome: io::Result<usize>, is_filled: bool) -> io::Result<usize> {
        match outcome {
            Ok(count) => {
                self.writable &= !is_filled;
                Ok(count)
            }
            Err(error) => {
                self.writable = false;
                if error.kind() == io::ErrorKind::WouldBlock {
                    return Ok(0);
                }
                self.broken = true;
                self.readable = true;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READABLE: Readiness =
        Readiness { readable: true, writable: false, end: false, broken: false, urgent: false };

    fn noted(readiness: Readiness) -> Edges {
        let mut edges = Edges::default();
        edges.note(readiness);
        edges
    }

    #[test]
    fn a_short_read_empties_a_socket_but_for_what_was_told_together_with_the_bytes() {
        assert!(noted(READABLE).short_read_empties());
        for more in [
            Readiness { end: true, ..READABLE },
            Readiness { broken: true, ..READABLE },
            Readiness { urgent: true, ..READABLE },
        ] {
            assert!(!noted(more).short_read_empties());
        }
    }

    #[test]
    fn readiness_lasts_until_a_call_shows_that_it_is_over() {
        let mut edges = noted(READABLE);
        assert!(matches!(edges.note_read(Ok(5), false), Received::Bytes(5)));
        assert!(edges.readable);
        assert!(matches!(edges.note_read(Ok(5), true), Received::Bytes(5)));
        assert!(!edges.readable);
        assert_eq!(edges.note_write(Ok(5), false).unwrap(), 5);
        assert!(edges.writable);
        let full = Err(io::ErrorKind::WouldBlock.into());
        assert_eq!(edges.note_write(full, true).unwrap(), 0);
        assert!(!edges.writable && !edges.broken);
    }

    #[test]
    fn a_write_that_fails_has_what_came_before_read() {
        let mut edges = Edges::default();
        assert!(edges.note_write(Err(io::ErrorKind::BrokenPipe.into()), true).is_err());
        assert!(edges.broken && edges.readable && !edges.writable);
    }
}
