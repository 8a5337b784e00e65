//! SIGTERM: a stop in good order, and one that nobody can hold up.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::peer::quoted;
use crate::support::wait::now;
use crate::support::{PATIENCE, RawPeer, TestServer, wait_until};

/// A broker whose stop may take so long, and whose channels linger for as long.
fn start(patience: &str) -> (TestServer, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    let text =
        format!("[limits]\ndrain_timeout = \"{patience}\"\nlinger_timeout = \"{patience}\"\n");
    std::fs::write(&file, text).expect("a temporary file");
    let path = file.to_str().expect("a path in UTF-8");
    (TestServer::start_with(&["--workers", "2", "--config", path]), folder)
}

fn wait_for_log(server: &TestServer, text: &str) {
    wait_until(PATIENCE, "the broker logs it", || server.log().contains(text));
}

#[test]
fn what_pends_is_answered_and_every_channel_gets_its_end() {
    let (mut server, _folder) = start("10m");
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"BufferSize": 10, "History": 0, "StallTimeout": null}));
    let empty = writer.create("T", json!({}));
    let mut reader = server.peer();
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    assert_eq!(reader.streams("connect", &[&quoted(&empty)]), 0);
    let mut idle: Vec<RawPeer> = (0..4).map(|_| server.peer()).collect();
    let read = reader.start_read(&empty, 10);
    let write = writer.start_write(&stream, b"more than ten bytes");
    let mut watcher = server.peer();
    wait_until(PATIENCE, "the write is parked", || {
        watcher.listed(&stream).is_some_and(|object| object["ParkedWrites"] == json!(1))
    });
    reader.sync();

    server.signal("TERM");
    let reply = reader.read_reply(&read);
    assert_eq!((reply.code, reply.eos), (6, true));
    assert_eq!(writer.code_of(&write), 6);
    wait_for_log(&server, "draining");
    // One that has not closed holds the drain up, so the broker is still there: it accepts nobody.
    let address = server.address();
    wait_until(PATIENCE, "nobody is accepted any more", || TcpStream::connect(address).is_err());
    assert!(server.is_running());
    for peer in idle.iter_mut().chain([&mut reader, &mut writer, &mut watcher]) {
        let (_, report) = peer.expect_end();
        assert!(report.is_empty(), "an orderly end: {}", report.escape_ascii());
        peer.finish();
    }
    assert_eq!(server.wait_for_end(), Some(0), "{}", server.log());
    assert!(!server.log().contains("cut short"), "{}", server.log());
}

#[test]
fn peers_that_ignore_the_end_or_never_read_do_not_hold_it_up() {
    let (mut server, _folder) = start("1s");
    let mut writer = server.zero_copy_peer();
    let stream = writer.create("T", json!({"BufferSize": 16 << 20, "History": 0}));
    let mut deaf = server.zero_copy_peer();
    assert_eq!(deaf.attach(&stream, json!({})).0, 0);
    for _ in 0..16 {
        deaf.start_read(&stream, 1 << 20);
    }
    let data = vec![7; 1 << 20];
    for _ in 0..12 {
        assert_eq!(writer.write(&stream, &data), 0);
    }
    let _ignores = server.peer();
    let asked_at = now();
    assert_eq!(server.terminate(), Some(0), "{}", server.log());
    assert!(asked_at.elapsed() < Duration::from_secs(10), "{:?}", asked_at.elapsed());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for signal in ["TERM", "INT"] {
        let (mut server, _folder) = start("10m");
        let _ignores = server.peer();
        server.signal(signal);
        wait_for_log(&server, "draining");
        assert!(server.is_running());
        server.signal("TERM");
        assert_eq!(server.wait_for_end(), Some(0), "{}", server.log());
        assert!(server.log().contains("drain cut short"), "{}", server.log());
    }
}
