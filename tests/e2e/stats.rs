//! What `/stats` says is what the clients counted.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::http::{Answer, request, send_head};
use crate::support::peer::quoted;
use crate::support::{PATIENCE, Pattern, RawPeer, TestServer, wait_until};

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}

/// What holds in every answer.
fn check_invariants(stats: &Value) {
    let streams = stats["streams"].as_array().expect("streams");
    for stream in streams {
        let (start, end) = (number(stream, "start"), number(stream, "end"));
        assert!(start <= end, "{stream}");
        assert_eq!(number(stream, "buffered"), end - start);
        assert!(end - start <= number(stream, "buffer_size"), "{stream}");
        assert_eq!(number(stream, "full_ms") > 0, number(stream, "parked_writes") > 0, "{stream}");
        for reader in stream["readers"].as_array().expect("readers") {
            check_account(reader);
            let position = number(reader, "position");
            assert!(position <= end, "{reader} in {stream}");
            assert_eq!(number(reader, "lag"), end - position, "{reader}");
        }
    }
    for reader in stats["unmatched_readers"].as_array().expect("readers") {
        check_account(reader);
    }
}

fn check_account(reader: &Value) {
    let sum = ["start", "delivered", "lost"].map(|key| number(reader, key)).iter().sum::<u64>();
    assert_eq!(sum, number(reader, "position"), "{reader}");
}

#[test]
fn numbers_hold_together_under_load() {
    let server = TestServer::start_with(&["--workers", "3"]);
    let pattern = Pattern::new(81);
    let is_over = AtomicBool::new(false);
    let mut writers: Vec<(RawPeer, String)> = (0..3)
        .map(|_| {
            let mut writer = server.zero_copy_peer();
            let properties = json!({"StallTimeout": 0, "BufferSize": 200_000, "History": 1000});
            let stream = writer.create("Load", properties);
            (writer, stream)
        })
        .collect();
    let streams: Vec<String> = writers.iter().map(|(_, stream)| stream.clone()).collect();
    let total = 400 * 10_007_u64;
    std::thread::scope(|scope| {
        let mut readers = Vec::new();
        for number in 0..9 {
            let stream = streams[number % 3].clone();
            let mut reader = server.zero_copy_peer();
            // The last three wait to be waited for: these streams are full now and then.
            let timeout = if number < 6 { json!(0) } else { Value::Null };
            assert_eq!(reader.attach(&stream, json!({"StallTimeout": timeout})).0, 0);
            readers.push(scope.spawn(move || {
                let (mut delivered, mut lost) = (0, 0);
                loop {
                    let reply = reader.read(&stream, 1 << (10 + number));
                    assert_eq!(reply.code, 0);
                    delivered += reply.data.len() as u64;
                    lost += reply.lost as u64;
                    if reply.eos {
                        return (delivered, lost);
                    }
                }
            }));
        }
        let scrapers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut scrapes = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        check_invariants(&server.stats());
                        scrapes += 1;
                    }
                    scrapes
                })
            })
            .collect();
        for round in 0..400_u64 {
            for (writer, stream) in &mut writers {
                assert_eq!(writer.write(stream, &pattern.bytes(round * 10_007, 10_007)), 0);
            }
        }
        for (writer, stream) in &mut writers {
            assert_eq!(writer.streams("eos", &[&quoted(stream)]), 0);
        }
        let accounts: Vec<(u64, u64)> =
            readers.into_iter().map(|reader| reader.join().expect("a reader")).collect();
        is_over.store(true, Ordering::Relaxed);
        for scraper in scrapers {
            assert!(scraper.join().expect("a scraper") > 0);
        }
        for (delivered, lost) in &accounts {
            assert_eq!(delivered + lost, total);
        }
        let stats = server.stats();
        let totals = &stats["totals"];
        assert_eq!(number(totals, "accepted_bytes"), 3 * total);
        let sum = |of: fn(&(u64, u64)) -> u64| accounts.iter().map(of).sum::<u64>();
        assert_eq!(number(totals, "delivered_bytes"), sum(|account| account.0));
        assert_eq!(number(totals, "lost_bytes"), sum(|account| account.1));
    });
}

#[test]
fn the_reader_that_holds_a_full_stream_is_named_with_its_lag() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"BufferSize": 1000, "StallTimeout": null}));
    let mut silent = server.peer();
    let mut keen = server.peer();
    for reader in [&mut silent, &mut keen] {
        assert_eq!(reader.attach(&stream, json!({})).0, 0);
    }
    for _ in 0..5 {
        assert_eq!(writer.write(&stream, &[b'x'; 200]), 0);
    }
    let parked = writer.start_write(&stream, &[b'y'; 300]);
    let mut got = 0;
    while got < 1000 {
        got += keen.read(&stream, 1000).data.len();
    }
    let mut row = Value::Null;
    wait_until(PATIENCE, "the silent reader counts as stalled", || {
        let stats = server.stats();
        check_invariants(&stats);
        row = stats["streams"][0].clone();
        row["readers"].as_array().is_some_and(|rows| rows.iter().any(|row| row["stalled"] == true))
    });
    let peer = silent.local_address().to_string();
    assert_eq!((&row["parked_writes"], &row["parked_bytes"]), (&json!(1), &json!(300)), "{row}");
    assert!(number(&row, "full_ms") >= 100, "{row}");
    assert_eq!((&row["held_by"]["peer"], &row["held_by"]["lag"]), (&json!(peer), &json!(1000)));
    assert!(number(&row["held_by"], "lag_ms") >= 100, "{row}");
    for reader in row["readers"].as_array().expect("readers") {
        let is_silent = reader["peer"] == json!(peer);
        assert_eq!(reader["stalled"] == true, is_silent, "{reader}");
        assert_eq!(reader["front"], "tcf");
    }
    assert_eq!(silent.read(&stream, 1000).data.len(), 1000);
    assert_eq!(writer.code_of(&parked), 0);
    let row = server.stats()["streams"][0].clone();
    assert_eq!((&row["full_ms"], &row["held_by"]), (&json!(0), &Value::Null));
}

#[test]
fn a_channel_has_its_own_numbers() {
    let server = TestServer::start_with(&["--workers", "1"]);
    let mut peer = RawPeer::open(server.address(), &["Locator", "Streams", "Foo"]);
    let sync = b"C\x001\0Locator\0sync\0\x03\x01".len() as u64;
    peer.sync();
    let before = server.stats()["channels"][0].clone();
    assert_eq!(before["services"], json!(["Locator", "Streams", "Foo"]));
    assert_eq!((&before["commands"], &before["errors"]), (&json!(1), &json!(0)));
    peer.sync();
    assert_eq!(peer.streams("connect", &[b"\"VS9\""]), 16);
    let unknown = peer.command("Foo", "bar", &[]);
    peer.take(|message| message.token() == Some(unknown.as_bytes()));
    let after = server.stats()["channels"][0].clone();
    assert_eq!((&after["commands"], &after["errors"]), (&json!(4), &json!(2)), "{after}");
    assert_eq!(after["peer"], json!(peer.local_address().to_string()));
    assert!(number(&after, "received_bytes") > number(&before, "received_bytes") + sync);
    assert!(number(&after, "sent_bytes") > number(&before, "sent_bytes"));
    drop(peer);
    wait_until(PATIENCE, "it is gone", || server.stats()["channels"] == json!([]));
    assert_eq!(server.stats()["totals"]["errors"], 2, "what is gone still counts");
}

#[test]
fn a_query_picks_sorts_and_cuts() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let mut reader = server.peer();
    let streams: Vec<String> = (0..4).map(|_| writer.create("T", json!({}))).collect();
    for (index, stream) in streams.iter().enumerate() {
        assert_eq!(writer.write(stream, &vec![b'x'; 10 * index]), 0);
        assert_eq!(reader.attach(stream, json!({})).0, 0);
    }
    let ids = |query: &str| {
        let (status, body) = server.http_get(&format!("/stats{query}"));
        assert_eq!(status, 200, "{body}");
        let stats: Value = serde_json::from_str(&body).expect("JSON");
        let rows = stats["streams"].as_array().expect("streams").iter();
        rows.map(|row| row["id"].as_str().expect("an ID").to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(ids(""), streams);
    let reversed: Vec<String> = streams.iter().rev().cloned().collect();
    assert_eq!(ids("?sort=lag"), reversed);
    assert_eq!(ids("?sort=fill&top=2"), reversed[..2]);
    assert_eq!(ids(&format!("?stream={}", streams[2])), [streams[2].clone()]);
}

/// Streams with long names on both workers of a broker, in the order of their coming, and who keeps
/// them. The last has more readers than one piece of a report holds.
struct Crowd {
    streams: Vec<String>,
    _writers: Vec<RawPeer>,
    readers: Vec<RawPeer>,
}

impl Crowd {
    const READERS: usize = 300;

    fn of(server: &TestServer, count: usize) -> Crowd {
        let mut writers = vec![server.peer(), server.peer()];
        let name = "n".repeat(200);
        let mut streams = Vec::new();
        for number in 0..count {
            let properties = json!({"Name": format!("{number} {name}"), "History": 1000});
            let writer = &mut writers[number % 2];
            streams.push(writer.create("Many", properties));
            assert_eq!(writer.write(&streams[number], &vec![b'x'; number % 700]), 0);
        }
        let mut readers: Vec<RawPeer> = (0..Crowd::READERS).map(|_| server.peer()).collect();
        for reader in &mut readers {
            assert_eq!(reader.attach(&streams[count - 1], json!({"StallTimeout": 0})).0, 0);
        }
        for stream in streams.iter().step_by(10) {
            assert_eq!(readers[0].attach(stream, json!({"StallTimeout": 0})).0, 0);
        }
        Crowd { streams, _writers: writers, readers }
    }

    /// Checks an answer of `/stats` that has everything.
    fn check(&self, stats: &Value) {
        check_invariants(stats);
        let ids = |rows: &Value, key: &str| -> Vec<String> {
            let rows = rows.as_array().expect("rows").iter();
            rows.map(|row| row[key].as_str().expect("an ID").to_owned()).collect()
        };
        assert_eq!(ids(&stats["streams"], "id"), self.streams, "all, the oldest first");
        let last = stats["streams"].as_array().and_then(|rows| rows.last()).expect("a row");
        let mut channels = ids(&last["readers"], "channel");
        channels.sort();
        channels.dedup();
        assert_eq!((channels.len(), &last["reader_count"]), (Crowd::READERS, &json!(300)));
        let mut all = ids(&stats["channels"], "id");
        all.sort();
        all.dedup();
        assert_eq!(json!(all.len()), stats["totals"]["channels"]);
        let rows = stats["streams"].as_array().expect("rows").iter();
        let readers = rows.map(|row| row["readers"].as_array().expect("readers").len()).sum();
        let told: usize = readers;
        assert_eq!(json!(told), stats["totals"]["readers"]);
    }
}

#[test]
fn many_who_ask_at_once_get_whole_answers_that_are_held_once() {
    let server = TestServer::start();
    let crowd = Crowd::of(&server, 2000);
    crowd.check(&server.stats());
    let before = server.resident_memory();
    let ask = |path: &str| send_head(server.http_address(), path, &["Connection: close"]);
    let asked: Vec<TcpStream> = (0..90).map(|_| ask("GET /stats")).collect();
    // Some take in nothing for now, and others leave.
    let silent: Vec<TcpStream> = (0..20).map(|_| ask("GET /stats?sort=age&top=1999")).collect();
    drop((0..10).map(|_| ask("GET /stats")).collect::<Vec<TcpStream>>());
    let mut answers: Vec<Answer> =
        asked.into_iter().map(|socket| Answer::of(socket, true)).collect();
    let mut length = 0;
    for answer in &mut answers {
        assert_eq!(answer.status, 200);
        let text = answer.text();
        assert!(answer.is_whole);
        length = text.len() as u64;
        crowd.check(&serde_json::from_str(&text).expect("JSON"));
    }
    let grown = server.resident_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{} KiB for answers of {} KiB", grown >> 10, length >> 10);
    for socket in silent {
        let mut late = Answer::of(socket, true);
        let stats: Value = serde_json::from_str(&late.text()).expect("JSON");
        assert_eq!(stats["streams"].as_array().map(Vec::len), Some(1999));
    }
    let mut list = request(server.http_address(), "GET /streams", &[]);
    let list: Value = serde_json::from_str(&list.text()).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(2000));
}

#[test]
fn a_stream_with_many_readers_is_sorted_and_cut_as_asked() {
    let server = TestServer::start();
    let mut crowd = Crowd::of(&server, 200);
    let stream = crowd.streams[199].clone();
    for (number, reader) in crowd.readers.iter_mut().enumerate().take(150) {
        assert_eq!(reader.read(&stream, 1 + number as i64).data.len(), (1 + number).min(199));
    }
    let get =
        |path: &str| -> Value { serde_json::from_str(&server.http_get(path).1).expect("JSON") };
    let lags = |row: &Value| -> Vec<u64> {
        let rows = row["readers"].as_array().expect("readers").iter();
        rows.map(|row| number(row, "lag")).collect()
    };
    let one = get(&format!("/stats?stream={stream}&sort=lag"));
    check_invariants(&one);
    let all = lags(&one["streams"][0]);
    assert_eq!((all.len(), all.is_sorted_by(|a, b| a >= b)), (300, true), "{all:?}");
    let channels = one["channels"].as_array().expect("channels").len();
    assert_eq!(channels, 300, "those of its readers");
    let top = get("/stats?sort=lag&top=7");
    check_invariants(&top);
    let rows = top["streams"].as_array().expect("streams");
    assert_eq!(rows.len(), 7);
    let largest: Vec<u64> =
        rows.iter().map(|row| lags(row).first().copied().unwrap_or_default()).collect();
    assert!(largest.is_sorted_by(|a, b| a >= b), "{largest:?}");
    assert!(rows.iter().all(|row| lags(row).len() <= 7));
    assert_eq!(top["channels"].as_array().map(Vec::len), Some(7));
    assert_eq!(number(&top["totals"], "streams"), 200, "totals are of the whole broker");
    let plain = get(&format!("/streams/{stream}"));
    assert_eq!((&plain["id"], lags(&plain).len()), (&json!(stream), 300));
}
