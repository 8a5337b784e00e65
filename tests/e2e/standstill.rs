//! The broker stands still for a while: its peers are not to blame.

use std::time::Duration;

use serde_json::json;

use crate::support::wait::now;
use crate::support::{PATIENCE, TestServer, wait_until};

/// How long a reader may take nothing from a full stream, in milliseconds.
const STALL_TIMEOUT: u64 = 2000;
/// Longer than that.
const STOPPED: Duration = Duration::from_millis(3500);

const BUFFER: usize = 2000;
const TOTAL: usize = 20_000;

fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// A stream is full, and the read that would make room is on its way when the broker stops.
fn a_prompt_reader_loses_nothing(workers: &str) {
    let server = TestServer::start_with(&["--workers", workers]);
    let mut agent = server.peer();
    let properties = json!({"BufferSize": BUFFER, "History": 0, "StallTimeout": STALL_TIMEOUT});
    let stream = agent.create("Standstill", properties);
    let mut host = server.peer();
    assert_eq!(host.attach(&stream, json!({})).0, 0);
    let data: Vec<u8> = (0..TOTAL).map(|at| (at % 251) as u8).collect();
    let writes: Vec<String> =
        data.chunks(BUFFER / 2).map(|piece| agent.start_write(&stream, piece)).collect();
    let mut watcher = server.peer();
    wait_until(PATIENCE, "the stream is full", || {
        watcher.listed(&stream).is_some_and(|object| object["ParkedWrites"] != json!(0))
    });
    server.signal("STOP");
    wait_until(PATIENCE, "the broker has stopped", || is_stopped(server.pid()));
    let stopped_at = now();
    let mut read = host.start_read(&stream, BUFFER as i64);
    wait_until(PATIENCE, "the stall timeout is over", || stopped_at.elapsed() >= STOPPED);
    server.signal("CONT");
    let mut received = Vec::new();
    while received.len() < TOTAL {
        let reply = host.read_reply(&read);
        assert_eq!(reply.lost, 0, "after {} bytes", received.len());
        received.extend(reply.data);
        read = host.start_read(&stream, BUFFER as i64);
    }
    assert!(received == data);
    for write in writes {
        assert_eq!(agent.code_of(&write), 0);
    }
}

#[test]
fn a_broker_that_was_stopped_blames_no_reader_of_the_same_worker() {
    a_prompt_reader_loses_nothing("1");
}

#[test]
fn a_broker_that_was_stopped_blames_no_reader_of_another_worker() {
    a_prompt_reader_loses_nothing("2");
}
