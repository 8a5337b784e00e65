//! Connections that are silent, slow, half-sent or half-closed, and those who wait behind them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::{Answer, request, send_head};
use crate::support::wait::now;
use crate::support::{PATIENCE, TestServer, wait_until};

/// HTTP connections that may ask for anything.
const CONNECTIONS_MAX: usize = 128;

fn connect(server: &TestServer) -> TcpStream {
    let socket = TcpStream::connect(server.http_address()).expect("HTTP is served");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    socket
}

/// A connection that says nothing, the begin of a request, or one that is kept alive.
fn occupy(server: &TestServer, number: usize) -> TcpStream {
    match number % 3 {
        0 => connect(server),
        1 => {
            let mut socket = connect(server);
            socket.write_all(b"GET /stats HTTP/1.1\r\nHost: local").expect("it can be sent");
            socket
        }
        _ => {
            let mut socket = send_head(server.http_address(), "GET /healthz", &[]);
            let mut buf = [0; 512];
            assert!(socket.read(&mut buf).expect("an answer") > 0);
            socket
        }
    }
}

/// A connection whose answers nobody takes: more of them than sockets hold.
fn neglect(server: &TestServer) -> TcpStream {
    let mut socket = connect(server);
    let head = format!("GET /stats HTTP/1.1\r\nHost: {}\r\n\r\n", server.http_address());
    socket.write_all(head.repeat(100).as_bytes()).expect("requests can be sent");
    socket
}

/// Reads until the other side closes.
fn read_to_end(mut socket: TcpStream) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let mut all = Vec::new();
    socket.read_to_end(&mut all).expect("the answer");
    String::from_utf8(all).expect("text")
}

#[test]
fn silent_and_half_sent_connections_at_their_bound_keep_nobody_out() {
    let mut server = TestServer::start();
    let mut all: Vec<TcpStream> =
        (0..CONNECTIONS_MAX).map(|number| occupy(&server, number)).collect();
    // One past the bound, and on, as long as somebody likes.
    for _ in 0..20 {
        assert_eq!(server.http_get("/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(server.http_get("/stats").0, 200);
    }
    let mut oldest = all.remove(0);
    assert_eq!(oldest.read(&mut [0]).expect("it was closed in good order"), 0);
    all.extend((0..3 * CONNECTIONS_MAX).map(|number| occupy(&server, number)));
    assert_eq!(server.http_get("/healthz").0, 200);
    server.assert_well();
}

#[test]
fn health_is_answered_while_all_connections_are_at_work() {
    let mut server = TestServer::start();
    let mut writer = server.peer();
    let name = "n".repeat(50_000);
    for _ in 0..40 {
        writer.create("T", json!({"Name": name}));
    }
    let mut all: Vec<TcpStream> = Vec::new();
    wait_until(PATIENCE, "all are at work", || {
        // One that is between two answers gives way.
        all.push(neglect(&server));
        all.len() >= CONNECTIONS_MAX && server.http_get("/stats?top=1").0 == 503
    });
    for _ in 0..20 {
        assert_eq!(server.http_get("/healthz"), (200, "ok\n".to_owned()));
    }
    let (status, text) = server.http_get("/streams");
    assert_eq!((status, text.contains("128 HTTP connections")), (503, true), "{text}");
    // Silent ones on top keep nobody out either.
    let silent: Vec<TcpStream> = (0..32).map(|_| connect(&server)).collect();
    assert_eq!(server.http_get("/healthz").0, 200);
    drop((all, silent));
    wait_until(PATIENCE, "there is room again", || server.http_get("/stats").0 == 200);
    server.assert_well();
}

#[cfg(target_os = "linux")]
#[test]
fn health_is_answered_when_the_process_has_no_descriptor_left() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    const DESCRIPTORS: u64 = 64;
    let mut server = TestServer::start();
    let pid = Pid::from_raw(server.pid().cast_signed());
    let few = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    prlimit(pid, Resource::Nofile, few).expect("our own child's bound can be lowered");
    let open = || {
        let folder = format!("/proc/{}/fd", server.pid());
        std::fs::read_dir(folder).expect("Linux tells of processes").count() as u64
    };
    let mut peer = server.peer();
    let tcf = server.address();
    let all: Vec<TcpStream> = (0..2 * DESCRIPTORS)
        .map(|_| TcpStream::connect(tcf).expect("the kernel takes it in"))
        .collect();
    wait_until(PATIENCE, "all descriptors are in use", || open() >= DESCRIPTORS);
    for _ in 0..20 {
        assert_eq!(server.http_get("/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(server.http_get("/stats").0, 503);
    }
    peer.sync();
    drop(all);
    wait_until(PATIENCE, "there are descriptors again", || server.http_get("/stats").0 == 200);
    peer.sync();
    assert!(server.is_running());
}

#[test]
fn a_client_that_closes_its_sending_half_is_answered() {
    let server = TestServer::start();
    let http = server.http_address();
    let half_close = |socket: &TcpStream| socket.shutdown(Shutdown::Write).expect("it is open");

    let socket = send_head(http, "GET /healthz", &[]);
    half_close(&socket);
    let answer = read_to_end(socket);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");

    let body = "printed by a program\n";
    let length = format!("Content-Length: {}", body.len());
    let mut socket =
        send_head(http, "POST /streams?type=Log&history=1000&linger=60000", &[&length]);
    socket.write_all(body.as_bytes()).expect("the broker reads");
    half_close(&socket);
    let mut answer = Answer::of(socket, true);
    let told: Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert_eq!((answer.status, &told["accepted"]), (201, &json!(body.len())));
    assert_eq!(server.stats()["streams"][0]["cut_off"], false);

    // A tail that would go on gets what there is, and then its end: the client may have left.
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"History": 1000}));
    assert_eq!(writer.write(&stream, b"so far"), 0);
    let socket = send_head(http, &format!("GET /streams/{stream}/tail"), &[]);
    half_close(&socket);
    let mut tail = Answer::of(socket, true);
    assert!(tail.bytes() == b"so far" && tail.is_whole);
    wait_until(PATIENCE, "it is gone", || server.stats()["totals"]["channels"] == 1);
}

/// The patience of a broker with HTTP clients, as its file has it.
const HEAD_TIMEOUT: Duration = Duration::from_millis(400);
const BODY_TIMEOUT: Duration = Duration::from_millis(600);

fn impatient_server(folder: &Path) -> TestServer {
    let file = folder.join("weir.toml");
    let text = "[limits]\nhttp_head_timeout = \"400ms\"\nhttp_body_timeout = \"600ms\"\n";
    std::fs::write(&file, text).expect("a temporary file");
    TestServer::start_with(&["--config", file.to_str().expect("a path in UTF-8")])
}

/// Lets time go by.
fn spend(time: Duration) {
    let from = now();
    wait_until(PATIENCE, "the time is over", || from.elapsed() >= time);
}

#[test]
fn a_head_and_an_idle_connection_have_the_time_that_the_settings_say() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = impatient_server(folder.path());
    let head = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.http_address());
    let mut buf = [0; 512];
    // Whoever asks often enough is served for longer than that.
    let mut kept = connect(&server);
    for _ in 0..4 {
        spend(HEAD_TIMEOUT / 2);
        kept.write_all(head.as_bytes()).expect("it is open");
        assert!(kept.read(&mut buf).expect("an answer") > 0);
    }
    // One past the bound: what is idle, silent, or half-sent however busily, is closed.
    let from = now();
    assert_eq!(kept.read(&mut buf).expect("it is closed in good order"), 0);
    assert!(from.elapsed() >= HEAD_TIMEOUT * 9 / 10, "{:?}", from.elapsed());
    let mut silent = connect(&server);
    assert_eq!(silent.read(&mut buf).expect("it is closed in good order"), 0);
    let mut slow = connect(&server);
    let from = now();
    for byte in head.as_bytes().iter().cycle() {
        spend(HEAD_TIMEOUT / 10);
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        assert!(from.elapsed() < PATIENCE, "it is cut off in the end");
        slow.set_nonblocking(true).expect("a socket option");
        let closed = slow.read(&mut buf);
        slow.set_nonblocking(false).expect("a socket option");
        match closed {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            other => panic!("{other:?} after {:?}", from.elapsed()),
        }
    }
}

#[test]
fn a_body_of_known_length_has_the_time_that_the_settings_say() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = impatient_server(folder.path());
    let upload = || {
        let lines = ["Content-Length: 5"];
        send_head(server.http_address(), "POST /streams?type=T&linger=60000", &lines)
    };
    let mut steady = upload();
    for byte in b"bytes" {
        spend(BODY_TIMEOUT / 2);
        steady.write_all(&[*byte]).expect("it is open");
    }
    assert_eq!(Answer::of(steady, true).status, 201, "none of its pauses was too long");
    let mut stuck = upload();
    stuck.write_all(b"byte").expect("it is open");
    let from = now();
    let mut answer = Answer::of(stuck, true);
    let text = answer.text();
    assert!(from.elapsed() >= BODY_TIMEOUT * 9 / 10, "{:?}", from.elapsed());
    assert_eq!((answer.status, text.contains("for 600ms")), (408, true), "{text}");
}

#[test]
fn the_time_of_http_clients_changes_while_the_broker_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, "").expect("a temporary file");
    let server = TestServer::start_with(&["--config", file.to_str().expect("a path in UTF-8")]);
    std::fs::write(&file, "[limits]\nhttp_head_timeout = \"50ms\"\n").expect("a temporary file");
    server.signal("HUP");
    wait_until(PATIENCE, "it is taken over", || {
        server.log().contains("limits.http_head_timeout taken over")
    });
    let mut silent = connect(&server);
    assert_eq!(silent.read(&mut [0]).expect("it is closed in good order"), 0);
}

#[test]
fn what_is_no_http_is_refused_as_that_and_its_connection_ends() {
    let server = TestServer::start();
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
    for (sent, expected) in [
        ("hello\r\n\r\n", "400"),
        ("GET / HTTP/9.9\r\n\r\n", "400"),
        ("GET /\u{1} HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "400"),
        (&many, "431"),
    ] {
        let mut socket = connect(&server);
        socket.write_all(sent.as_bytes()).expect("it can be sent");
        let answer = read_to_end(socket);
        assert_eq!(answer.split(' ').nth(1), Some(expected), "{sent:.40}: {answer}");
    }
}

#[test]
fn a_viewer_who_left_a_silent_stream_is_noticed() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({}));
    let path = format!("GET /streams/{stream}/tail");
    let viewers: Vec<Answer> =
        (0..64).map(|_| request(server.http_address(), &path, &[])).collect();
    assert!(viewers.iter().all(|viewer| viewer.status == 200));
    drop(viewers);
    wait_until(PATIENCE, "all are gone", || server.stats()["totals"]["readers"] == 0);
}
