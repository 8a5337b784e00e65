//! Writing streams with nothing but HTTP.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::http::{Answer, request, send_head};
use crate::support::peer::RawPeer;
use crate::support::{PATIENCE, Pattern, TestServer, Tool, wait_until};

/// Begins a body of unknown length.
fn begin(server: &TestServer, query: &str) -> TcpStream {
    let head = format!("POST /streams{query}");
    send_head(server.http_address(), &head, &["Transfer-Encoding: chunked"])
}

fn chunk(socket: &mut TcpStream, data: &[u8]) {
    socket.write_all(format!("{:x}\r\n", data.len()).as_bytes()).expect("the broker reads");
    socket.write_all(data).expect("the broker reads");
    socket.write_all(b"\r\n").expect("the broker reads");
}

fn the_stream(server: &TestServer) -> Value {
    let mut stream = Value::Null;
    wait_until(PATIENCE, "the stream is there", || {
        stream = server.stats()["streams"][0].clone();
        !stream.is_null()
    });
    stream
}

/// Reads to the end: the bytes.
fn read_all(reader: &mut RawPeer, stream: &str) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let reply = reader.read(stream, 1 << 20);
        assert_eq!((reply.code, reply.lost), (0, 0));
        all.extend(reply.data);
        if reply.eos {
            return all;
        }
    }
}

#[test]
fn a_body_becomes_a_stream_as_it_comes() {
    let server = TestServer::start();
    let mut socket =
        begin(&server, "?type=Log&name=lab%203&context=P7&stall_timeout=null&hold=true");
    chunk(&mut socket, b"first ");
    wait_until(PATIENCE, "the first bytes are in", || the_stream(&server)["end"] == 6);
    let row = the_stream(&server);
    let stream = row["id"].as_str().expect("an ID").to_owned();
    assert_eq!((&row["type"], &row["name"]), (&json!("Log"), &json!("lab 3")));
    assert_eq!((&row["context_id"], &row["stall_timeout"]), (&json!("P7"), &Value::Null));
    assert!(row["owner"].as_str().is_some_and(|owner| owner.starts_with("http 127.0.0.1:")));
    assert_eq!((&row["hold"], &row["eos"]), (&json!(true), &json!(false)));
    let mut reader = server.peer();
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    assert_eq!(reader.read(&stream, 100).data, b"first ");
    chunk(&mut socket, b"second\0\x03\xff");
    assert_eq!(reader.read(&stream, 100).data, b"second\0\x03\xff");
    socket.write_all(b"0\r\n\r\n").expect("the broker reads");
    let mut answer = Answer::of(socket, true);
    let told: Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert_eq!((answer.status, told), (201, json!({"id": stream, "accepted": 15})));
    assert_eq!(answer.header("location"), Some(&format!("/streams/{stream}")[..]));
    let end = reader.read(&stream, 100);
    assert_eq!((end.data.len(), end.eos), (0, true));
}

#[test]
fn a_body_that_breaks_off_is_cut_off() {
    let server = TestServer::start();
    let mut reader = server.peer();
    assert_eq!(reader.streams("subscribe", &[b"\"Log\""]), 0);
    let mut socket = begin(&server, "?type=Log");
    chunk(&mut socket, b"half a ");
    let stream = the_stream(&server)["id"].as_str().expect("an ID").to_owned();
    assert_eq!(reader.read(&stream, 100).data, b"half a ");
    drop(socket);
    wait_until(PATIENCE, "the stream is cut off", || the_stream(&server)["cut_off"] == true);
    let end = reader.read(&stream, 100);
    assert_eq!((end.data.len(), end.eos), (0, true));
}

#[test]
fn a_full_stream_slows_the_body_down() {
    let server = TestServer::start();
    let total = 24_u64 << 20;
    let pattern = Pattern::new(71);
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&pattern.bytes(0, total as usize)).expect("it can be written");
    let before = server.resident_memory();
    let url =
        format!("http://{}/streams?type=Big&hold=true&stall_timeout=null", server.http_address());
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-X", "POST", "-H", "Expect:", "-T"]).arg(file.path()).arg(&url);
    let mut curl = Tool::start_command(curl);
    wait_until(PATIENCE, "the body waits for space", || the_stream(&server)["full_ms"] != 0);
    let row = the_stream(&server);
    let parked = row["parked_bytes"].as_u64().expect("a number");
    assert!(parked <= 4 * (64 << 10), "no more than a few writes wait: {row}");
    assert_eq!(row["held_by"], Value::Null, "no reader is to blame: {row}");
    assert!(curl.is_running());
    let grown = server.resident_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{} MiB for a body that waits", grown >> 20);
    let stream = row["id"].as_str().expect("an ID").to_owned();
    let mut reader = server.zero_copy_peer();
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    assert!(read_all(&mut reader, &stream) == pattern.bytes(0, total as usize));
    let outcome = curl.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let told: Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
    assert_eq!(told, json!({"id": stream, "accepted": total}));
}

#[test]
fn what_curl_uploads_becomes_a_stream() {
    let server = TestServer::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("boot.log");
    std::fs::write(&file, b"from a file\n").expect("it can be written");
    let http = server.http_address();
    let upload = |from: &str, url: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-T", from, url]).stdin(std::process::Stdio::piped());
        let mut curl = Tool::start_command(curl);
        curl.take_stdin().write_all(b"from a program\n").expect("it takes its input");
        let outcome = curl.wait();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let told: Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
        let id = told["id"].as_str().expect("an ID").to_owned();
        let mut row = request(http, &format!("GET /streams/{id}"), &[]);
        let row: Value = serde_json::from_str(&row.text()).expect("JSON");
        let mut tail = request(http, &format!("GET /streams/{id}/tail"), &[]);
        (row["name"].clone(), tail.text())
    };
    let file = file.to_str().expect("a path in UTF-8");
    for (from, path, name, text) in [
        (file, "streams?", Value::Null, "from a file\n"),
        ("-", "streams?", Value::Null, "from a program\n"),
        (file, "streams/?", json!("boot.log"), "from a file\n"),
        (file, "streams/?name=mine&", json!("mine"), "from a file\n"),
        ("-", "streams/?", Value::Null, "from a program\n"),
    ] {
        let url = format!("http://{http}/{path}type=Log&linger=60000");
        assert_eq!(upload(from, &url), (name, text.to_owned()), "{from} {path}");
    }
}

#[test]
fn an_upload_onto_a_bus_waits_for_what_others_have_parked() {
    let server = TestServer::start_with(&["--workers", "1"]);
    let mut socket = begin(&server, "?type=T&direction=bus&buffer=1000&stall_timeout=null");
    chunk(&mut socket, &[b'a'; 600]);
    let stream = the_stream(&server)["id"].as_str().expect("an ID").to_owned();
    let mut other = server.peer();
    assert_eq!(other.attach(&stream, json!({})).0, 0);
    wait_until(PATIENCE, "the first bytes are in", || the_stream(&server)["end"] == 600);
    let parked = other.start_write(&stream, &[b'b'; 1000]);
    wait_until(PATIENCE, "it is parked", || the_stream(&server)["parked_writes"] == 1);
    socket.write_all(b"0\r\n\r\n").expect("the broker reads");
    // Longer than the broker may take for what it can do at once.
    let uptime = || server.stats()["uptime_ms"].as_u64().expect("a number");
    let until = uptime() + 2500;
    wait_until(PATIENCE, "some time has passed", || uptime() > until);
    let mut taken = 0;
    while taken < 1600 {
        taken += other.read(&stream, 1000).data.len();
    }
    assert_eq!(other.code_of(&parked), 0);
    let mut answer = Answer::of(socket, true);
    let text = answer.text();
    assert_eq!(answer.status, 201, "{text}");
}

#[test]
fn wrong_uploads_are_told_what_is_wrong() {
    let server = TestServer::start();
    for (query, status, says) in [
        ("", 400, "type"),
        ("?type=T&direction=in", 400, "out or bus"),
        ("?type=T&buffer=0", 400, "BufferSize"),
        ("?type=T&buffer=10&history=20", 400, "History"),
        ("?type=T&nmae=x", 400, "name, context"),
    ] {
        let path = format!("POST /streams{query}");
        let mut answer = request(server.http_address(), &path, &["Content-Length: 0"]);
        let text = answer.text();
        assert_eq!(answer.status, status, "{query}: {text}");
        assert!(text.contains(says), "{query}: {text}");
    }
    let form = ["Content-Length: 0", "Content-Type: multipart/form-data; boundary=x"];
    let mut answer = request(server.http_address(), "POST /streams?type=T", &form);
    let text = answer.text();
    assert_eq!((answer.status, text.contains("curl -T FILE")), (415, true), "{text}");
    wait_until(PATIENCE, "nothing is left", || server.stats()["totals"]["channels"] == 0);
}

#[test]
fn one_upload_more_than_the_bound_is_refused() {
    const UPLOADS_MAX: usize = 32;
    let mut server = TestServer::start();
    let sockets: Vec<TcpStream> = (0..UPLOADS_MAX).map(|_| begin(&server, "?type=T")).collect();
    wait_until(PATIENCE, "all are there", || server.stats()["totals"]["streams"] == UPLOADS_MAX);
    let mut refused = Answer::of(begin(&server, "?type=T"), true);
    assert_eq!((refused.status, refused.text().contains("32 uploads")), (503, true));
    drop(sockets);
    wait_until(PATIENCE, "all are gone", || server.stats()["totals"]["channels"] == 0);
    let mut answer = request(server.http_address(), "POST /streams?type=T", &["Content-Length: 0"]);
    let text = answer.text();
    assert_eq!(answer.status, 201, "{text}");
    server.assert_well();
}
