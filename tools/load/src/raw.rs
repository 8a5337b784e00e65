//! The fan-out server as a protocol: bytes as they are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use weir::bench::{BenchError, Intake, Opened, Plan, Protocol, Tally};

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A [`crate::fanout::Fanout`] under load.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    /// Where publishers connect.
    pub publishers: SocketAddr,
    /// Where subscribers connect.
    pub subscribers: SocketAddr,
}

impl Protocol for Raw {
    fn acknowledges(&self) -> bool {
        false
    }

    fn open_publisher(&mut self, _: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let socket = connect(self.publishers, streams.start)?;
        Ok(Opened { socket, received: Vec::new(), first: Vec::new(), intake: Box::new(Silence) })
    }

    fn open_reader(&mut self, _: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let mut socket = connect(self.subscribers, streams.start)?;
        socket.read_exact(&mut [0])?;
        Ok(Opened {
            socket,
            received: Vec::new(),
            first: Vec::new(),
            intake: Box::new(Bytes { is_sampled: false }),
        })
    }

    fn encode_write(&self, _: usize, _: usize, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
    }
}

fn connect(address: SocketAddr, stream: usize) -> Result<TcpStream, BenchError> {
    let unreachable = |error| BenchError::Unreachable { address: address.to_string(), error };
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT).map_err(unreachable)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.write_all(&(stream as u32).to_le_bytes())?;
    Ok(socket)
}

/// All bytes are payload.
struct Bytes {
    /// Some were looked at since some were skipped.
    is_sampled: bool,
}

impl Intake for Bytes {
    fn take(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError> {
        tally.delivered(0, input)?;
        self.is_sampled = true;
        Ok(input.len())
    }

    fn skippable(&self) -> usize {
        if self.is_sampled { usize::MAX } else { 0 }
    }

    fn skip(&mut self, bytes: usize, tally: &mut Tally<'_>) {
        tally.advance(0, bytes as u64);
        self.is_sampled = false;
    }
}

/// Nothing is expected.
struct Silence;

impl Intake for Silence {
    fn take(&mut self, _: &[u8], _: &mut Tally<'_>) -> Result<usize, BenchError> {
        Err(BenchError::Misbehaved("the fan-out server answered a publisher".to_owned()))
    }
}
