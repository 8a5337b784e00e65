//! TCF as a protocol of the load generator: any peer with the service `Streams`.
//!
//! Streams are made with `StreamBroker.create` where the peer has it, else with
//! `Diagnostics.createTestStreams`.

mod acknowledgements;
mod deliveries;
mod read_head;
mod replies;
mod setup;

use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

use crate::bench::{BenchError, Opened, Plan, Protocol};
use crate::wire::{MessageWriter, Output};
use acknowledgements::Acknowledgements;
use deliveries::Deliveries;
pub(crate) use setup::{END, Setup, hello};

/// The least `BufferSize` of a stream that is made for a load: a peer's usual one.
const BUFFER_BYTES_MIN: usize = 1 << 20;

/// Windows that fit a stream's buffer, so that no write of a closed loop is ever parked.
const WINDOWS_PER_BUFFER: usize = 2;

/// How readers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcfOptions {
    /// Bytes that each `Streams.read` asks for.
    pub read_bytes: usize,
    /// Reads that a reader has under way on each stream, at least 1.
    pub reads: usize,
    /// Whether the readers' Hello lists `ZeroCopy`. Without, data comes as base64.
    pub zero_copy: bool,
    /// Streams that share a channel, at least 1: those of a publisher, and those of a reader.
    pub streams_per_channel: usize,
}

impl Default for TcfOptions {
    fn default() -> TcfOptions {
        TcfOptions { read_bytes: 256 << 10, reads: 4, zero_copy: true, streams_per_channel: 1 }
    }
}

/// A TCF peer under load.
#[derive(Debug)]
pub struct Tcf {
    address: SocketAddr,
    options: TcfOptions,
    /// What is told a peer that has `StreamBroker`: the argument of `introduce`. Null says nothing.
    introduction: Value,
    /// The IDs by which each stream is written and read, in order.
    streams: Vec<StreamNames>,
    /// Whether the peer takes binary data.
    takes_binary: bool,
    /// Digits of a write's token.
    token_digits: usize,
    ring_writes: usize,
}

/// The IDs of the two ends of a stream; the same where a stream has no two.
#[derive(Clone, Debug)]
struct StreamNames {
    write: String,
    read: String,
}

impl Tcf {
    /// The peer at this address.
    pub fn new(address: SocketAddr, options: TcfOptions) -> Tcf {
        let reads = options.reads.max(1);
        let streams_per_channel = options.streams_per_channel.max(1);
        Tcf {
            address,
            options: TcfOptions { reads, streams_per_channel, ..options },
            introduction: Value::Null,
            streams: Vec::new(),
            takes_binary: true,
            token_digits: 1,
            ring_writes: 1,
        }
    }

    /// With this said of itself, as `StreamBroker.introduce` has it.
    #[must_use]
    pub fn introduced(mut self, introduction: Value) -> Tcf {
        self.introduction = introduction;
        self
    }

    fn open(&self, zero_copy: bool) -> Result<Setup, BenchError> {
        let mut channel = Setup::open(self.address, zero_copy)?;
        if !self.introduction.is_null() && channel.has_service("StreamBroker") {
            // A peer that does without names is as good as any other.
            match channel.call("StreamBroker", "introduce", |m| m.json(&self.introduction)) {
                Ok(()) | Err(BenchError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(channel)
    }

    fn create(&mut self, channel: &mut Setup, plan: &Plan) -> Result<(), BenchError> {
        let buffer_bytes = (plan.window_bytes * WINDOWS_PER_BUFFER)
            .max(plan.write_bytes * WINDOWS_PER_BUFFER)
            .max(BUFFER_BYTES_MIN) as u64;
        let names = if channel.has_service("StreamBroker") {
            let properties = serde_json::json!({
                "BufferSize": buffer_bytes,
                "StallTimeout": null,
                "Name": "load",
            });
            let id = channel.create("Bench", &properties)?;
            StreamNames { write: id.clone(), read: id }
        } else if channel.has_service("Diagnostics") {
            let (write, read) = channel.create_test_streams(buffer_bytes)?;
            channel.call("Streams", "connect", |message| message.string(&write))?;
            StreamNames { write, read }
        } else {
            return Err(BenchError::Plan(
                "the peer has neither StreamBroker nor Diagnostics to make a stream with"
                    .to_owned(),
            ));
        };
        self.streams.push(names);
        Ok(())
    }
}

impl Protocol for Tcf {
    fn streams_per_lane(&self) -> usize {
        self.options.streams_per_channel
    }

    fn acknowledges(&self) -> bool {
        true
    }

    fn open_publisher(&mut self, plan: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let mut channel = self.open(true)?;
        if !channel.has_service("Streams") {
            return Err(BenchError::Plan("the peer has no service Streams".to_owned()));
        }
        self.takes_binary = channel.has_service("ZeroCopy");
        self.ring_writes = plan.shape().ring_writes();
        self.token_digits = digits(self.ring_writes * self.options.streams_per_channel - 1);
        for _ in streams {
            self.create(&mut channel, plan)?;
        }
        let intake =
            Acknowledgements::new(self.token_digits, self.ring_writes, plan.write_bytes as u64);
        Ok(channel.into_opened(Vec::new(), Box::new(intake)))
    }

    fn open_reader(&mut self, _: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let mut channel = self.open(self.options.zero_copy)?;
        let names = &self.streams[streams];
        channel
            .call_each("Streams", "connect", names, |message, names| message.string(&names.read))?;
        let token_digits = digits(names.len() * self.options.reads - 1);
        let mut commands = Vec::new();
        for (local, names) in names.iter().enumerate() {
            for read in 0..self.options.reads {
                let mut output = Output::default();
                let token = format!("{:0token_digits$}", local * self.options.reads + read);
                MessageWriter::command(&mut output, false, token.as_bytes(), "Streams", "read")
                    .string(&names.read)
                    .integer(self.options.read_bytes as u64)
                    .end();
                commands.push(output.to_vec());
            }
        }
        let first = commands.concat();
        let intake = Deliveries::new(commands, self.options.reads);
        Ok(channel.into_opened(first, Box::new(intake)))
    }

    fn encode_write(&self, stream: usize, number: usize, payload: &[u8], out: &mut Vec<u8>) {
        let local = stream % self.options.streams_per_channel;
        let width = self.token_digits;
        let token = format!("{:0width$}", local * self.ring_writes + number);
        let mut output = Output::default();
        MessageWriter::command(
            &mut output,
            self.takes_binary,
            token.as_bytes(),
            "Streams",
            "write",
        )
        .string(&self.streams[stream].write)
        .integer(payload.len() as u64)
        .binary(&[Bytes::copy_from_slice(payload)])
        .end();
        out.extend_from_slice(&output.to_vec());
    }

    fn farewell(&self) -> &'static [u8] {
        END
    }
}

/// Digits of a number in decimal.
fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
