//! What can be typed behind `weir bench`.

use clap::ValueEnum;

use crate::cli::args::CallerArgs;
use crate::cli::units::{milliseconds, size, some_milliseconds};
use crate::client::Address;

/// The loads, for the help.
pub const LOADS: &str = "\
Loads:
  bulk          writes of 16 KiB to one stream with one reader
  small         writes of 64 bytes to one stream with one reader
  fan-out       writes of 16 KiB to one stream with eight readers
  streams       writes of 256 bytes to 200 streams with two readers each
  round-trip    one write of 256 bytes at a time, until every reader has it
  storm         connections: open, Hello, close
  idle          channels that do nothing
";

/// What to put on which peer.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// The peer
    #[arg(value_name = "HOST:PORT", env = "WEIR_BROKER", default_value = "127.0.0.1:1534")]
    pub address: Address,
    /// Who is calling.
    #[command(flatten)]
    pub caller: CallerArgs,
    /// Which load; the numbers below change it
    #[arg(long, value_enum, default_value_t = Load::Bulk)]
    pub load: Load,
    /// Bytes of a write, such as 16KiB
    #[arg(long, value_name = "SIZE", value_parser = size_at_least_one)]
    pub size: Option<u64>,
    /// Readers of each stream
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub readers: Option<u32>,
    /// Streams, each with a publisher
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub streams: Option<u32>,
    /// Streams that share a channel; by default each publisher and each reader has its own
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub streams_per_channel: u32,
    /// Most bytes of a stream that are on their way to its slowest reader [default: 512KiB;
    /// for many streams less, for round trips one write]
    #[arg(long, value_name = "SIZE", value_parser = size_at_least_one)]
    pub window: Option<u64>,
    /// Bytes that each read asks for
    #[arg(long, value_name = "SIZE", value_parser = size_at_least_one, default_value = "256KiB")]
    pub read_size: u64,
    /// Reads that each reader has under way on each stream
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub reads: u16,
    /// Readers that do not know ZeroCopy and get base64
    #[arg(long)]
    pub base64: bool,
    /// Time measured
    #[arg(long, value_name = "TIME", value_parser = some_milliseconds, default_value = "5s")]
    pub time: u64,
    /// Time before that, under the same load
    #[arg(long, value_name = "TIME", value_parser = milliseconds, default_value = "500ms")]
    pub warm_up: u64,
    /// Channels at once, for storm and idle [default: 64, 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub channels: Option<u32>,
    /// Instead of a time: at least so many writes to each stream, or channels of a storm, all of
    /// them measured
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub writes: Option<u64>,
    /// Compare every byte that is delivered; otherwise all are counted and samples compared
    #[arg(long)]
    pub check_all: bool,
    /// The peer's process on this machine, to tell what the load costs it (Linux)
    #[arg(long)]
    pub pid: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Which load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Large writes.
    Bulk,
    /// Small writes.
    Small,
    /// Several readers.
    FanOut,
    /// Many streams.
    Streams,
    /// One write at a time.
    RoundTrip,
    /// Connections: open, Hello, close.
    Storm,
    /// Channels that do nothing.
    Idle,
}

/// The numbers of a load that is not told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usual {
    pub(crate) write_bytes: u64,
    pub(crate) streams: usize,
    pub(crate) readers: usize,
}

impl Load {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Load::Bulk => "bulk",
            Load::Small => "small",
            Load::FanOut => "fan-out",
            Load::Streams => "streams",
            Load::RoundTrip => "round-trip",
            Load::Storm => "storm",
            Load::Idle => "idle",
        }
    }

    pub(crate) fn usual(self) -> Usual {
        let (write_bytes, streams, readers) = match self {
            Load::Bulk => (16 << 10, 1, 1),
            Load::Small => (64, 1, 1),
            Load::FanOut => (16 << 10, 1, 8),
            Load::Streams => (256, 200, 2),
            Load::RoundTrip | Load::Storm | Load::Idle => (256, 1, 1),
        };
        Usual { write_bytes, streams, readers }
    }
}

fn size_at_least_one(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("give at least one byte".to_owned()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_named_as_they_are_typed() {
        for load in Load::value_variants() {
            let typed = load.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), load.name());
            assert!(LOADS.contains(&format!("\n  {} ", load.name())), "{load:?} is in the help");
        }
    }
}
