//! Nonsense closes the channel that it came on, and nothing else.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;

use crate::slow_readers::stats_sum;
use crate::support::peer::quoted;
use crate::support::{PATIENCE, RawPeer, Seed, TestServer, wait_until};

#[test]
fn malformed_message_closes_only_its_channel_and_is_counted() {
    let mut server = TestServer::start();
    let (mut writer, mut reader) = (server.peer(), server.peer());
    let stream = writer.create("T", json!({}));
    assert_eq!(reader.streams("connect", &[&quoted(&stream)]), 0);
    let pending = reader.start_read(&stream, 100);
    let before = stats_sum(&server, "malformed");
    let nonsense: &[&[u8]] = &[
        b"X\x001\x00\x03\x01",
        b"C\x001\x00Streams\x00connect\x005\x00\x03\x01",
        b"C\x001\x00Streams\x00write\x00\"VS0\"\x003\x00\"Y*Jj\"\x00\x03\x01",
        b"C\x001\x00Streams\x00read\x00\"VS0\"\x001e3\x00\x03\x01",
        b"C\x001\x00StreamBroker\x00create\x00\"T\"\x00[[[[\x00\x03\x01",
        b"\x03\x07",
    ];
    for bytes in nonsense {
        let mut peer = server.peer();
        assert_eq!(peer.streams("connect", &[&quoted(&stream)]), 0);
        peer.send_raw(bytes);
        peer.expect_end();
    }
    let counted = || stats_sum(&server, "malformed") - before;
    wait_until(PATIENCE, "all are counted", || counted() >= nonsense.len() as u64);
    assert_eq!(counted(), nonsense.len() as u64);
    let log = server.log();
    assert!(log.contains("127.0.0.1"), "a log line names the peer: {log}");
    assert_eq!(writer.write(&stream, b"untouched"), 0);
    assert_eq!(reader.read_reply(&pending).data, b"untouched");
    server.assert_well();
}

#[test]
fn random_bytes_never_kill_the_broker() {
    let seed = Seed::new();
    let mut rng = seed.rng(0);
    let mut server = TestServer::start();
    for _ in 0..100 {
        let mut bytes = if rng.random() { hello() } else { Vec::new() };
        let size = rng.random_range(0..5000);
        // Bytes that mean something are frequent.
        bytes.extend((0..size).map(|_| match rng.random_range(0..3) {
            0 => rng.random(),
            1 => rng.random_range(0..4),
            _ => b"CRNPEF\"[]{}()0123456789"[rng.random_range(0..23)],
        }));
        throw(&server, &bytes);
    }
    server.assert_well();
}

#[test]
fn mutated_conversations_never_kill_the_broker() {
    let seed = Seed::new();
    let mut rng = seed.rng(1);
    let mut server = TestServer::start();
    let conversations = conversations();
    assert!(conversations.len() > 100, "{} conversations", conversations.len());
    for bytes in &conversations {
        for _ in 0..3 {
            let mutated = mutate(&mut rng, bytes);
            throw(&server, &mutated);
        }
    }
    server.assert_well();
}

fn hello() -> Vec<u8> {
    b"E\x00Locator\x00Hello\x00[\"ZeroCopy\",\"Locator\"]\x00\x03\x01".to_vec()
}

/// What the clients of the recorded conversations sent, each connection's bytes in one.
fn conversations() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/transcripts");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the transcripts are there") {
        let path = entry.expect("a folder can be read").path();
        if path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a transcript can be read");
        let mut sent = std::collections::BTreeMap::<String, Vec<u8>>::new();
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            if record["dir"] != "c2s" {
                continue;
            }
            let hex = record["hex"].as_str().unwrap_or_default();
            let bytes = sent.entry(record["conn"].to_string()).or_default();
            bytes.extend(hex.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair).expect("hex digits");
                u8::from_str_radix(pair, 16).expect("hex digits")
            }));
        }
        all.extend(sent.into_values());
    }
    all.sort();
    all
}

fn mutate(rng: &mut SmallRng, bytes: &[u8]) -> Vec<u8> {
    let mut mutated = bytes.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..mutated.len().max(1)).min(mutated.len());
        match rng.random_range(0..5) {
            0 if at < mutated.len() => mutated[at] ^= 1 << rng.random_range(0..8),
            1 => mutated.insert(at, rng.random_range(0..4)),
            2 => mutated.truncate(at.max(1)),
            3 if at < mutated.len() => drop(mutated.remove(at)),
            _ => {
                let piece = mutated[at..].to_vec();
                mutated.extend_from_slice(&piece);
            }
        }
    }
    mutated
}

/// Sends bytes and a FIN, and reads whatever the broker says until it closes.
fn throw(server: &TestServer, bytes: &[u8]) {
    let mut socket = TcpStream::connect(server.address()).expect("the broker listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    // The broker may have closed already.
    let sent = socket.write_all(bytes);
    socket.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {
            assert!(answer.starts_with(b"E\x00Locator\x00Hello\x00"), "the Hello comes first");
            assert!(
                answer.windows(2).any(|pair| pair == [3, 2]),
                "an end of stream before the FIN: {}",
                answer.escape_ascii()
            );
        }
        Err(error) => assert!(
            error.kind() == std::io::ErrorKind::ConnectionReset,
            "{error} after sending {sent:?}"
        ),
    }
}

#[test]
fn peer_that_says_nothing_is_left_alone_for_now_and_others_are_served() {
    let mut server = TestServer::start();
    let _silent: Vec<RawPeer> = (0..50).map(|_| RawPeer::connect(server.address())).collect();
    server.assert_well();
}
