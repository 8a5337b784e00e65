//! `weir stats`: the numbers of a broker, as JSON or as a table.

mod fetch;
mod report;
#[cfg(test)]
mod sample;

use std::io::{self, Write};

use crate::cli::args::StatsArgs;
use crate::cli::quantity::{bytes, rate, span};
use crate::cli::table::{Table, cell};
use crate::cli::{Exit, OutputError};

pub(crate) use fetch::{FetchError, Fetcher};
pub(crate) use report::{Reader, Report, Stream};

/// Prints the numbers of this moment.
pub(crate) fn run(args: &StatsArgs) -> anyhow::Result<Exit> {
    let fetcher = Fetcher::new(&args.http.http)?;
    let body = fetcher.get(&path(args))?;
    let text = match args.json {
        true => report::checked_json(&body)?,
        false => tables(&Report::parse(&body)?, args.stream.is_some()),
    };
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| match text.ends_with('\n') {
        true => Ok(()),
        false => stdout.write_all(b"\n"),
    });
    written.and_then(|()| stdout.flush()).map_err(OutputError)?;
    Ok(Exit::Ok)
}

/// The path with what is asked for.
fn path(args: &StatsArgs) -> String {
    let mut path = format!("/stats?sort={}", args.sort);
    if let Some(top) = args.top {
        path.push_str(&format!("&top={top}"));
    }
    if let Some(stream) = &args.stream {
        path.push_str(&format!("&stream={stream}"));
    }
    path
}

/// The totals in a line, the streams, and with `with_readers` the readers of each.
fn tables(report: &Report, with_readers: bool) -> String {
    let totals = &report.totals;
    let mut text = format!(
        "up {}, {} channels, {} streams, {} readers, {} parked writes, {} in, {} out, {} lost\n\n",
        span(report.uptime_ms),
        totals.channels,
        totals.streams,
        totals.readers,
        totals.parked_writes,
        bytes(totals.accepted_bytes),
        bytes(totals.delivered_bytes),
        bytes(totals.lost_bytes),
    );
    const HEAD: [&str; 11] =
        ["ID", "TYPE", "NAME", "STATE", "RATE", "FILL", "PARKED", "READERS", "LAG", "LATE", "LOST"];
    text.push_str(&Table::new(HEAD, 4..11, report.streams.iter().map(stream_row)).to_string());
    for stream in report.streams.iter().filter(|_| with_readers) {
        if let Some(held) = &stream.held_by
            && stream.parked_writes > 0
        {
            text.push_str(&format!(
                "\nFull for {}; it waits for {}, {} ({}) behind.\n",
                span(stream.full_ms),
                held.peer(),
                bytes(held.lag),
                span(held.lag_ms),
            ));
        }
        if stream.readers.is_empty() {
            text.push_str("\nNobody reads it.\n");
            continue;
        }
        const HEAD: [&str; 7] = ["READER", "STATE", "POSITION", "DELIVERED", "LAG", "LATE", "LOST"];
        let table = Table::new(HEAD, 2..7, stream.readers.iter().map(reader_row));
        text.push_str(&format!("\n{table}"));
    }
    text
}

fn stream_row(stream: &Stream) -> [String; 11] {
    let slowest = stream.slowest();
    [
        cell(&stream.id),
        cell(&stream.stream_type),
        cell(stream.name.as_deref().unwrap_or("-")),
        stream.state().to_owned(),
        rate(stream.rate),
        format!("{} %", stream.fill_percent()),
        stream.parked_writes.to_string(),
        stream.reader_count.to_string(),
        slowest.map_or_else(|| "-".to_owned(), |reader| bytes(reader.lag)),
        slowest.map_or_else(|| "-".to_owned(), |reader| span(reader.lag_ms)),
        bytes(stream.lost()),
    ]
}

fn reader_row(reader: &Reader) -> [String; 7] {
    [
        reader.peer(),
        reader.state().to_owned(),
        reader.position.to_string(),
        reader.delivered.to_string(),
        reader.lag.to_string(),
        span(reader.lag_ms),
        reader.lost.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_say_who_is_slow_and_strangers_cannot_steer_the_terminal() {
        let report = Report::sample();
        let text = tables(&report, true);
        assert_eq!(
            text,
            "\
up 3 min 20 s, 3 channels, 2 streams, 3 readers, 3 parked writes, \
             95 MiB in, 191 MiB out, 1.0 KiB lost

ID   TYPE     NAME        STATE      RATE   FILL  PARKED  READERS      LAG   LATE     LOST
VS2  trace    cpu0        live   10 MiB/s  100 %       3        3  4.0 MiB  2.1 s  1.0 KiB
VS3  console  a\\x1b[31mb  ended     0 B/s    0 %       0        0        -      -      0 B

Full for 1.5 s; it waits for 127.0.0.1:6 (ci-7, weir tail), 4.0 MiB (2.1 s) behind.

READER                         STATE    POSITION  DELIVERED      LAG   LATE  LOST
127.0.0.1:6 (ci-7, weir tail)  stalled      1024          0  4194304  2.1 s  1024
127.0.0.1:7                    reading   4195328    4195328        0   0 ms     0
127.0.0.1:8 (a\\x1b[31mb)       away      4195328          0        0   0 ms     0

Nobody reads it.
"
        );
    }

    #[test]
    fn what_is_asked_for_is_in_the_path() {
        use crate::cli::args::{Args, Verb};
        use clap::Parser;
        let args = Args::try_parse_from("weir stats --sort lag --top 3 --stream VS7".split(' '));
        let Some(Verb::Stats(args)) = args.unwrap().verb else { panic!("stats is a verb") };
        assert_eq!(path(&args), "/stats?sort=lag&top=3&stream=VS7");
    }
}
