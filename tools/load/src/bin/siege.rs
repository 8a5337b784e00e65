//! `siege`: everything that a hostile peer may try, against the real program.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use weir_load::siege::{Ground, Row, rows, run, stop_all};

/// Exit code after a signal.
const INTERRUPTED: i32 = 130;
/// Workers that every row is run on.
const WORKERS: [u16; 3] = [1, 2, 4];

/// Starts a broker for each row, does to it what a hostile peer would, and prints what it held and
/// whom it kept waiting, each against its bound. Ends with 1 where a bound does not hold
#[derive(Debug, Parser)]
struct Args {
    /// Only these rows: names or beginnings of names
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Only with so many workers [default: 1, 2 and 4]
    #[arg(long, value_delimiter = ',')]
    workers: Vec<u16>,
    /// The program under siege [default: the one built beside this]
    #[arg(long)]
    weir: Option<PathBuf>,
    /// The part of each row's size, 0 to 1
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Print the rows and end
    #[arg(long)]
    list: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    weir::bench::raise_open_files();
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| is_asked_for(row, &args)).collect();
    ensure!(!rows.is_empty(), "no row is called so; --list shows them");
    if args.list {
        for Row { name, title, limit_mib, .. } in rows {
            println!("{name:18} {title} (limit {limit_mib} MiB)");
        }
        return Ok(());
    }
    // Without this the brokers would outlive a Ctrl-C.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("siege-signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            stop_all();
            std::process::exit(INTERRUPTED);
        }
    })?;
    let weir = match args.weir {
        Some(weir) => weir,
        None => std::env::current_exe()?.parent().context("a folder")?.join("weir"),
    };
    let workers = if args.workers.is_empty() { WORKERS.to_vec() } else { args.workers };
    println!("| row | workers | | measured (bound) |\n|---|---|---|---|");
    let mut failed = Vec::new();
    for row in &rows {
        for &workers in &workers {
            let ground = Ground { weir: weir.clone(), workers, scale: args.scale };
            let outcome = run(row, &ground);
            println!("{}", outcome.line());
            if !outcome.holds() {
                failed.push(format!("{} on {workers}", row.name));
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    eprintln!("siege: FAILED: {}", failed.join(", "));
    std::process::exit(1);
}

fn is_asked_for(row: &Row, args: &Args) -> bool {
    args.rows.is_empty() || args.rows.iter().any(|wanted| row.name.starts_with(&wanted[..]))
}
