//! `weir bench` against the real broker: its totals are what was written, its exit codes right.
//!
//! Loads are bounded by counts here, never by a time: what is checked does not hang on speed.

use serde_json::{Value, json};

use crate::support::{TestServer, Tool};

/// Runs `weir bench` to its end and gives what it printed.
fn bench(server: &TestServer, args: &[&str]) -> Value {
    let (broker, pid) = (server.broker(), server.pid().to_string());
    let outcome =
        Tool::run(&[&["bench", &broker, "--json", "--check-all", "--pid", &pid], args].concat());
    assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.stderr);
    serde_json::from_slice(&outcome.stdout).expect("a JSON object on standard output")
}

/// Checks that so many writes were measured, and that each reader had them all.
fn assert_totals(report: &Value, least: u64) {
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"));
    let (streams, readers) = (number("streams"), number("readers"));
    let total = number("writes_total");
    assert!(total >= least * streams, "{report}");
    assert_eq!(number("writes") * readers.min(1), total * readers.min(1), "{report}");
    assert_eq!(number("deliveries"), total * readers, "{report}");
    assert_eq!(number("delivered_bytes"), total * readers * number("write_bytes"), "{report}");
    assert!(report["server"]["cpu_seconds"].is_f64(), "{report}");
}

#[test]
fn every_load_of_writes_delivers_all_of_them() {
    let server = TestServer::start();
    for (load, args) in [
        ("bulk", &["--writes", "300"][..]),
        ("bulk", &["--writes", "50", "--size", "300KiB", "--readers", "2"]),
        ("small", &["--writes", "20000"]),
        ("small", &["--writes", "3", "--size", "1", "--window", "1"]),
        ("fan-out", &["--writes", "100"]),
        ("fan-out", &["--writes", "100", "--base64"]),
        ("fan-out", &["--writes", "50", "--read-size", "1000", "--reads", "1"]),
        ("streams", &["--writes", "50", "--streams", "20"]),
        ("streams", &["--writes", "50", "--streams", "20", "--streams-per-channel", "7"]),
        ("round-trip", &["--writes", "50", "--readers", "4"]),
    ] {
        let report = bench(&server, &[&["--load", load], args].concat());
        assert_eq!(report["load"], load);
        assert_totals(&report, args[1].parse().expect("a count"));
    }
}

#[test]
fn a_round_trip_is_timed_for_each_reader_and_for_all() {
    let server = TestServer::start();
    let report = bench(&server, &["--load", "round-trip", "--readers", "3", "--writes", "40"]);
    assert_eq!(report["round"]["count"], 40, "{report}");
    assert_eq!(report["delivery"]["count"], 120, "{report}");
    let time = |of: &str, name: &str| report[of][name].as_f64().expect("a time");
    assert!(time("round", "p50_us") > 0.0, "{report}");
    assert!(time("round", "p50_us") <= time("round", "max_us"), "{report}");
    assert!(time("delivery", "max_us") <= time("round", "max_us"), "{report}");
}

#[test]
fn writes_without_readers_count_when_they_are_answered() {
    let server = TestServer::start();
    // The window is far below the buffer, and nobody holds it.
    let report = bench(&server, &["--load", "small", "--readers", "0", "--writes", "40000"]);
    assert_eq!((&report["deliveries"], &report["writes"]), (&json!(0), &report["writes_total"]));
}

#[test]
fn storms_and_idle_channels_are_counted() {
    let server = TestServer::start();
    let report = bench(&server, &["--load", "storm", "--channels", "5", "--writes", "40"]);
    assert_eq!((&report["channels"], &report["at_once"]), (&json!(40), &json!(5)), "{report}");
    let report = bench(&server, &["--load", "idle", "--channels", "30"]);
    assert_eq!(report["channels"], 30, "{report}");
    assert!(report["server_resident_bytes"].as_u64() > Some(0), "{report}");
}

#[test]
fn samples_are_enough_to_count_everything() {
    let server = TestServer::start();
    let (broker, pid) = (server.broker(), server.pid().to_string());
    for (load, writes) in [("bulk", "2000"), ("small", "200000"), ("fan-out", "1000")] {
        let args = ["bench", &broker, "--json", "--pid", &pid, "--load", load, "--writes", writes];
        let outcome = Tool::run(&args);
        assert_eq!(outcome.code, Some(0), "{load}: {}", outcome.stderr);
        let report = serde_json::from_slice(&outcome.stdout).expect("JSON");
        assert_totals(&report, writes.parse().expect("a count"));
    }
}

#[test]
fn nothing_is_left_behind() {
    let server = TestServer::start();
    bench(&server, &["--load", "streams", "--streams", "5", "--writes", "10"]);
    let list = Tool::run(&["ls", "--json", "--broker", &server.broker()]);
    let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!(list, json!([]));
}

#[test]
fn people_get_a_table() {
    let server = TestServer::start();
    let broker = server.broker();
    for load in ["bulk", "storm"] {
        let outcome = Tool::run(&["bench", &broker, "--load", load, "--writes", "64"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let text = String::from_utf8(outcome.stdout).expect("a table is text");
        assert!(text.starts_with(load) && text.contains("p99"), "{text}");
    }
}

#[test]
fn what_cannot_be_done_says_why() {
    for args in [
        &["--load", "bogus"][..],
        &["--size", "0"],
        &["--reads", "0"],
        &["--streams", "0"],
        &["--writes", "0"],
        &["--size", "many"],
    ] {
        let outcome = Tool::run(&[&["bench", "127.0.0.1:1"], args].concat());
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
    }
    let outcome = Tool::run(&["bench", "127.0.0.1:1", "--writes", "1"]);
    assert_eq!(outcome.code, Some(69), "{}", outcome.stderr);
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains("127.0.0.1:1"));
}
