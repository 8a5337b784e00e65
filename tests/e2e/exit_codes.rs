//! What a script can rely on.

use std::net::TcpListener;

use serde_json::json;

use crate::support::{TestServer, Tool};

/// An address at which nobody listens.
fn deserted() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

#[test]
fn no_broker_is_69_and_says_where_it_looked() {
    let address = deserted();
    for args in [&["ls"][..], &["tail", "--type", "T"], &["pub", "--type", "T"]] {
        let mut args = args.to_vec();
        args.extend(["--broker", &address]);
        let outcome = Tool::run(&args);
        assert_eq!(outcome.code, Some(69), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(&address), "{}", outcome.stderr);
        assert!(outcome.stdout.is_empty(), "data only on standard output");
    }
}

#[test]
fn wrong_usage_is_2() {
    for args in [
        &["--bogus"][..],
        &["ls", "--bogus"],
        &["tail", "--from", "yesterday"],
        &["pub", "--linger", "soon"],
        &["nonsense"],
    ] {
        let outcome = Tool::run(args);
        assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.is_empty());
    }
}

#[test]
fn bad_configuration_is_78_with_line_and_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, "# first line\nbogus_key = 1\n").expect("a temporary file");
    let path = file.to_str().expect("a path in UTF-8");
    let outcome = Tool::run(&["serve", "--config", path]);
    assert_eq!(outcome.code, Some(78), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("bogus_key"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains('2'), "the line is named: {}", outcome.stderr);
}

#[test]
fn address_in_use_fails_with_its_reason() {
    let server = TestServer::start();
    let outcome = Tool::run(&["serve", "--listen", &server.broker(), "--http", "127.0.0.1:0"]);
    assert!(matches!(outcome.code, Some(code) if code != 0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&server.broker()), "{}", outcome.stderr);
}

#[test]
fn tail_that_may_not_wait_is_1() {
    let server = TestServer::start();
    let broker = server.broker();
    let outcome = Tool::run(&["tail", "--broker", &broker, "--type", "None", "--no-wait"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let outcome = Tool::run(&["tail", "--broker", &broker, "--id", "VS12345"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("VS12345"), "{}", outcome.stderr);
}

#[test]
fn broker_that_goes_away_is_75() {
    let mut server = TestServer::start();
    let broker = server.broker();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({}));
    let args = ["tail", "--broker", &broker, "--id", &stream, "--retry-for", "0"];
    let tail = Tool::start(&args);
    assert_eq!(writer.write(&stream, b"x"), 0);
    tail.wait_for_stdout(b"x");
    assert_eq!(server.terminate(), Some(0), "an orderly end:\n{}", server.log());
    let outcome = tail.wait();
    assert_eq!(outcome.code, Some(75), "{}", outcome.stderr);
    let (_, report) = writer.expect_end();
    drop(report);
}

#[test]
fn missing_file_is_1_and_leaves_no_stream() {
    let server = TestServer::start();
    let outcome =
        Tool::run(&["pub", "/nonexistent/file", "--broker", &server.broker(), "--type", "T"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("/nonexistent/file"), "{}", outcome.stderr);
    assert!(server.peer().list().is_empty());
}
