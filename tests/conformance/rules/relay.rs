//! Backpressure, loss and their accounts.

use serde_json::json;

use crate::differs::read_exactly;
use crate::support::peer::quoted;
use crate::support::{PATIENCE, Pattern, TestServer, wait_until};

/// A broker in which a reader has nothing but the stream's own buffer: one on another worker may
/// still have bytes that the stream has let go, and then loses less.
fn one_worker() -> TestServer {
    TestServer::start_with(&["--workers", "1"])
}

#[test]
fn reader_that_never_stalls_the_stream_is_told_what_it_lost() {
    let server = one_worker();
    let (mut writer, mut silent) = (server.peer(), server.peer());
    let pattern = Pattern::new(1);
    let stream = writer.create("T", json!({"BufferSize": 1000, "History": 0, "StallTimeout": 0}));
    assert_eq!(silent.attach(&stream, json!({})), (0, json!({"Position": 0, "Lost": 0})));
    for index in 0..50 {
        assert_eq!(writer.write(&stream, &pattern.bytes(index * 100, 100)), 0, "it never waits");
    }
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    let mut checked = pattern.check_from(0);
    let mut lost = 0;
    loop {
        let reply = silent.read(&stream, 300);
        assert_eq!(reply.code, 0);
        lost += reply.lost as u64;
        checked.skip(reply.lost as u64);
        checked.take(&reply.data).expect("the bytes at their offsets");
        if reply.eos {
            break;
        }
    }
    assert_eq!(checked.offset(), 5000, "delivered and lost add up");
    assert!((1..=4000).contains(&lost), "the newest that fit were kept: {lost} lost");
}

#[test]
fn stalled_reader_holds_the_stream_no_longer_than_allowed() {
    let server = one_worker();
    let (mut writer, mut active, mut silent) = (server.peer(), server.peer(), server.peer());
    let pattern = Pattern::new(2);
    let stream = writer.create("T", json!({"BufferSize": 1000, "History": 0, "StallTimeout": 300}));
    for reader in [&mut active, &mut silent] {
        assert_eq!(reader.attach(&stream, json!({})).0, 0);
    }
    let writes: Vec<String> = (0..30)
        .map(|index| writer.start_write(&stream, &pattern.bytes(index * 100, 100)))
        .collect();
    let mut checked = pattern.check_from(0);
    while checked.offset() < 3000 {
        let reply = active.read(&stream, 1000);
        assert_eq!((reply.code, reply.lost), (0, 0), "who reads loses nothing");
        checked.take(&reply.data).expect("the right bytes");
    }
    for token in writes {
        assert_eq!(writer.code_of(&token), 0);
    }
    let reply = silent.read(&stream, 1000);
    assert!(reply.lost >= 2000, "{} lost", reply.lost);
    let mut late = pattern.check_from(reply.lost as u64);
    late.take(&reply.data).expect("the right bytes behind the loss");
}

#[test]
fn lossless_reader_holds_the_stream() {
    let server = TestServer::start();
    let (mut writer, mut reader) = (server.peer(), server.peer());
    let stream = writer.create("T", json!({"BufferSize": 100, "History": 0, "StallTimeout": 0}));
    assert_eq!(reader.attach(&stream, json!({"StallTimeout": null})).0, 0);
    assert_eq!(writer.write(&stream, &[b'x'; 100]), 0);
    let parked = writer.start_write(&stream, &[b'y'; 50]);
    assert_eq!(writer.drain(), [], "the write waits");
    let listed = writer.listed(&stream).expect("it is listed");
    assert_eq!((&listed["ParkedWrites"], &listed["Readers"]), (&json!(1), &json!(1)), "{listed}");
    assert_eq!(read_exactly(&mut reader, &stream, 100), [b'x'; 100]);
    assert_eq!(writer.code_of(&parked), 0);
    assert_eq!(read_exactly(&mut reader, &stream, 50), [b'y'; 50]);
}

#[test]
fn hold_keeps_all_until_the_first_reader() {
    let server = TestServer::start();
    let (mut writer, mut reader) = (server.peer(), server.peer());
    let pattern = Pattern::new(4);
    let properties =
        |hold: bool| json!({"BufferSize": 100, "History": 0, "StallTimeout": null, "Hold": hold});
    let stream = writer.create("T", properties(true));
    let writes: Vec<String> =
        (0..5).map(|index| writer.start_write(&stream, &pattern.bytes(index * 60, 60))).collect();
    let listed = writer.listed(&stream).expect("it is listed");
    assert_eq!((&listed["Start"], &listed["ParkedWrites"]), (&json!(0), &json!(4)), "{listed}");
    assert_eq!(reader.streams("connect", &[&quoted(&stream)]), 0);
    assert_eq!(read_exactly(&mut reader, &stream, 300), pattern.bytes(0, 300));
    for token in writes {
        assert_eq!(writer.code_of(&token), 0);
    }

    let open = writer.create("T", properties(false));
    for _ in 0..5 {
        assert_eq!(writer.write(&open, &[b'n'; 60]), 0, "nobody is waited for");
    }
}

#[test]
fn attach_starts_where_it_is_asked_to() {
    let server = TestServer::start();
    let (mut writer, mut reader) = (server.peer(), server.peer());
    let stream = writer.create("T", json!({"BufferSize": 1000, "History": 1000}));
    assert_eq!(writer.write(&stream, b"0123456789"), 0);
    for (from, position) in
        [(json!("oldest"), 0), (json!("latest"), 10), (json!(4), 4), (json!(10), 10)]
    {
        let (code, told) = reader.attach(&stream, json!({"From": from}));
        assert_eq!((code, told), (0, json!({"Position": position, "Lost": 0})), "{from}");
    }
    for from in [json!(11), json!(-1), json!("newest"), json!(1.5), json!(true)] {
        assert_eq!(reader.attach(&stream, json!({"From": from})).0, 20, "{from}");
    }
    assert_eq!(reader.attach(&stream, json!({"From": 7})).0, 0);
    assert_eq!(reader.read(&stream, 100).data, b"789");
}

#[test]
fn attach_behind_what_is_gone_tells_the_loss_once() {
    let server = TestServer::start();
    let (mut writer, mut reader) = (server.peer(), server.peer());
    let stream = writer.create("T", json!({"BufferSize": 100, "History": 10}));
    let pattern = Pattern::new(3);
    for index in 0..10 {
        assert_eq!(writer.write(&stream, &pattern.bytes(index * 100, 100)), 0);
    }
    let (code, told) = reader.attach(&stream, json!({"From": 5}));
    assert_eq!(code, 0);
    let (position, lost) = (&told["Position"], &told["Lost"]);
    let position = position.as_u64().expect("a number");
    assert_eq!(lost.as_u64(), Some(position - 5));
    assert!((900..=990).contains(&position), "{told}");
    let reply = reader.read(&stream, 1000);
    assert_eq!(reply.lost, 0, "told already");
    assert_eq!(reply.data, pattern.bytes(position, (1000 - position) as usize));
}

#[test]
fn accounts_in_stats_are_those_of_the_replies() {
    let server = one_worker();
    let (mut writer, mut reader) = (server.peer(), server.peer());
    let stream = writer.create("T", json!({"BufferSize": 1000, "StallTimeout": 0}));
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    for _ in 0..30 {
        assert_eq!(writer.write(&stream, &[7; 100]), 0);
    }
    let reply = reader.read(&stream, 100);
    assert!(reply.lost > 0);
    wait_until(PATIENCE, "/stats tells the same", || {
        let stats = server.stats().to_string();
        stats.contains(&stream) && stats.contains(&format!(":{}", reply.lost))
    });
}
