//! Watching streams with nothing but HTTP.

use std::io::Write;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::http::{Answer, request, send_head_to};
use crate::support::peer::quoted;
use crate::support::{PATIENCE, Pattern, TestServer, Tool, wait_until};

fn tail(server: &TestServer, stream: &str, query: &str, lines: &[&str]) -> Answer {
    let path = format!("GET /streams/{stream}/tail{query}");
    let answer = request(server.http_address(), &path, lines);
    assert_eq!(answer.status, 200);
    answer
}

/// Events as (id, event, data).
fn events(body: &[u8]) -> Vec<(u64, String, String)> {
    let text = std::str::from_utf8(body).expect("events are text");
    let mut events = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.is_empty() && *block != ":") {
        let (mut id, mut event, mut data) = (None, "message".to_owned(), None);
        for line in block.lines() {
            let (name, value) = line.split_once(": ").expect("name: value");
            match name {
                "id" => id = value.parse().ok(),
                "event" => event = value.to_owned(),
                "data" => data = Some(value.to_owned()),
                other => panic!("the field {other}"),
            }
        }
        events.push((id.expect("an id"), event, data.expect("data")));
    }
    events
}

#[test]
fn tail_has_what_was_there_and_what_comes_and_the_end() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"Name": "console"}));
    assert_eq!(writer.write(&stream, b"before\n"), 0);
    let mut oldest = tail(&server, &stream, "", &["TE: trailers"]);
    assert_eq!(oldest.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!((oldest.number("weir-position"), oldest.number("weir-lost")), (0, 0));
    let mut latest = tail(&server, &stream, "?from=latest", &[]);
    assert_eq!(latest.number("weir-position"), 7);
    let mut offset = tail(&server, &stream, "?from=3", &[]);
    oldest.read_until(|body| body == b"before\n");
    assert_eq!(writer.write(&stream, b"after \xff\0\x03\n"), 0);
    // Each byte is there before the next is written.
    oldest.read_until(|body| body == b"before\nafter \xff\0\x03\n");
    let stats = server.stats();
    let row = &stats["streams"][0];
    assert_eq!(row["reader_count"], 3, "{row}");
    for reader in row["readers"].as_array().expect("readers") {
        assert_eq!((&reader["front"], &reader["stall_timeout"]), (&json!("http"), &json!(0)));
        assert!(reader["peer"].as_str().is_some_and(|peer| peer.starts_with("http 127.0.0.1:")));
    }
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    assert_eq!(oldest.bytes(), b"before\nafter \xff\0\x03\n");
    assert_eq!((oldest.is_whole, oldest.trailer("weir-position")), (true, Some("17")));
    assert_eq!(latest.bytes(), b"after \xff\0\x03\n");
    assert_eq!(offset.bytes(), b"ore\nafter \xff\0\x03\n");
    wait_until(PATIENCE, "the viewers are gone", || server.stats()["totals"]["channels"] == 1);
    assert_eq!(server.stats()["totals"]["broken"], 0);
}

#[test]
fn tail_that_does_not_follow_ends_where_it_came() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let pattern = Pattern::new(61);
    let stream = writer.create("T", json!({"History": 600_000}));
    let mut empty = tail(&server, &stream, "?follow=false", &[]);
    assert_eq!((empty.bytes().len(), empty.is_whole), (0, true));
    for at in 0..5 {
        assert_eq!(writer.write(&stream, &pattern.bytes(at * 100_000, 100_000)), 0);
    }
    let mut all = tail(&server, &stream, "?follow=false", &[]);
    assert!(all.bytes() == pattern.bytes(0, 500_000) && all.is_whole);
    let mut late = tail(&server, &stream, "?follow=false&from=499990", &[]);
    assert!(late.bytes() == pattern.bytes(499_990, 10));
    let mut none = tail(&server, &stream, "?follow=false&from=latest", &[]);
    assert_eq!(none.bytes().len(), 0);
}

#[test]
fn answers_to_wrong_requests_say_what_to_do() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({}));
    let input = writer.create("T", json!({"Direction": "in"}));
    let http = server.http_address();
    for (path, status, says) in [
        ("/streams/VS999/tail".to_owned(), 404, "GET /streams"),
        ("/streams/console/tail".to_owned(), 404, "GET /streams"),
        ("/streams/VS999".to_owned(), 404, "GET /streams"),
        (format!("/streams/{stream}/tail?from=newest"), 400, "oldest, latest or an offset"),
        (format!("/streams/{stream}/tail?from=5"), 400, "From"),
        (format!("/streams/{stream}/tail?since=5"), 400, "from, follow"),
        (format!("/streams/{input}/tail"), 409, "cannot be read"),
        ("/stats?sort=size".to_owned(), 400, "fill"),
        ("/stats?stream=VS999".to_owned(), 404, "VS999"),
        ("/nothing".to_owned(), 404, "/streams/ID/tail"),
        ("/streams?type=T".to_owned(), 400, "no parameter \"type\" here; there are: none"),
        (format!("/streams/{stream}?top=1"), 400, "no parameter \"top\" here"),
        ("/streams/%ff".to_owned(), 400, "400: what the path names is not text"),
        ("/streams/%ff/tail".to_owned(), 400, "400: what the path names is not text"),
    ] {
        let mut answer = request(http, &format!("GET {path}"), &[]);
        let text = answer.text();
        assert_eq!(answer.status, status, "{path}: {text}");
        assert!(text.contains(says), "{path}: {text}");
    }
    for (method, path, allowed) in [
        ("POST", "/stats".to_owned(), "GET"),
        ("DELETE", "/streams".to_owned(), "POST"),
        ("POST", format!("/streams/{stream}/tail"), "GET"),
        ("PATCH", "/".to_owned(), "GET"),
    ] {
        let mut answer = request(http, &format!("{method} {path}"), &["Content-Length: 0"]);
        let text = answer.text();
        assert_eq!(answer.status, 405, "{method} {path}: {text}");
        assert!(text.starts_with("405: ") && text.contains(method), "{text}");
        assert!(answer.header("allow").is_some_and(|has| has.contains(allowed)), "{answer:?}");
    }
    let mut head = request(http, &format!("HEAD /streams/{stream}/tail"), &[]);
    assert_eq!((head.status, head.number("weir-position"), head.bytes().len()), (200, 0, 0));
    let mut list = request(http, "GET /streams", &[]);
    let list: Value = serde_json::from_str(&list.text()).expect("JSON");
    assert_eq!((&list[0]["id"], &list[1]["direction"]), (&json!(stream), &json!("in")));
    assert_eq!(list[0].get("readers"), None);
    let mut one = request(http, &format!("GET /streams/{stream}"), &[]);
    let one: Value = serde_json::from_str(&one.text()).expect("JSON");
    assert_eq!((&one["id"], &one["readers"]), (&json!(stream), &json!([])));
    wait_until(PATIENCE, "only the writer is left", || server.stats()["totals"]["channels"] == 1);
}

#[test]
fn no_path_answers_to_a_foreign_page() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({}));
    let http = server.http_address();
    let (own, own_origin) = (format!("Host: {http}"), format!("Origin: http://{http}"));
    let tail = format!("GET /streams/{stream}/tail?follow=false");
    let one = format!("GET /streams/{stream}");
    for path in [
        "GET /healthz",
        "GET /stats",
        "GET /metrics",
        "GET /streams",
        "GET /",
        "GET /nothing",
        &one,
        &tail,
        "POST /streams?type=Evil",
        "POST /nothing",
    ] {
        for lines in [
            &["Host: evil.example", "Content-Length: 0"][..],
            &[&own, "Origin: http://evil.example", "Content-Length: 0"],
            &[&own, "Origin: null", "Content-Length: 0"],
            &[&own, "Sec-Fetch-Site: cross-site", "Content-Length: 0"],
            &[&own, &own, "Content-Length: 0"],
            &[&own, "Host: evil.example", "Content-Length: 0"],
            &[&own, "Origin: http://evil.example", &own_origin, "Content-Length: 0"],
            &[&own, &own_origin, &own_origin, "Content-Length: 0"],
            &[&own, "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site", "Content-Length: 0"],
            &["Host: localhost:http", "Content-Length: 0"],
            &["Host: localhost@evil.example", "Content-Length: 0"],
        ] {
            let mut answer = Answer::of(send_head_to(http, path, lines), true);
            let text = answer.text();
            assert_eq!(answer.status, 403, "{path} {lines:?}: {text}");
        }
    }
    let types: Vec<Value> = writer.list().into_iter().map(|row| row["Type"].clone()).collect();
    assert_eq!(types, ["T"], "nothing was written");
    // A link on a page elsewhere leads to the dashboard, but starts no reader.
    for mode in ["navigate", "cors", "no-cors", "nested-navigate"] {
        let mode = format!("Sec-Fetch-Mode: {mode}");
        let lines = ["Sec-Fetch-Site: cross-site", &mode];
        assert_eq!(request(http, &tail, &lines).status, 403, "{mode}");
    }
    let link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(request(http, "GET /", &link).status, 200);
    let absolute = format!("GET http://evil.example{}", "/stats");
    assert_eq!(request(http, &absolute, &[]).status, 403);
    let mut answer = request(http, "POST /streams?type=Own", &[&own_origin, "Content-Length: 0"]);
    let text = answer.text();
    assert_eq!(answer.status, 201, "{text}");
}

#[test]
fn events_carry_any_bytes_and_go_on_at_the_last_event() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"BufferSize": 1000, "History": 1000}));
    let pattern = Pattern::new(62);
    assert_eq!(writer.write(&stream, &pattern.bytes(0, 400)), 0);
    let sse = "Accept: text/event-stream";
    let mut first = tail(&server, &stream, "", &[sse]);
    assert_eq!(first.header("content-type"), Some("text/event-stream"));
    first.read_until(|body| body.ends_with(b"\n\n") && body.len() > 500);
    let got = events(first.body());
    let last = got.last().expect("an event").0;
    let bytes: Vec<u8> =
        got.iter().flat_map(|(_, _, data)| BASE64_STANDARD.decode(data).expect("base64")).collect();
    assert_eq!((last, &bytes), (400, &pattern.bytes(0, 400)));
    drop(first);
    // 300 bytes more: it goes on without a gap. Then 2000 more than the buffer keeps: with one.
    assert_eq!(writer.write(&stream, &pattern.bytes(400, 300)), 0);
    let last_id = format!("Last-Event-ID: {last}");
    let mut again = tail(&server, &stream, "?from=latest", &[sse, &last_id]);
    again.read_until(|body| body.ends_with(b"\n\n") && body.len() > 300);
    let got = events(again.body());
    assert_eq!(got.last().expect("an event").0, 700);
    assert_eq!(BASE64_STANDARD.decode(&got[0].2).expect("base64"), pattern.bytes(400, 300));
    drop(again);
    for at in 0..20 {
        assert_eq!(writer.write(&stream, &pattern.bytes(700 + at * 100, 100)), 0);
    }
    let mut late = tail(&server, &stream, "", &[sse, "Last-Event-ID: 700"]);
    assert_eq!((late.number("weir-position"), late.number("weir-lost")), (1700, 1000));
    late.read_until(|body| body.len() > 1000);
    let got = events(late.body());
    assert_eq!(got[0], (1700, "lost".to_owned(), "1000".to_owned()));
    assert_eq!(BASE64_STANDARD.decode(&got[1].2).expect("base64"), pattern.bytes(1700, 1000));
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    late.bytes();
    let got = events(late.body());
    assert_eq!(got.last(), Some(&(2700, "end".to_owned(), "2700".to_owned())));
    assert!(late.is_whole);
}

/// What a client has of a stream after the first bytes of an event stream, and the ID that it
/// would come back with. One that keeps to the standard takes an event when its blank line comes;
/// an eager one takes each line as it comes.
fn taken(body: &[u8], is_eager: bool) -> (usize, u64) {
    let (mut bytes, mut id) = (0, 0);
    let end = match is_eager {
        true => body.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
        false => body.windows(2).rposition(|two| two == b"\n\n").map_or(0, |at| at + 2),
    };
    for line in str::from_utf8(&body[..end]).expect("text").lines() {
        match line.split_once(": ") {
            Some(("data", data)) => bytes += BASE64_STANDARD.decode(data).expect("base64").len(),
            Some(("id", offset)) => id = offset.parse().expect("an offset"),
            _ => {}
        }
    }
    (bytes, id)
}

#[test]
fn a_client_that_is_cut_off_anywhere_in_an_event_loses_nothing() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"History": 300_000, "BufferSize": 300_000}));
    let pattern = Pattern::new(64);
    assert_eq!(writer.write(&stream, &pattern.bytes(0, 200_000)), 0);
    let sse = "Accept: text/event-stream";
    let mut whole = tail(&server, &stream, "?follow=false", &[sse]);
    let body = whole.bytes().to_vec();
    let mut cuts: Vec<usize> = Vec::new();
    for at in body.windows(3).enumerate().filter(|(_, window)| window == b"id:").map(|(at, _)| at) {
        cuts.extend(at.saturating_sub(3)..(at + 14).min(body.len()));
    }
    assert!(cuts.len() > 40, "several events");
    for &cut in &cuts {
        for is_eager in [false, true] {
            let (bytes, id) = taken(&body[..cut], is_eager);
            assert!(id <= bytes as u64, "cut at {cut}: {bytes} bytes, but it says {id}");
            assert!(is_eager || id == bytes as u64, "cut at {cut}: {bytes} bytes twice from {id}");
        }
    }
    // Between data and ID, over the wire.
    let cut = body.windows(4).position(|window| window == b"\nid:").expect("an event") + 1;
    let (bytes, id) = taken(&body[..cut], true);
    let last = format!("Last-Event-ID: {id}");
    let mut again = tail(&server, &stream, "?follow=false", &[sse, &last]);
    assert_eq!(again.number("weir-position"), id);
    let (more, end) = taken(again.bytes(), false);
    assert_eq!((end, bytes as u64 >= id), (200_000, true));
    assert_eq!(id + more as u64, 200_000, "every byte comes, some twice");
}

#[test]
fn one_tail_more_than_the_bound_is_refused_and_numbers_are_still_to_be_had() {
    const TAILS_MAX: usize = 64;
    let mut server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({}));
    let mut tails: Vec<Answer> = (0..TAILS_MAX).map(|_| tail(&server, &stream, "", &[])).collect();
    let path = format!("GET /streams/{stream}/tail");
    let mut refused = request(server.http_address(), &path, &[]);
    assert_eq!((refused.status, refused.text().contains("64 tails")), (503, true));
    assert_eq!(server.stats()["totals"]["readers"], TAILS_MAX);
    tails.pop();
    wait_until(PATIENCE, "there is room again", || {
        request(server.http_address(), &path, &[]).status == 200
    });
    assert_eq!(writer.write(&stream, b"x"), 0);
    for tail in &mut tails {
        tail.read_until(|body| body == b"x");
    }
    server.assert_well();
}

#[test]
fn a_stop_of_the_broker_is_not_the_end_of_a_stream() {
    let mut server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({}));
    assert_eq!(writer.write(&stream, b"half"), 0);
    let mut viewer = tail(&server, &stream, "", &[]);
    viewer.read_until(|body| body == b"half");
    drop(writer);
    let mut keeper = server.peer();
    let kept = keeper.create("T", json!({}));
    let mut other = tail(&server, &kept, "", &[]);
    server.signal("TERM");
    assert_eq!(keeper.expect_end().1, b"");
    keeper.finish();
    assert_eq!(server.wait_for_end(), Some(0));
    assert_eq!(other.bytes(), b"");
    assert!(!other.is_whole, "curl says that the transfer is not complete");
}

/// Sends a signal to a tool that the test has started.
fn signal(tool: &Tool, name: &str) {
    let pid = tool.pid().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill can be run").success());
}

/// The bytes of a plain tail with its notices taken out: the account, and what is missing.
fn without_notices(body: &[u8], pattern: Pattern) -> (u64, u64) {
    const HEAD: &[u8] = b"\n[weir: ";
    let (mut position, mut lost, mut rest) = (0, 0, body);
    let mut checked = pattern.check_from(0);
    loop {
        let at = rest.windows(HEAD.len()).position(|window| window == HEAD);
        let (data, behind) = rest.split_at(at.unwrap_or(rest.len()));
        checked.take(data).expect("the right bytes at the right place");
        position += data.len() as u64;
        let Some(behind) = behind.strip_prefix(HEAD) else { return (position, lost) };
        let end = behind.iter().position(|&byte| byte == b'\n').expect("a whole line");
        let text = std::str::from_utf8(&behind[..end]).expect("text");
        let count = text.strip_suffix(" bytes lost]").expect("a notice").parse().expect("a number");
        checked.skip(count);
        (position, lost) = (position + count, lost + count);
        rest = &behind[end + 1..];
    }
}

#[test]
fn stopped_curl_disturbs_nobody_and_learns_what_it_lost() {
    const TOTAL: u64 = 48 << 20;
    const PIECE: usize = 1 << 20;
    let server = TestServer::start();
    let broker = server.broker();
    let pattern = Pattern::new(63);
    let mut publisher =
        Tool::start(&["pub", "--broker", &broker, "--type", "Busy", "--stall-timeout", "never"]);
    let stream = publisher.told_stream();
    let args = ["tail", "--broker", &broker, "--id", &stream];
    let (healthy, checked) = Tool::start_checked(&args, pattern.check_from(0));
    let url = format!("http://{}/streams/{stream}/tail", server.http_address());
    let mut curl = Command::new("curl");
    curl.args(["-sSN", &url]);
    let curl = Tool::start_command(curl);
    let reader = |front: &str| {
        let stats = server.stats();
        let rows = stats["streams"][0]["readers"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|row| row["front"] == front)
    };
    wait_until(PATIENCE, "both are attached", || {
        reader("http").is_some() && reader("tcf").is_some()
    });
    let mut stdin = publisher.take_stdin();
    stdin.write_all(&pattern.bytes(0, PIECE)).expect("pub reads its input");
    wait_until(PATIENCE, "curl has the first piece", || curl.stdout().len() >= PIECE);
    signal(&curl, "-STOP");
    for offset in (PIECE as u64..TOTAL).step_by(PIECE) {
        stdin.write_all(&pattern.bytes(offset, PIECE)).expect("pub reads its input");
    }
    // Not waited for: everybody else has everything, while it is stopped.
    wait_until(PATIENCE, "the healthy reader has it all", || {
        checked.lock().expect("not poisoned").offset() == TOTAL
    });
    let row = reader("http").expect("it is still there");
    let lag = row["lag"].as_u64().expect("a number");
    assert!(lag > 0, "/stats names it and its lag: {row}");
    assert!(row["lag_ms"].as_u64().is_some_and(|lag| lag > 0), "{row}");
    assert_eq!(reader("tcf").expect("it is there")["lag"], 0);
    signal(&curl, "-CONT");
    drop(stdin);
    assert_eq!(publisher.wait().code, Some(0));
    assert_eq!(healthy.wait().code, Some(0));
    let outcome = curl.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let (position, lost) = without_notices(&outcome.stdout, pattern);
    assert_eq!(position, TOTAL, "to the byte");
    assert!(lost > 0);
    assert_eq!(server.stats()["totals"]["lost_bytes"], lost);
    assert_eq!(server.stats()["totals"]["delivered_bytes"], 2 * TOTAL - lost);
}
