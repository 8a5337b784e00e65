//! One writer, many readers, large transfers.

use std::io::Write;

use serde_json::json;

use crate::support::{PATIENCE, Pattern, TestServer, Tool, wait_until};

const TAILS: usize = 8;
const PIECE: usize = 1 << 20;

/// Megabytes to transfer: moderate, so that the suite stays fast. `tools/soak` sets more.
fn transfer_bytes() -> u64 {
    let megabytes = match std::env::var("WEIR_TEST_MIB") {
        Ok(text) => text.parse().expect("WEIR_TEST_MIB is a number"),
        Err(_) => 24,
    };
    megabytes << 20
}

#[test]
fn eight_tails_get_every_byte_of_a_large_file() {
    let server = TestServer::start();
    let broker = server.broker();
    let total = transfer_bytes();
    let pattern = Pattern::new(31);
    let mut publisher =
        Tool::start(&["pub", "--broker", &broker, "--type", "Big", "--stall-timeout", "never"]);
    let stream = publisher.told_stream();
    let tails: Vec<_> = (0..TAILS)
        .map(|_| {
            let args = ["tail", "--broker", &broker, "--id", &stream];
            Tool::start_checked(&args, pattern.check_from(0))
        })
        .collect();
    let mut watcher = server.peer();
    wait_until(PATIENCE, "all tails are attached", || {
        watcher.listed(&stream).is_some_and(|object| object["Readers"] == json!(TAILS))
    });
    let mut stdin = publisher.take_stdin();
    for offset in (0..total).step_by(PIECE) {
        stdin.write_all(&pattern.bytes(offset, PIECE)).expect("pub reads its input");
    }
    drop(stdin);
    let outcome = publisher.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for (tail, checked) in tails {
        let outcome = tail.wait();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert_eq!(checked.lock().expect("not poisoned").offset(), total);
    }
    let peak = server.peak_memory();
    assert!(peak < 100 << 20, "{} MiB of memory", peak >> 20);
}

#[test]
fn killed_reader_disturbs_nobody() {
    let mut server = TestServer::start();
    let broker = server.broker();
    let pattern = Pattern::new(32);
    let mut publisher =
        Tool::start(&["pub", "--broker", &broker, "--type", "Kill", "--stall-timeout", "never"]);
    let stream = publisher.told_stream();
    let args = ["tail", "--broker", &broker, "--id", &stream];
    let (survivor, checked) = Tool::start_checked(&args, pattern.check_from(0));
    let (mut victim, victim_checked) = Tool::start_checked(&args, pattern.check_from(0));
    let mut watcher = server.peer();
    wait_until(PATIENCE, "both are attached", || {
        watcher.listed(&stream).is_some_and(|object| object["Readers"] == json!(2))
    });
    let mut stdin = publisher.take_stdin();
    let total = 12u64 << 20;
    for offset in (0..total).step_by(PIECE) {
        stdin.write_all(&pattern.bytes(offset, PIECE)).expect("pub reads its input");
        if offset == 4 << 20 {
            wait_until(PATIENCE, "the victim reads", || {
                victim_checked.lock().expect("not poisoned").offset() > 1 << 20
            });
            victim.kill();
        }
    }
    drop(stdin);
    assert_eq!(publisher.wait().code, Some(0));
    assert_eq!(survivor.wait().code, Some(0));
    assert_eq!(checked.lock().expect("not poisoned").offset(), total);
    assert!(victim_checked.lock().expect("not poisoned").offset() < total);
    server.assert_well();
}
