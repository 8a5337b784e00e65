//! What a protocol must say so that the loop can put a load on its servers.

use std::net::TcpStream;
use std::ops::Range;

use crate::bench::{BenchError, Pattern, Plan};

/// A protocol with publishers and readers. Streams are counted from 0; a connection carries one or
/// several of them, which it counts from 0 again ("local").
pub trait Protocol {
    /// Streams that one connection carries, at least 1.
    fn streams_per_lane(&self) -> usize {
        1
    }

    /// Whether the server answers each write. The answers are then counted as a reader's deliveries
    /// are.
    fn acknowledges(&self) -> bool;

    /// Connects what publishes these streams. Called for all streams before any reader is opened.
    ///
    /// # Errors
    /// What went wrong.
    fn open_publisher(&mut self, plan: &Plan, streams: Range<usize>) -> Result<Opened, BenchError>;

    /// Connects one reader of each of these streams. When it returns, the reader misses nothing
    /// that is written.
    ///
    /// # Errors
    /// What went wrong.
    fn open_reader(&mut self, plan: &Plan, streams: Range<usize>) -> Result<Opened, BenchError>;

    /// Called when all connections are open, before anything is written.
    ///
    /// # Errors
    /// What went wrong.
    fn opened(&mut self) -> Result<(), BenchError> {
        Ok(())
    }

    /// Encodes a write to a stream. `number` is its place among those that are encoded for the
    /// stream; the same number is not sent again before its write was delivered and answered.
    fn encode_write(&self, stream: usize, number: usize, payload: &[u8], out: &mut Vec<u8>);

    /// What a connection sends last.
    fn farewell(&self) -> &'static [u8] {
        b""
    }
}

/// A connection that is ready.
pub struct Opened {
    /// Connected; blocking still.
    pub socket: TcpStream,
    /// What came already and is for the intake.
    pub received: Vec<u8>,
    /// What is to be sent when the load starts.
    pub first: Vec<u8>,
    /// Reads what comes.
    pub intake: Box<dyn Intake>,
}

/// Reads what a server sends on one connection.
pub trait Intake {
    /// Takes what it can from the front of `input` and says how many bytes that is. The rest, which
    /// should be short, comes again with more behind it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn take(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError>;

    /// How many of the bytes that come next need only be counted. They may then be thrown away
    /// where they are, so that receiving costs next to nothing; never where every byte is compared.
    fn skippable(&self) -> usize {
        0
    }

    /// Counts bytes that were thrown away, at most as many as were skippable.
    fn skip(&mut self, _bytes: usize, _tally: &mut Tally<'_>) {}
}

/// Where an intake counts. Streams are local.
pub struct Tally<'a> {
    pub(crate) pattern: &'a Pattern,
    /// The stream that is local 0.
    pub(crate) first_stream: usize,
    /// Payload bytes delivered, or acknowledged, of each local stream.
    pub(crate) positions: &'a mut [u64],
    /// Local streams whose position has changed, perhaps more than once.
    pub(crate) touched: &'a mut Vec<usize>,
    pub(crate) answer: &'a mut Vec<u8>,
}

impl<'a> Tally<'a> {
    /// Counts what is delivered, in order, and checks it.
    ///
    /// # Errors
    /// [`BenchError::Wrong`].
    #[inline]
    pub fn delivered(&mut self, local: usize, piece: &[u8]) -> Result<(), BenchError> {
        self.pattern.verify(self.first_stream + local, self.positions[local], piece)?;
        self.advance(local, piece.len() as u64);
        Ok(())
    }

    /// Counts bytes that are delivered, or acknowledged, without a look at them.
    #[inline]
    pub fn advance(&mut self, local: usize, bytes: u64) {
        self.positions[local] += bytes;
        if self.touched.last() != Some(&local) {
            self.touched.push(local);
        }
    }

    /// Checks bytes that lie `ahead` of what was counted.
    ///
    /// # Errors
    /// [`BenchError::Wrong`].
    pub fn verify(&self, local: usize, ahead: u64, piece: &[u8]) -> Result<(), BenchError> {
        self.pattern.verify(self.first_stream + local, self.positions[local] + ahead, piece)
    }

    /// The pattern of this load.
    pub fn pattern(&self) -> &'a Pattern {
        self.pattern
    }

    /// Payload bytes counted of a stream.
    pub fn position(&self, local: usize) -> u64 {
        self.positions[local]
    }

    /// Sends something back on the same connection.
    pub fn answer(&mut self, bytes: &[u8]) {
        self.answer.extend_from_slice(bytes);
    }
}
