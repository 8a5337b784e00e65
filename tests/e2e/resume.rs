//! Writers and readers whose connections break, and that come back.

use std::process::Command;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;

use crate::relay::{Break, How, Relay};
use crate::support::message::error_code;
use crate::support::peer::quoted;
use crate::support::{PATIENCE, Pattern, Seed, TestServer, Tool, wait_until};

const BREAKS: usize = 100;
/// The first connection gets so far at least: what was never there cannot be resumed.
const FIRST_BYTES: u64 = 2000;
const LONGEST_BYTES: f64 = 256.0 * 1024.0;

/// So many breaks, from the middle of the Hello up to some writes later, short ones being as
/// frequent as long ones.
fn breaks(rng: &mut SmallRng, ways: &[How]) -> Vec<Break> {
    let mut breaks: Vec<Break> = (0..BREAKS)
        .map(|_| {
            let after = LONGEST_BYTES.powf(rng.random_range(0.2..1.0)) as u64;
            Break { after, how: ways[rng.random_range(0..ways.len())] }
        })
        .collect();
    breaks[0].after += FIRST_BYTES;
    breaks
}

#[test]
fn a_hundred_breaks_of_writer_and_reader_lose_and_double_nothing() {
    let server = TestServer::start();
    let seed = Seed::new();
    let writer_breaks = breaks(&mut seed.rng(1), &[How::Reset, How::Finish, How::ClientOnly]);
    let reader_breaks = breaks(&mut seed.rng(2), &[How::Reset, How::Finish]);
    // All of it goes through each relay, so every break comes to pass.
    let sum = |breaks: &[Break]| breaks.iter().map(|b| b.after).sum::<u64>();
    let total = sum(&writer_breaks).max(sum(&reader_breaks)) + (1 << 20);
    let pattern = Pattern::new(seed.value());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("input");
    std::fs::write(&file, pattern.bytes(0, total as usize)).expect("a temporary file");
    let path = file.to_str().expect("a path in UTF-8");

    let to_writer = Relay::start(server.address(), writer_breaks);
    let to_reader = Relay::start(server.address(), reader_breaks);
    // While the reader is away nobody holds the bytes for it but the history.
    let room = total.to_string();
    let (writer_broker, reader_broker) = (to_writer.broker(), to_reader.broker());
    let mut publish = vec!["pub", path, "--broker", &writer_broker, "--type", "Torn"];
    publish.extend(["--buffer", &room, "--history", &room, "--linger", "120s"]);
    publish.extend(["--keep-for", "120s"]);
    let publisher = Tool::start(&publish);
    let stream = publisher.told_stream();
    let args = ["tail", "--broker", &reader_broker, "--id", &stream, "--retry-for", "120s"];
    let (tail, checked) = Tool::start_checked(&args, pattern.check_from(0));

    let outcome = publisher.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let outcome = tail.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(gaps(&outcome.stderr, &stream), [], "{}", outcome.stderr);
    assert_eq!(checked.lock().expect("not poisoned").offset(), total);
    assert_eq!((to_writer.broken(), to_reader.broken()), (BREAKS, BREAKS));
    let listed = server.peer().listed(&stream).expect("it lingers");
    assert_eq!((&listed["End"], listed.get("CutOff")), (&json!(total), None), "{listed}");
}

#[test]
fn a_tail_whose_connection_breaks_all_the_time_loses_nothing_within_its_stall_timeout() {
    const TOTAL: u64 = 12 << 20;
    let server = TestServer::start();
    let seed = Seed::new();
    let mut rng = seed.rng(3);
    let breaks: Vec<Break> = (0..30)
        .map(|_| {
            let how = [How::Reset, How::Finish, How::ClientOnly][rng.random_range(0..3)];
            Break { after: rng.random_range(50_000..400_000), how }
        })
        .collect();
    let count = breaks.len();
    let relay = Relay::start(server.address(), breaks);
    let pattern = Pattern::new(seed.value());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("input");
    std::fs::write(&file, pattern.bytes(0, TOTAL as usize)).expect("a temporary file");
    let path = file.to_str().expect("a path in UTF-8");
    let args = ["tail", "--broker", &relay.broker(), "--type", "Cut", "--stall-timeout", "60s"];
    let (tail, checked) = Tool::start_checked(&args, pattern.check_from(0));
    wait_until(PATIENCE, "it waits", || tail.stderr().contains("waiting for one"));
    // A stream as it comes: a history of 64 KiB and no more.
    let publisher = Tool::run(&["pub", path, "--broker", &server.broker(), "--type", "Cut"]);
    assert_eq!(publisher.code, Some(0), "{}", publisher.stderr);
    let outcome = tail.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(checked.lock().expect("not poisoned").offset(), TOTAL);
    assert_eq!(relay.broken(), count, "{}", outcome.stderr);
    wait_until(PATIENCE, "nothing is held for it any more", || {
        let streams = server.peer().list();
        streams.iter().all(|object| object["Readers"] == json!(0))
    });
}

#[test]
fn the_key_is_told_to_nobody() {
    const SECRET: &str = "kjhgf-not-to-be-seen";
    let server = TestServer::start_with(&["--workers", "2"]);
    let breaks = vec![Break { after: FIRST_BYTES, how: How::Reset }];
    let relay = Relay::start(server.address(), breaks);
    let mut command: Command = Tool::command();
    command.args(["pub", "--broker", &relay.broker(), "--type", "Secret"]);
    command.env("WEIR_KEY", SECRET);
    let mut publisher = Tool::start_command(command);
    let stream = publisher.told_stream();
    publisher.type_in(&[b'x'; 5000]);
    wait_until(PATIENCE, "it is connected again", || publisher.stderr().contains("goes on at"));
    let mut thief = server.peer();
    assert_eq!(thief.call("StreamBroker", "adopt", &[&quoted(&stream), b"\"guess\""]).len(), 2);
    let list = Tool::run(&["ls", "--json", "--broker", &server.broker()]);
    let outcome = publisher.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for text in [
        String::from_utf8(list.stdout).expect("text"),
        outcome.stderr,
        server.stats().to_string(),
        server.log(),
        String::from_utf8(Tool::run(&["pub", "--help"]).stdout).expect("text"),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn writer_whose_stream_is_taken_over_says_so() {
    let server = TestServer::start();
    let broker = server.broker();
    let mut publisher = Tool::start(&["pub", "--broker", &broker, "--type", "T", "--key", "k"]);
    let stream = publisher.told_stream();
    let mut heir = server.peer();
    let adopted = heir.call("StreamBroker", "adopt", &[&quoted(&stream), b"\"k\""]);
    assert_eq!(error_code(&adopted[0]), 0);
    publisher.type_in(b"late");
    wait_until(PATIENCE, "it ends", || !publisher.is_running());
    let outcome = publisher.wait();
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("taken over"), "{}", outcome.stderr);
}

#[test]
fn writer_gives_up_when_its_time_is_over() {
    let mut server = TestServer::start();
    let mut publisher =
        Tool::start(&["pub", "--broker", &server.broker(), "--type", "T", "--keep-for", "300ms"]);
    publisher.type_in(b"some bytes");
    let stream = publisher.told_stream();
    wait_until(PATIENCE, "the bytes are in", || {
        server.peer().listed(&stream).is_some_and(|object| object["End"] == json!(10))
    });
    assert_eq!(server.terminate(), Some(0), "an orderly end:\n{}", server.log());
    wait_until(PATIENCE, "it gives up", || !publisher.is_running());
    let outcome = publisher.wait();
    assert_eq!(outcome.code, Some(75), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("trying again").count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("10 bytes are known"), "{}", outcome.stderr);
}

#[test]
fn gap_of_a_reader_that_was_away_is_told_to_the_byte() {
    let server = TestServer::start();
    let pattern = Pattern::new(61);
    let mut writer = server.zero_copy_peer();
    let stream = writer.create("Gap", json!({"BufferSize": 1000, "History": 1000}));
    // Hello, the ID of the broker, attaching, and the first 500 bytes; it breaks in what comes
    // behind.
    let relay = Relay::start(server.address(), vec![Break { after: 3000, how: How::Reset }]);
    let tail =
        Tool::start(&["tail", "--broker", &relay.broker(), "--id", &stream, "--retry-for", "60s"]);
    wait_until(PATIENCE, "it is attached", || {
        server.peer().listed(&stream).is_some_and(|object| object["Readers"] == json!(1))
    });
    let mut offset = 0;
    while relay.broken() == 0 {
        assert_eq!(writer.write(&stream, &pattern.bytes(offset, 100)), 0);
        offset += 100;
    }
    // Faster than the reader comes back, or it has come back: either way the numbers must agree.
    for _ in 0..100 {
        assert_eq!(writer.write(&stream, &pattern.bytes(offset, 100)), 0);
        offset += 100;
    }
    wait_until(PATIENCE, "the tail is back", || tail.stderr().contains("goes on at"));
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    let outcome = tail.wait();
    let gaps = gaps(&outcome.stderr, &stream);
    assert_eq!(without_gaps(pattern, offset, &gaps), outcome.stdout, "{}", outcome.stderr);
    let code = if gaps.is_empty() { 0 } else { 3 };
    assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
}

#[test]
fn reader_does_not_go_on_with_a_stream_of_another_broker() {
    let mut server = TestServer::start_with(&["--workers", "1"]);
    let address = server.broker();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"Key": "k", "KeepFor": 60_000}));
    assert_eq!(writer.write(&stream, b"old"), 0);
    let tail = Tool::start(&["tail", "--broker", &address, "--id", &stream]);
    tail.wait_for_stdout(b"old");
    drop(writer);
    assert_eq!(server.terminate(), Some(0), "an orderly end:\n{}", server.log());
    let anew = TestServer::start_with(&["--workers", "1", "--listen", &address]);
    let mut writer = anew.peer();
    let other = writer.create("T", json!({}));
    assert_eq!(other, stream, "the IDs begin from the first again");
    assert_eq!(writer.write(&other, b"other bytes"), 0);
    let outcome = tail.wait();
    assert_eq!((outcome.code, &*outcome.stdout), (Some(75), &b"old"[..]), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("restarted"), "{}", outcome.stderr);
}

#[test]
fn follower_tells_what_a_new_broker_has_lost_and_goes_on() {
    let mut server = TestServer::start_with(&["--workers", "1"]);
    let address = server.broker();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"Key": "k", "KeepFor": 60_000}));
    assert_eq!(writer.write(&stream, b"old "), 0);
    let tail = Tool::start(&["tail", "--broker", &address, "--type", "T", "--follow"]);
    tail.wait_for_stdout(b"old ");
    drop(writer);
    assert_eq!(server.terminate(), Some(0), "an orderly end:\n{}", server.log());
    let anew = TestServer::start_with(&["--workers", "1", "--listen", &address]);
    let mut writer = anew.peer();
    let other = writer.create("T", json!({}));
    assert_eq!(writer.write(&other, b"new"), 0);
    tail.wait_for_stdout(b"old new");
    assert!(tail.stderr().contains("lost an unknown number of bytes"), "{}", tail.stderr());
}

#[test]
fn tail_warns_of_a_writer_that_broke_off() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"Linger": 60_000}));
    assert_eq!(writer.write(&stream, b"half"), 0);
    let args = ["tail", "--broker", &server.broker(), "--id", &stream, "--type", "T", "--no-wait"];
    let tail = Tool::start(&args);
    tail.wait_for_stdout(b"half");
    drop(writer);
    let outcome = tail.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("broke off"), "{}", outcome.stderr);
    let mut wrong = args;
    wrong[6] = "Other";
    let outcome = Tool::run(&wrong);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("of type Other"), "{}", outcome.stderr);
}

/// The gaps that a tail told: offset and size.
pub fn gaps(stderr: &str, stream: &str) -> Vec<(u64, u64)> {
    let number = |text: &str| text.trim().parse().expect("a number");
    stderr
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("weir tail: lost ")?;
            let (count, offset) = rest.split_once(&format!(" bytes of {stream} at offset "))?;
            Some((number(offset), number(count)))
        })
        .collect()
}

/// The bytes up to `end` that a reader with these gaps has.
pub fn without_gaps(pattern: Pattern, end: u64, gaps: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut position = 0;
    for (offset, count) in gaps.iter().copied().chain([(end, 0)]) {
        bytes.extend(pattern.bytes(position, (offset - position) as usize));
        position = offset + count;
    }
    bytes
}
