//! What strangers call their streams must not steer the terminal of whoever looks at them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::support::message::error_code;
use crate::support::peer::quoted;
use crate::support::{PATIENCE, TestServer, Tool, wait_until};

/// Clears the screen, sets a title, goes back to the line's begin, fakes a line, and turns the
/// order of letters round; in C0, C1, DEL and Unicode's format characters.
const NAME: &str =
    "a\x1b[2J\x1b]0;t\x07\r\nWARN faked\x7f\u{9b}31m\u{85}\u{202e}gpj\u{2066}\u{feff}\u{2028}";

/// Checks that nothing but line ends, blanks and characters that are seen is in a text.
fn assert_harmless(what: &str, text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap_or_else(|error| panic!("{what}: {error}"));
    let hidden = ['\u{ad}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}'];
    let bad = text.chars().find(|&c| {
        (c.is_control() && c != '\n')
            || hidden.contains(&c)
            || ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2060}'..='\u{206f}').contains(&c)
    });
    assert_eq!(bad, None, "{what}: {}", text.escape_debug());
    assert!(!text.lines().any(|line| line.starts_with("WARN faked")), "{what}: a faked line");
}

#[test]
fn no_verb_shows_a_hostile_name_as_it_is() {
    let server = TestServer::start_with(&["--workers", "1", "--log-format", "text"]);
    let (broker, http) = (server.broker(), server.http().to_string());
    let says = json!({"Name": NAME, "User": NAME, "Program": NAME});
    let mut writer = server.peer();
    writer.introduce(says.clone());
    let stream = writer.create(NAME, json!({"Name": NAME, "ContextID": NAME, "BufferSize": 100}));
    let mut reader = server.peer();
    reader.introduce(says);
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    assert_eq!(writer.write(&stream, &[b'x'; 100]), 0);

    let list = Tool::run(&["ls", "--broker", &broker]);
    assert_harmless("ls", &list.stdout);
    assert!(String::from_utf8_lossy(&list.stdout).contains("a\\x1b[2J\\x1b]0;t\\x07\\r\\nWARN"));
    let list = Tool::run(&["ls", "--json", "--broker", &broker]);
    assert_harmless("ls --json", &list.stdout);
    let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!((&list[0]["Name"], &list[0]["Type"]), (&json!(NAME), &json!(NAME)));

    for flags in [&[][..], &["--stream", &stream]] {
        let mut args = vec!["stats", "--http", &http];
        args.extend(flags);
        let stats = Tool::run(&args);
        assert_eq!(stats.code, Some(0), "{}", stats.stderr);
        assert_harmless("stats", &stats.stdout);
        args.push("--json");
        let stats = Tool::run(&args);
        assert_harmless("stats --json", &stats.stdout);
        let stats: Value = serde_json::from_slice(&stats.stdout).expect("JSON");
        assert_eq!(stats["streams"][0]["name"], json!(NAME));
    }

    // What the user typed may have come from elsewhere too.
    let tail = Tool::run(&["tail", "--broker", &broker, "--type", NAME, "--id", "VS999\x1b[2J"]);
    assert_eq!(tail.code, Some(1));
    assert_harmless("tail", tail.stderr.as_bytes());
    let tail = Tool::start(&["tail", "--broker", &broker, "--type", NAME, "--from", "7"]);
    tail.wait_for_stdout(&[b'x'; 93]);
    writer.streams("eos", &[&quoted(&stream)]);
    let ended = tail.wait();
    assert_eq!((ended.code, ended.stdout), (Some(0), vec![b'x'; 93]), "data stays as it is");
    assert_harmless("tail's notices", ended.stderr.as_bytes());
    let publish = Tool::run(&["pub", "--broker", &broker, "--type", NAME, "--name", NAME]);
    assert_eq!(publish.code, Some(0), "{}", publish.stderr);
    assert_harmless("pub", publish.stderr.as_bytes());
}

#[test]
fn no_log_line_has_a_hostile_name_as_it_is() {
    for form in ["text", "json"] {
        let server = TestServer::start_with(&["--workers", "1", "--log-format", form]);
        let mut writer = server.peer();
        let properties = json!({"BufferSize": 10, "History": 0, "StallTimeout": 0});
        let stream = writer.create(NAME, properties);
        let mut reader = server.peer();
        reader.introduce(json!({"Name": NAME, "User": NAME, "Program": NAME}));
        assert_eq!(reader.attach(&stream, json!({})).0, 0);
        for _ in 0..3 {
            assert_eq!(writer.write(&stream, &[b'x'; 10]), 0);
        }
        reader.start_read(&stream, 100);
        wait_until(PATIENCE, "the loss is logged", || server.log().contains("reader lost bytes"));
        assert_harmless(form, server.log().as_bytes());
    }
}

#[test]
fn a_name_that_is_no_text_is_shown_as_far_as_it_is() {
    let server = TestServer::start();
    let mut writer = server.peer();
    for name in [&b"{\"Name\":\"a\\ud800b\"}"[..], b"{\"Name\":\"c\xff\xfed\"}"] {
        let created = writer.call("StreamBroker", "create", &[b"\"T\"", name]);
        assert_eq!(error_code(&created[0]), 0);
    }
    let list = Tool::run(&["ls", "--broker", &server.broker()]);
    assert_eq!(list.code, Some(0), "{}", list.stderr);
    let text = String::from_utf8(list.stdout).expect("text");
    assert!(text.contains("a\u{fffd}b") && text.contains("c\u{fffd}"), "{text}");
}

#[test]
fn one_long_name_does_not_spread_the_table() {
    let server = TestServer::start();
    let mut writer = server.peer();
    writer.create("T", json!({"Name": "n".repeat(10_000)}));
    let list = Tool::run(&["ls", "--broker", &server.broker()]);
    let text = String::from_utf8(list.stdout).expect("text");
    assert!(text.lines().all(|line| line.chars().count() < 250), "{text}");
    assert!(text.contains("nnn…"), "{text}");
}

/// A peer that answers every connection with these bytes, and ends it.
fn answer_with(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    // Ends with the test's process.
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.expect("a connection");
            let mut reader = BufReader::new(socket.try_clone().expect("a second handle"));
            // An HTTP request's head, or the begin of a Hello.
            let mut head = Vec::new();
            let _ = reader.read_until(b'\x01', &mut head);
            let _ = socket.write_all(&answer);
            let _ = socket.shutdown(std::net::Shutdown::Write);
            let _ = reader.read_to_end(&mut head);
        }
    });
    address
}

#[test]
fn a_hostile_broker_steers_no_terminal() {
    let mut report = b"E\0Locator\0Hello\0[\"ZeroCopy\"]\0\x03\x01\x03\x02".to_vec();
    let text = serde_json::to_string(NAME).expect("a string is JSON");
    report.extend(format!("{{\"Code\":1,\"Format\":{text}}}\0").bytes());
    report.extend(b"\x03\x01");
    let broker = answer_with(report);
    for verb in [
        &["ls"][..],
        &["tail", "--retry-for", "0"],
        &["pub"],
        &["bench", "--load", "small", "--writes", "1"],
    ] {
        let mut args = verb.to_vec();
        match verb[0] {
            "bench" => args.push(&broker),
            _ => args.extend(["--broker", &broker]),
        }
        let outcome = Tool::run(&args);
        assert_ne!(outcome.code, Some(0), "{args:?}");
        assert_harmless(verb[0], outcome.stderr.as_bytes());
        assert_harmless(verb[0], &outcome.stdout);
    }
}
