//! `weir bench`: puts a load on a TCF peer and says how it did.

mod args;
mod show;

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;

pub use args::{BenchArgs, LOADS, Load};

use crate::bench::{self, BenchError, Check, Plan, ProcessSample, Report, Span, Tcf, TcfOptions};
use crate::cli::connect::introduction;
use crate::cli::{Exit, OutputError, say};
use crate::client::Address;

/// Connections at once in a storm: more than a server accepts in one turn.
const STORM_AT_ONCE: usize = 64;
/// Idle channels: within what a process may usually open.
const IDLE_CHANNELS: usize = 1000;

/// Carries the load out and prints what it has shown.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Exit> {
    bench::raise_open_files();
    let outcome = resolve(&args.address).and_then(|address| put_load(args, address));
    match outcome {
        Ok(text) => {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(OutputError)?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            say::lines(&format!("weir: {error}"));
            Ok(exit_of(&error))
        }
    }
}

fn exit_of(error: &BenchError) -> Exit {
    match error {
        BenchError::Unreachable { .. } | BenchError::NotTcf { .. } => Exit::Unreachable,
        BenchError::Lost(_) | BenchError::Wrong { .. } => Exit::DataLost,
        BenchError::Closed { .. } | BenchError::Broken(_) => Exit::Disconnected,
        BenchError::Refused { .. }
        | BenchError::Misbehaved(_)
        | BenchError::Stuck(_)
        | BenchError::Plan(_) => Exit::Failed,
    }
}

fn resolve(address: &Address) -> Result<SocketAddr, BenchError> {
    let unreachable = |error| BenchError::Unreachable { address: address.to_string(), error };
    let mut found = (address.host(), address.port()).to_socket_addrs().map_err(unreachable)?;
    found.next().ok_or_else(|| {
        unreachable(io::Error::new(io::ErrorKind::NotFound, "the host has no address"))
    })
}

/// What a load of writes has shown, with its name.
#[derive(Serialize)]
struct Named<'a, T> {
    load: &'a str,
    #[serde(flatten)]
    report: &'a T,
}

fn put_load(args: &BenchArgs, address: SocketAddr) -> Result<String, BenchError> {
    if let Some(pid) = args.pid
        && ProcessSample::take(pid).is_none()
    {
        return Err(BenchError::Plan(format!(
            "there is no process {pid} on this machine whose cost could be measured: give --pid \
             that of the server"
        )));
    }
    let channels = |usual| args.channels.map_or(usual, |count| count as usize);
    match args.load {
        Load::Storm => {
            let at_once = channels(STORM_AT_ONCE);
            let report = bench::storm(address, at_once, span(args), args.pid)?;
            Ok(told(args, &report, show::storm))
        }
        Load::Idle => {
            let report = bench::hold_idle(address, channels(IDLE_CHANNELS), args.pid)?;
            Ok(told(args, &report, show::idle))
        }
        _ => {
            let report = put_writes(args, address)?;
            Ok(told(args, &report, |report| show::report(args.load, report)))
        }
    }
}

fn told<T: Serialize>(args: &BenchArgs, report: &T, show: impl FnOnce(&T) -> String) -> String {
    if args.json { json(args.load, report) } else { show(report) }
}

fn json<T: Serialize>(load: Load, report: &T) -> String {
    serde_json::to_string(&Named { load: load.name(), report })
        .expect("strings and numbers make JSON")
}

fn put_writes(args: &BenchArgs, address: SocketAddr) -> Result<Report, BenchError> {
    let plan = plan(args);
    let mut tcf = Tcf::new(
        address,
        TcfOptions {
            read_bytes: args.read_size as usize,
            reads: usize::from(args.reads),
            zero_copy: !args.base64,
            streams_per_channel: args.streams_per_channel as usize,
        },
    );
    let introduction = serde_json::to_value(introduction("bench", &args.caller));
    tcf = tcf.introduced(introduction.expect("strings make JSON"));
    bench::run(&mut tcf, &plan)
}

fn plan(args: &BenchArgs) -> Plan {
    let usual = args.load.usual();
    let write_bytes = args.size.unwrap_or(usual.write_bytes) as usize;
    let streams = args.streams.map_or(usual.streams, |count| count as usize);
    Plan {
        streams,
        readers: args.readers.map_or(usual.readers, |count| count as usize),
        write_bytes,
        window_bytes: match (args.window, args.load) {
            (Some(bytes), _) => bytes as usize,
            (None, Load::RoundTrip) => write_bytes,
            (None, _) => Plan::usual_window(streams, write_bytes),
        },
        span: span(args),
        check: if args.check_all { Check::Full } else { Check::Sampled },
        pid: args.pid,
    }
}

fn span(args: &BenchArgs) -> Span {
    match args.writes {
        Some(writes) => Span::Writes(writes),
        None => Span::Time {
            warm_up: Duration::from_millis(args.warm_up),
            measured: Duration::from_millis(args.time),
        },
    }
}
