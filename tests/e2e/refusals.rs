//! Connections that the broker cannot take on are told so.

use std::collections::BTreeSet;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::message::error_code;
use crate::support::{Message, PATIENCE, RawPeer, TestServer, wait_until};

/// The code of a bound that is reached.
const LIMIT: i64 = 4;

/// A new peer, or the code with which it was refused.
fn knock(server: &TestServer) -> Result<RawPeer, i64> {
    let mut peer = RawPeer::connect(server.address());
    peer.hello(&["Locator"]);
    peer.command("Locator", "sync", &[]);
    match peer.take(|message| matches!(message, Message::Reply { .. } | Message::End { .. })) {
        Message::End { report } => Err(error_code(&report)),
        _ => Ok(peer),
    }
}

#[test]
fn a_connection_too_many_is_told_why_before_it_is_closed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weir.toml");
    std::fs::write(&path, "[limits]\nchannels_max = 2\n").expect("a temporary file");
    let path = path.to_str().expect("a path of plain letters");
    let server = TestServer::start_with(&["--workers", "1", "--config", path]);
    let (mut first, second) = (server.peer(), server.peer());
    // Many of them, of which none reads.
    let crowd: Vec<RawPeer> = (0..200).map(|_| RawPeer::connect(server.address())).collect();
    let mut third = RawPeer::connect(server.address());
    third.hello(&["Locator"]);
    assert_eq!(third.expect_error_end(), LIMIT);
    first.sync();
    drop(crowd);
    second.close();
    wait_until(PATIENCE, "there is room for another", || {
        server.stats()["totals"]["channels"] == 1 && server.stats()["workers"][0]["lingering"] == 0
    });
    server.peer().sync();
}

#[test]
fn without_a_file_descriptor_left_connections_are_told_why_and_the_others_go_on() {
    let server = TestServer::start();
    let mut first = server.peer();
    let open: BTreeSet<u64> = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .expect("it runs")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let free = (0..).find(|number| !open.contains(number)).expect("not all are in use");
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    let bound = Rlimit { current: Some(free + 1), maximum: Some(1 << 10) };
    prlimit(pid, Resource::Nofile, bound).expect("its bound may be lowered");
    let mut taken_on = Vec::new();
    let code = loop {
        match knock(&server) {
            Ok(peer) => taken_on.push(peer),
            Err(code) => break code,
        }
        assert!(taken_on.len() < 100, "the bound does not count");
    };
    assert_eq!(code, LIMIT);
    first.sync();
    let bound = Rlimit { current: Some(1 << 10), maximum: Some(1 << 10) };
    prlimit(pid, Resource::Nofile, bound).expect("its bound may be lifted again");
    wait_until(PATIENCE, "connections are taken on again", || knock(&server).is_ok());
    first.sync();
}
