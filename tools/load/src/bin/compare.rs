//! `compare`: Weir, message brokers and a bare fan-out under the same loads, side by side.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use weir::bench::{self, ProcessSample};
use weir_load::compare::{Bout, Contender, Machine, Programs, Row, Server, report, rows, stop_all};

/// Exit code after a signal.
const INTERRUPTED: i32 = 130;

/// Starts Weir, nats-server, redis-server, mosquitto and a bare fan-out on the loopback interface,
/// puts the same loads on them in turns, and prints medians and ratios
#[derive(Debug, Parser)]
struct Args {
    /// Rounds; each figure is the median of as many
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seconds measured of each load, server and round
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// One short round of everything but the largest
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Only rows whose name has this in it
    #[arg(long)]
    rows: Option<String>,
    /// Write the tables into this document, between its marks, and the plots beside it
    #[arg(long)]
    into: Option<PathBuf>,
    /// Most workers of Weir, for the growth with workers [default: the number of cores]
    #[arg(long)]
    workers: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The loads that Weir is measured by, against everybody.
    Main,
    /// Readers that read as the clients that exist do.
    Clients,
    /// More and more readers.
    Readers,
    /// More and more streams.
    Streams,
    /// More and more workers.
    Workers,
}

impl Part {
    fn section(self) -> &'static str {
        match self {
            Part::Main => "main",
            Part::Clients => "clients",
            Part::Readers => "readers",
            Part::Streams => "streams",
            Part::Workers => "workers",
        }
    }

    fn rows(self, workers: &[u16]) -> Vec<Row> {
        match self {
            Part::Main => rows::main_rows(),
            Part::Clients => rows::client_rows(),
            Part::Readers => rows::reader_rows(workers),
            Part::Streams => rows::stream_rows(workers),
            Part::Workers => rows::worker_rows(workers.iter().copied().max().unwrap_or(1)),
        }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    bench::raise_open_files();
    // Without this the servers would outlive a Ctrl-C.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("load-signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            stop_all();
            std::process::exit(INTERRUPTED);
        }
    })?;
    let outcome = compare(&args);
    stop_all();
    outcome
}

fn compare(args: &Args) -> Result<()> {
    let programs = Programs::beside_this()?;
    let machine = Machine::this(&programs);
    let folder = std::env::temp_dir().join(format!("weir-compare-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let parts = match args.only.is_empty() {
        true => {
            vec![Part::Main, Part::Clients, Part::Readers, Part::Streams, Part::Workers]
        }
        false => args.only.clone(),
    };
    let mut outcome = Ok(());
    for part in parts {
        outcome = measure(args, part, &programs, &machine, &folder);
        if outcome.is_err() {
            break;
        }
    }
    // What servers have written is of no use any more.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

fn measure(
    args: &Args,
    part: Part,
    programs: &Programs,
    machine: &Machine,
    folder: &Path,
) -> Result<()> {
    let most = args.workers.unwrap_or(machine.cores.try_into().unwrap_or(u16::MAX));
    let mut workers = vec![1, 2, most];
    workers.sort_unstable();
    workers.dedup();
    let mut rows = part.rows(&workers);
    if let Some(wanted) = &args.rows {
        rows.retain(|row| row.name.contains(wanted.as_str()));
    }
    let (rounds, seconds) = if args.quick { (1, 0.3) } else { (args.rounds, args.seconds) };
    if args.quick {
        rows.retain(|row| row.readers <= 512 && row.streams <= 1000);
    }
    let wanted: HashSet<Contender> =
        rows.iter().flat_map(|row| row.contenders.iter().copied()).collect();
    let servers: Vec<Server> = wanted
        .into_iter()
        .map(|contender| Server::start(contender, programs, folder))
        .collect::<Result<_>>()?;
    let measured = Duration::from_secs_f64(seconds);
    let bout = Bout::measure(rows, &servers, usize::from(rounds), measured)?;
    let mut text = String::new();
    let plural = if rounds == 1 { "round" } else { "rounds" };
    writeln!(
        text,
        "Medians of {rounds} {plural} of {seconds} s, taken in turns, as of this machine: {}.\n",
        machine.describe()
    )?;
    text.push_str(&report::medians(&bout));
    if matches!(part, Part::Main | Part::Workers) {
        writeln!(text, "\nRatios of these medians, Weir's divided by the other's:\n")?;
        text.push_str(&report::ratios(&bout));
    }
    writeln!(text, "\n{}", peaks(&servers))?;
    let plot = match part {
        Part::Readers => Some(report::growth(&bout, "What a gigabyte costs", "readers")),
        Part::Streams => Some(report::growth(&bout, "What a write costs", "streams")),
        Part::Main | Part::Clients | Part::Workers => None,
    };
    let picture = format!("performance-{}.svg", part.section());
    if plot.is_some() {
        writeln!(text, "\n![Cost against {}]({picture})", part.section())?;
    }
    println!("## {}\n\n{text}", part.section());
    let Some(path) = &args.into else { return Ok(()) };
    let document =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    std::fs::write(path, report::replace_section(&document, part.section(), &text)?)?;
    if let Some(plot) = plot {
        std::fs::write(path.with_file_name(picture), plot.svg())?;
    }
    Ok(())
}

/// The most memory that each server has ever had.
fn peaks(servers: &[Server]) -> String {
    let mut told: Vec<String> = servers
        .iter()
        .filter_map(|server| {
            let peak = ProcessSample::take(server.pid)?.peak_bytes as f64 / f64::from(1 << 20);
            Some(format!("{} {peak:.0} MiB", server.contender.name()))
        })
        .collect();
    told.sort();
    format!("Most memory over all these loads: {}.", told.join(", "))
}
