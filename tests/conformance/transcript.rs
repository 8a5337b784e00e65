//! The recordings' files.

use std::path::PathBuf;

use serde_json::Value;

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which connection.
    pub connection: String,
    /// Which way.
    pub way: Way,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The file's line, from 1.
    pub line: usize,
}

/// Which way a record's bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// Where the files are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/transcripts")
}

/// The names of all files, sorted, without their ending.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the transcripts are part of the repository")
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Reads a file.
pub fn read(name: &str) -> Vec<Record> {
    let path = folder().join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().enumerate().map(|(index, line)| parse(index + 1, line)).collect()
}

fn parse(line: usize, text: &str) -> Record {
    let object: Value = serde_json::from_str(text).expect("a record is JSON");
    let way = match object["dir"].as_str() {
        Some("c2s") => Way::ToServer,
        Some("s2c") => Way::ToClient,
        other => panic!("line {line}: dir {other:?}"),
    };
    let hex = object["hex"].as_str().unwrap_or_default();
    let bytes = (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hex digits"))
        .collect();
    let connection = object["conn"].as_str().unwrap_or("a").to_owned();
    Record { connection, way, bytes, line }
}
