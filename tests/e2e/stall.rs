//! Eight tails of which one is stopped by its operating system.

use std::io::Write;
use std::process::Command;

use serde_json::json;

use crate::resume::{gaps, without_gaps};
use crate::support::{PATIENCE, Pattern, TestServer, Tool, wait_until};

const OTHERS: usize = 7;
const PIECE: usize = 1 << 20;
/// More than two sockets (a kernel may let each grow to several MiB), the bytes that a broker keeps
/// unsent for a channel (1 MiB) and the stream's buffer (1 MiB) can hold.
const TOTAL: u64 = 40 << 20;

/// Sends a signal to a tool that the test has started.
fn signal(tool: &Tool, name: &str) {
    let pid = tool.pid().to_string();
    let status = Command::new("kill").args([name, &pid]).status().expect("kill can be run");
    assert!(status.success());
}

/// One tail is stopped, the whole transfer is made, and the tail goes on. `policy` is its own stall
/// timeout; the others are waited for, always.
fn stop_one(policy: &str) {
    let server = TestServer::start();
    let broker = server.broker();
    let pattern = Pattern::new(51);
    let mut publisher =
        Tool::start(&["pub", "--broker", &broker, "--type", "Stall", "--stall-timeout", "never"]);
    let stream = publisher.told_stream();
    let args = ["tail", "--broker", &broker, "--id", &stream];
    let others: Vec<_> =
        (0..OTHERS).map(|_| Tool::start_checked(&args, pattern.check_from(0))).collect();
    let victim = Tool::start(&[&args[..], &["--stall-timeout", policy]].concat());
    let mut watcher = server.peer();
    wait_until(PATIENCE, "all tails are attached", || {
        watcher.listed(&stream).is_some_and(|object| object["Readers"] == json!(OTHERS + 1))
    });
    let mut stdin = publisher.take_stdin();
    stdin.write_all(&pattern.bytes(0, PIECE)).expect("pub reads its input");
    victim.wait_for_stdout(&pattern.bytes(0, PIECE));
    signal(&victim, "-STOP");
    let feeder = std::thread::spawn(move || {
        for offset in (PIECE as u64..TOTAL).step_by(PIECE) {
            stdin.write_all(&pattern.bytes(offset, PIECE)).expect("pub reads its input");
        }
    });
    if policy == "never" {
        wait_until(PATIENCE, "the writer waits for the stopped reader", || {
            watcher.listed(&stream).is_some_and(|object| object["ParkedWrites"] != json!(0))
        });
        assert!(publisher.is_running());
        wait_until(PATIENCE, "the writer says for whom it waits", || {
            publisher.stderr().contains("readers")
        });
        let listed = watcher.listed(&stream).expect("it is listed");
        assert!(listed["End"].as_u64().is_some_and(|end| end < TOTAL), "{listed}");
        signal(&victim, "-CONT");
    }
    feeder.join().expect("all was fed");
    let outcome = publisher.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for (tail, checked) in others {
        let outcome = tail.wait();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert_eq!(checked.lock().expect("not poisoned").offset(), TOTAL);
    }
    if policy != "never" {
        signal(&victim, "-CONT");
    }
    let outcome = victim.wait();
    let gaps = gaps(&outcome.stderr, &stream);
    let want = without_gaps(pattern, TOTAL, &gaps);
    assert!(outcome.stdout == want, "{} bytes, not {}", outcome.stdout.len(), want.len());
    let lost: u64 = gaps.iter().map(|(_, count)| count).sum();
    assert_eq!(outcome.stdout.len() as u64 + lost, TOTAL, "{}", outcome.stderr);
    match policy {
        "never" => assert_eq!((outcome.code, lost), (Some(0), 0), "{}", outcome.stderr),
        _ => {
            assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
            assert!(lost > 0, "{}", outcome.stderr);
        }
    }
}

#[test]
fn stopped_viewer_loses_and_disturbs_nobody() {
    stop_one("0");
}

#[test]
fn stopped_reader_is_waited_for_half_a_second_and_then_loses() {
    stop_one("500ms");
}

#[test]
fn stopped_reader_that_may_not_lose_stops_the_writer_until_it_goes_on() {
    stop_one("never");
}
