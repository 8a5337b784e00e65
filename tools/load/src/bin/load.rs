//! `load`: one load on one server, whatever it speaks.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use weir::bench::{self, Check, Plan, Protocol, Span, Tcf, TcfOptions};
use weir_load::{Mqtt, Nats, Raw, Redis};

/// Puts one load on one server and prints what it has shown as JSON
#[derive(Debug, Parser)]
struct Args {
    /// What the server speaks
    #[arg(value_enum)]
    protocol: Spoken,
    /// The server; for `raw` where publishers connect
    address: SocketAddr,
    /// For `raw`: where subscribers connect
    subscribers: Option<SocketAddr>,
    /// Bytes of a write
    #[arg(long, default_value_t = 16384)]
    size: usize,
    /// Readers of each stream
    #[arg(long, default_value_t = 1)]
    readers: usize,
    /// Streams
    #[arg(long, default_value_t = 1)]
    streams: usize,
    /// Bytes of a stream under way; 1 is one write at a time
    #[arg(long)]
    window: Option<usize>,
    /// Milliseconds measured
    #[arg(long, default_value_t = 2000)]
    time: u64,
    /// The server's process
    #[arg(long)]
    pid: Option<u32>,
    /// Compare every byte
    #[arg(long)]
    check_all: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Spoken {
    Tcf,
    Raw,
    Nats,
    Redis,
    Mqtt,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    bench::raise_open_files();
    let plan = Plan {
        streams: args.streams,
        readers: args.readers,
        write_bytes: args.size,
        window_bytes: args.window.unwrap_or(Plan::usual_window(args.streams, args.size)),
        span: Span::Time {
            warm_up: Duration::from_millis(300),
            measured: Duration::from_millis(args.time),
        },
        check: if args.check_all { Check::Full } else { Check::Sampled },
        pid: args.pid,
    };
    let mut protocol: Box<dyn Protocol> = match args.protocol {
        Spoken::Tcf => Box::new(Tcf::new(args.address, TcfOptions::default())),
        Spoken::Raw => Box::new(Raw {
            publishers: args.address,
            subscribers: args.subscribers.unwrap_or(args.address),
        }),
        Spoken::Nats => Box::new(Nats::new(args.address)),
        Spoken::Redis => Box::new(Redis { address: args.address }),
        Spoken::Mqtt => Box::new(Mqtt { address: args.address }),
    };
    let report = bench::run(protocol.as_mut(), &plan)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
