//! `pub`, `tail` and `ls` together.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::peer::quoted;
use crate::support::{PATIENCE, Pattern, TestServer, Tool, wait_until};

#[test]
fn lines_typed_into_pub_appear_in_tail_at_once() {
    let server = TestServer::start();
    let broker = server.broker();
    let mut publisher = Tool::start(&["pub", "--broker", &broker, "--type", "Typed"]);
    let stream = publisher.told_stream();
    let tail = Tool::start(&["tail", "--broker", &broker, "--id", &stream]);
    let mut typed = Vec::new();
    for index in 0..20 {
        let line = format!("line {index} \u{3b1}\u{3} end\n");
        publisher.type_in(line.as_bytes());
        typed.extend_from_slice(line.as_bytes());
        // The next line is typed only when this one has been seen.
        tail.wait_for_stdout(&typed);
    }
    assert_eq!(publisher.wait().code, Some(0));
    let outcome = tail.wait();
    assert_eq!((outcome.code, outcome.stdout), (Some(0), typed), "{}", outcome.stderr);
}

#[test]
fn file_is_held_for_the_first_tail() {
    let server = TestServer::start();
    let broker = server.broker();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("image");
    let data = Pattern::new(21).bytes(0, 3 << 20);
    std::fs::write(&file, &data).expect("a temporary file");
    let path = file.to_str().expect("a path in UTF-8");
    let publisher = Tool::start(&[
        "pub",
        path,
        "--broker",
        &broker,
        "--type",
        "Held",
        "--context",
        "P9",
        "--name",
        "image",
        "--hold",
    ]);
    let stream = publisher.told_stream();
    let mut watcher = server.peer();
    wait_until(PATIENCE, "the buffer is full and the file waits", || {
        watcher.listed(&stream).is_some_and(|object| object["ParkedWrites"] != json!(0))
    });
    let listed = watcher.listed(&stream).expect("it is listed");
    assert_eq!(
        (&listed["ContextID"], &listed["Name"], &listed["Start"]),
        (&json!("P9"), &json!("image"), &json!(0)),
        "{listed}"
    );
    wait_until(PATIENCE, "pub says for whom it waits", || {
        publisher.stderr().contains("waiting for the first reader")
    });
    let tail = Tool::run(&["tail", "--broker", &broker, "--id", &stream]);
    assert_eq!(tail.code, Some(0), "{}", tail.stderr);
    assert!(tail.stdout == data, "{} bytes of {}", tail.stdout.len(), data.len());
    assert_eq!(publisher.wait().code, Some(0));
}

#[test]
fn what_pub_holds_stays_whole_for_the_first_reader_after_pub_has_ended() {
    let server = TestServer::start();
    let broker = server.broker();
    let data = Pattern::new(22).bytes(0, 588_895);
    let args = ["pub", "--broker", &broker, "--type", "Held", "--hold", "--linger", "60s"];
    let mut publisher = Tool::start(&args);
    let mut stdin = publisher.take_stdin();
    stdin.write_all(&data).expect("pub reads its input");
    drop(stdin);
    let outcome = publisher.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("before anybody read"), "{}", outcome.stderr);
    let tail = Tool::run(&["tail", "--broker", &broker, "--type", "Held"]);
    assert_eq!(tail.code, Some(0), "{}", tail.stderr);
    assert!(tail.stdout == data, "{} bytes", tail.stdout.len());
}

#[test]
fn pub_says_at_its_end_what_went_before_anybody_read() {
    let server = TestServer::start();
    let broker = server.broker();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("image");
    std::fs::write(&file, Pattern::new(22).bytes(0, 588_895)).expect("a temporary file");
    let path = file.to_str().expect("a path in UTF-8");
    let args = ["pub", path, "--broker", &broker, "--type", "Early", "--buffer", "64KiB"];
    let publisher = Tool::run(&args);
    assert_eq!(publisher.code, Some(0), "{}", publisher.stderr);
    let stream = publisher.stderr.split_whitespace().nth(1).expect("an ID").to_owned();
    let listed = server.peer().listed(&stream).expect("it lingers");
    let unread = listed["Start"].as_u64().expect("an offset");
    assert!(unread >= 588_895 - 65_536 && listed["Unread"] == json!(unread), "{listed}");
    let told = " of 588,895 bytes went before anybody read: --hold or --history keep them";
    assert!(publisher.stderr.contains(told), "{}", publisher.stderr);

    // All of it is there for a late reader, or a reader was there in time: nothing to say.
    let kept = ["pub", path, "--broker", &broker, "--type", "Kept", "--history", "1MiB"];
    let publisher = Tool::run(&kept);
    assert!(!publisher.stderr.contains("anybody"), "{}", publisher.stderr);
    let tail = Tool::start(&["tail", "--broker", &broker, "--type", "Read"]);
    wait_until(PATIENCE, "it waits", || tail.stderr().contains("waiting for one"));
    let mut read = args;
    read[5] = "Read";
    let publisher = Tool::run(&read);
    assert!(!publisher.stderr.contains("anybody"), "{}", publisher.stderr);
    assert_eq!(tail.wait().stdout.len(), 588_895);
}

#[test]
fn tail_that_waits_gets_the_first_stream_of_its_type_from_its_first_byte() {
    let server = TestServer::start();
    let broker = server.broker();
    let tail = Tool::start(&["tail", "--broker", &broker, "--type", "Later"]);
    wait_until(PATIENCE, "the tail has a channel", || {
        server.stats().to_string().contains("127.0.0.1")
    });
    for _ in 0..2 {
        let mut other = Tool::start(&["pub", "--broker", &broker, "--type", "Other"]);
        other.type_in(b"not this");
        other.told_stream();
        assert_eq!(other.wait().code, Some(0));
    }
    let mut publisher = Tool::start(&["pub", "--broker", &broker, "--type", "Later"]);
    publisher.type_in(b"the first byte and the last");
    assert_eq!(publisher.wait().code, Some(0));
    let outcome = tail.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, b"the first byte and the last");
}

#[test]
fn tail_follows_one_stream_after_the_other() {
    let server = TestServer::start();
    let broker = server.broker();
    let tail = Tool::start(&["tail", "--broker", &broker, "--type", "Boot", "--follow"]);
    let mut seen = Vec::new();
    for boot in 0..3 {
        let mut publisher = Tool::start(&["pub", "--broker", &broker, "--type", "Boot"]);
        let text = format!("boot {boot}\n");
        publisher.type_in(text.as_bytes());
        seen.extend_from_slice(text.as_bytes());
        tail.wait_for_stdout(&seen);
        assert_eq!(publisher.wait().code, Some(0));
    }
}

#[test]
fn tail_starts_at_an_offset() {
    let server = TestServer::start();
    let broker = server.broker();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({}));
    assert_eq!(writer.write(&stream, b"0123456789"), 0);
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    for (from, want) in [("4", &b"456789"[..]), ("oldest", b"0123456789"), ("latest", b"")] {
        // A reader of our own keeps the ended stream.
        let mut keeper = server.peer();
        assert_eq!(keeper.streams("connect", &[&quoted(&stream)]), 0);
        let tail = Tool::run(&["tail", "--broker", &broker, "--id", &stream, "--from", from]);
        assert_eq!((tail.code, &*tail.stdout), (Some(0), want), "--from {from}: {}", tail.stderr);
    }
}

#[test]
fn tail_that_lost_bytes_says_so() {
    let server = TestServer::start();
    let broker = server.broker();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"BufferSize": 100, "History": 10}));
    for _ in 0..10 {
        assert_eq!(writer.write(&stream, &[b'x'; 100]), 0);
    }
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    let tail = Tool::run(&["tail", "--broker", &broker, "--id", &stream, "--from", "5"]);
    assert_eq!(tail.code, Some(3), "{}", tail.stderr);
    assert!(tail.stderr.contains("lost"), "{}", tail.stderr);
}

#[test]
fn ls_shows_the_streams() {
    let server = TestServer::start();
    let broker = server.broker();
    let empty = Tool::run(&["ls", "--json", "--broker", &broker]);
    assert_eq!(empty.code, Some(0), "{}", empty.stderr);
    let list: Value = serde_json::from_slice(&empty.stdout).expect("JSON");
    assert_eq!(list, json!([]));
    let mut writer = server.peer();
    let first = writer.create("A", json!({"Name": "console", "Direction": "bus"}));
    let second = writer.create("B", json!({}));
    assert_eq!(writer.write(&second, b"12345"), 0);
    let full = Tool::run(&["ls", "--json", "--broker", &broker]);
    let list: Value = serde_json::from_slice(&full.stdout).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
    assert_eq!(
        (&list[0]["ID"], &list[0]["Name"], &list[0]["Direction"], &list[1]["End"]),
        (&json!(first), &json!("console"), &json!("bus"), &json!(5)),
        "{list}"
    );
    let table = Tool::run(&["ls", "--broker", &broker]);
    let text = String::from_utf8(table.stdout).expect("a table is text");
    assert!(text.contains(&first) && text.contains(&second) && text.contains("console"), "{text}");
}
