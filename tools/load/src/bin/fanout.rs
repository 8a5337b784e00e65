//! `fanout`: a fan-out without a protocol, on free ports of the loopback interface.

use std::io::Write;

use clap::Parser;
use weir_load::fanout::{BUFFER_BYTES, Fanout};

/// Copies what each publisher sends to the subscribers of its group
#[derive(Debug, Parser)]
struct Args {
    /// Bytes read at once
    #[arg(long, default_value_t = BUFFER_BYTES)]
    buffer: usize,
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    weir::bench::raise_open_files();
    let mut server = Fanout::listen(args.buffer.max(1))?;
    let (publishers, subscribers) = server.addresses()?;
    println!("ready: publishers={publishers} subscribers={subscribers}");
    std::io::stdout().flush()?;
    server.serve()
}
