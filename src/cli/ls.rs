//! `weir ls`: the streams of a broker, as a table or as JSON.

use std::io::{self, Write};

use crate::cli::args::LsArgs;
use crate::cli::connect::Caller;
use crate::cli::table::{Table, cell, peer};
use crate::cli::{Exit, OutputError};
use crate::client::StreamEntry;
use crate::shown;

const HEAD: [&str; 10] =
    ["ID", "TYPE", "NAME", "DIR", "STATE", "START", "END", "READERS", "PARKED", "OWNER"];
/// Columns of numbers, which are set to the right.
const NUMBERS: std::ops::Range<usize> = 5..9;

/// Lists the streams.
pub(crate) fn run(args: &LsArgs) -> anyhow::Result<Exit> {
    let mut connection = Caller::new("ls", &args.broker).connect()?;
    let entries = connection.list(args.r#type.as_deref())?;
    // The list is here; how the channel ends no longer matters.
    let _ = connection.close();
    let text = match args.json {
        true => shown::json(&serde_json::to_string_pretty(&entries)?).into_owned() + "\n",
        false => table(&entries),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(OutputError)?;
    Ok(Exit::Ok)
}

fn table(entries: &[StreamEntry]) -> String {
    Table::new(HEAD, NUMBERS, entries.iter().map(row)).to_string()
}

fn row(entry: &StreamEntry) -> [String; HEAD.len()] {
    let state = match (entry.cut_off, entry.eos) {
        (true, _) => "cut off",
        (false, true) => "ended",
        (false, false) => "live",
    };
    [
        cell(&entry.id),
        cell(&entry.stream_type),
        cell(entry.name.as_deref().unwrap_or("-")),
        cell(&entry.direction),
        state.to_owned(),
        entry.start.to_string(),
        entry.end.to_string(),
        entry.readers.to_string(),
        entry.parked_writes.to_string(),
        peer(entry.owner.as_deref().unwrap_or("-"), entry.owner_name.as_deref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_control_characters_stay_out_of_it() {
        let entry = StreamEntry {
            id: "VS12".to_owned(),
            stream_type: "log".to_owned(),
            name: Some("a\x1b[31mb".to_owned()),
            direction: "out".to_owned(),
            end: 1_048_576,
            readers: 2,
            ..StreamEntry::default()
        };
        let ended = StreamEntry {
            eos: true,
            owner: Some("127.0.0.1:5".to_owned()),
            owner_name: Some("lab\n, pub".to_owned()),
            ..entry.clone()
        };
        let cut = StreamEntry { cut_off: true, owner_name: None, ..ended.clone() };
        assert_eq!(
            table(&[entry, ended, cut]),
            "\
ID    TYPE  NAME        DIR  STATE    START      END  READERS  PARKED  OWNER
VS12  log   a\\x1b[31mb  out  live         0  1048576        2       0  -
VS12  log   a\\x1b[31mb  out  ended        0  1048576        2       0  127.0.0.1:5 (lab\\n, pub)
VS12  log   a\\x1b[31mb  out  cut off      0  1048576        2       0  127.0.0.1:5
"
        );
    }
}
