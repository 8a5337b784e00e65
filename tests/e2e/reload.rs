//! SIGHUP: the configuration is read again while the broker runs.

use std::path::Path;

use serde_json::json;

use crate::support::message::error_code;
use crate::support::{PATIENCE, RawPeer, TestServer, wait_until};

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a temporary file");
}

fn reload(server: &TestServer, expected: &str) {
    let before = server.log().matches(expected).count();
    server.signal("HUP");
    wait_until(PATIENCE, "the broker tells of the reload", || {
        server.log().matches(expected).count() > before
    });
}

#[test]
fn limits_and_log_level_count_at_once_and_the_rest_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    write(&file, "[limits]\nbuffer_size_max = \"1MiB\"\n");
    let path = file.to_str().expect("a path in UTF-8");
    let mut server = TestServer::start_with(&["--workers", "1", "--config", path]);
    let mut peer = server.peer();
    let mut create = |size: u64| {
        let properties = json!({ "BufferSize": size }).to_string();
        let reply = peer.call("StreamBroker", "create", &[b"\"T\"", properties.as_bytes()]);
        error_code(&reply[0])
    };
    assert_eq!(create(2 << 20), 20);

    write(
        &file,
        "name = \"other\"\nlog = \"debug\"\n[limits]\nbuffer_size_max = \"4MiB\"\nstreams_max = 2\n",
    );
    reload(
        &server,
        "configuration reloaded: log, limits.streams_max, limits.buffer_size_max taken over; \
         name needs a restart",
    );
    // The worker takes the bounds over in its next turn.
    wait_until(PATIENCE, "the new bound counts", || create(2 << 20) == 0);
    assert_eq!((create(1000), create(1000)), (0, 4));
    let late = RawPeer::open(server.address(), &["Locator"]);
    let line = format!("peer={}", late.local_address());
    wait_until(PATIENCE, "debug lines are written", || server.log().contains(&line));

    write(&file, "[limits]\nbuffer_size_max = \"8MiB\"\nstreams_mux = 9\n");
    reload(&server, "configuration not reloaded, the old one stays: ");
    assert!(server.log().contains("weir.toml:3:1: `limits.streams_mux`: unknown key"));
    assert_eq!(create(1000), 4);
    std::fs::remove_file(&file).expect("it was there");
    reload(&server, "configuration not reloaded, the old one stays: ");
    server.assert_well();
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn how_long_a_stream_may_outlive_its_writer_is_the_operators_to_say() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    write(&file, "[limits]\nkeep_for = \"2s\"\nlinger = \"3s\"\n");
    let path = file.to_str().expect("a path in UTF-8");
    let server = TestServer::start_with(&["--workers", "1", "--config", path]);
    let mut peer = server.peer();
    let mut create = |keep_for: u64, linger: u64| {
        let properties = json!({"Key": "k", "KeepFor": keep_for, "Linger": linger}).to_string();
        let reply = peer.call("StreamBroker", "create", &[b"\"T\"", properties.as_bytes()]);
        error_code(&reply[0])
    };
    assert_eq!((create(2000, 3000), create(2001, 3000), create(2000, 3001)), (0, 20, 20));
    write(&file, "[limits]\nkeep_for = \"4s\"\nlinger = \"3s\"\n");
    reload(&server, "configuration reloaded: limits.keep_for taken over");
    wait_until(PATIENCE, "the new bound counts", || create(4000, 0) == 0);
    assert_eq!(create(4001, 0), 20);
}
