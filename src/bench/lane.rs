//! One connection of a load.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;

use mio::net::TcpStream;

use crate::bench::discard::discard;
use crate::bench::{BenchError, Check, Intake, Opened, Pattern, Tally};

/// Pieces that one system call sends at most.
const PIECES_MAX: usize = 64;

/// Bytes that are worth a system call of their own to throw them away.
const DISCARD_BYTES_MIN: usize = 16 << 10;

/// Bytes received at once where much is thrown away: the head of what may be thrown away next.
const HEAD_BYTES: usize = 4 << 10;

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Reader,
}

/// A connection, what it sends, and what has come.
pub(crate) struct Lane {
    pub(crate) socket: TcpStream,
    pub(crate) role: Role,
    pub(crate) streams: Range<usize>,
    intake: Box<dyn Intake>,
    /// What the intake could not take yet.
    carry: Vec<u8>,
    /// Payload bytes of each local stream.
    pub(crate) positions: Vec<u64>,
    /// Batches passed of each local stream.
    pub(crate) passed: Vec<u64>,
    pub(crate) touched: Vec<usize>,
    /// All writes that this lane ever sends, encoded.
    encoded: Vec<u8>,
    /// What of them is to be sent.
    queue: VecDeque<Range<usize>>,
    /// Everything else that is to be sent, first.
    answer: Vec<u8>,
    /// Much of what comes is thrown away, so that only heads are to be received.
    takes_heads: bool,
}

impl Lane {
    pub(crate) fn new(
        opened: Opened,
        role: Role,
        streams: Range<usize>,
        encoded: Vec<u8>,
    ) -> Result<Lane, BenchError> {
        opened.socket.set_nonblocking(true)?;
        Ok(Lane {
            socket: TcpStream::from_std(opened.socket),
            role,
            intake: opened.intake,
            carry: opened.received,
            positions: vec![0; streams.len()],
            passed: vec![0; streams.len()],
            touched: Vec::new(),
            streams,
            encoded,
            queue: VecDeque::new(),
            answer: opened.first,
            takes_heads: false,
        })
    }

    /// Queues a part of the encoded writes.
    pub(crate) fn queue(&mut self, range: Range<usize>) {
        match self.queue.back_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.queue.push_back(range),
        }
    }

    /// Queues bytes of another kind.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.answer.extend_from_slice(bytes);
    }

    /// Whether something is to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.answer.is_empty() || !self.queue.is_empty()
    }

    /// Sends what the socket takes. Where it is full, its becoming writable tells when to go on.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.has_unsent() {
            match self.send() {
                Ok(count) => self.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<usize> {
        if !self.answer.is_empty() {
            return self.socket.write(&self.answer);
        }
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        for (slice, range) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(&self.encoded[range.clone()]);
            count += 1;
        }
        self.socket.write_vectored(&slices[..count])
    }

    fn sent(&mut self, mut count: usize) {
        if !self.answer.is_empty() {
            self.answer.drain(..count);
            return;
        }
        while let Some(first) = self.queue.front_mut() {
            if count < first.len() {
                first.start += count;
                return;
            }
            count -= first.len();
            self.queue.pop_front();
        }
    }

    /// Receives once. `false`: there is nothing more for now.
    ///
    /// # Errors
    /// What is wrong with the connection or with what came.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        pattern: &Pattern,
    ) -> Result<bool, BenchError> {
        let kept = self.carry.len();
        if kept >= scratch.len() {
            return Err(BenchError::Misbehaved("a message without an end".to_owned()));
        }
        let skippable = match pattern.check() {
            Check::Sampled if kept == 0 => self.intake.skippable(),
            _ => 0,
        };
        let is_discarding = skippable >= DISCARD_BYTES_MIN;
        let most = match is_discarding {
            true => skippable.min(scratch.len()),
            false if self.takes_heads => (kept + HEAD_BYTES).min(scratch.len()),
            false => scratch.len(),
        };
        let room = &mut scratch[..most];
        room[..kept].copy_from_slice(&self.carry);
        let received = match is_discarding {
            true => discard(&self.socket, room),
            false => self.socket.read(&mut room[kept..]),
        };
        let count = match received {
            Ok(0) => return Err(BenchError::Closed { report: None }),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let mut tally = Tally {
            pattern,
            first_stream: self.streams.start,
            positions: &mut self.positions,
            touched: &mut self.touched,
            answer: &mut self.answer,
        };
        let input = &room[..kept + count];
        if is_discarding {
            self.intake.skip(count, &mut tally);
            self.takes_heads = true;
        } else {
            let used = self.intake.take(input, &mut tally)?;
            self.carry.clear();
            self.carry.extend_from_slice(&input[used..]);
            let is_short = input.len() < most;
            self.takes_heads =
                self.intake.skippable() >= DISCARD_BYTES_MIN || (self.takes_heads && is_short);
        }
        // A short read has emptied the socket; what comes later is told again.
        Ok(input.len() == most)
    }

    /// Receives and forgets. `false` when the server has ended the connection.
    pub(crate) fn forget(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}
