//! The whole server, over real sockets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::*;
use crate::config::{HttpAddress, LimitSettings};

/// No wait in these tests is longer; only a failing test comes near it.
const DEADLINE: Duration = Duration::from_secs(30);

/// The end of a message, and of a channel (TCF specification, "Transport Layer").
const END: &[u8] = b"\x03\x01";
const EOS: &[u8] = b"\x03\x02";

fn settings(workers: u16, limits: LimitSettings) -> Settings {
    let settings = Settings {
        listen: vec![Address::loopback(0)],
        http: HttpAddress::At(Address::loopback(0)),
        workers,
        pin: false,
        limits,
        ..Settings::default()
    };
    settings.checked().unwrap()
}

fn serve(workers: u16) -> Server {
    Server::start(settings(workers, LimitSettings::default())).unwrap()
}

/// A TCF peer made of bytes.
struct Peer {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    fn connect(server: &Server) -> Peer {
        let socket = TcpStream::connect(server.addresses().tcf[0]).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        Peer { socket, received: Vec::new() }
    }

    fn hello(server: &Server) -> Peer {
        let mut peer = Peer::connect(server);
        let hello = peer.message();
        assert!(hello.starts_with("E Locator Hello [\"Locator\""), "{hello}");
        peer.send(&["E", "Locator", "Hello", "[\"Locator\"]"]);
        peer
    }

    fn send(&mut self, fields: &[&str]) {
        self.socket.write_all(&frame(fields)).unwrap();
    }

    /// The next message, NULs shown as blanks; "EOS" at the end of the channel.
    fn message(&mut self) -> String {
        loop {
            if self.received.starts_with(EOS) {
                return "EOS".to_owned();
            }
            if let Some(end) = self.received.windows(2).position(|two| two == END) {
                let message: Vec<u8> = self.received.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&message[..end]);
                return text.trim_end_matches('\0').replace('\0', " ");
            }
            let mut bytes = [0; 16 << 10];
            let count = self.socket.read(&mut bytes).expect("the server answers in time");
            assert_ne!(count, 0, "the server closed without EOS");
            self.received.extend_from_slice(&bytes[..count]);
        }
    }

    /// The answer to the one command that is under way; events in between are passed over.
    fn call(&mut self, fields: &[&str]) -> String {
        self.send(fields);
        self.reply()
    }

    fn reply(&mut self) -> String {
        loop {
            let message = self.message();
            if !message.starts_with("E ") {
                return message;
            }
        }
    }

    /// The kernel's answer when the connection is gone: an end or a reset.
    fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

fn frame(fields: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend_from_slice(field.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(END);
    bytes
}

/// One HTTP request: status code and body.
fn http(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    // In HTTP/1.0 an answer is not cut into chunks.
    write!(socket, "GET {path} HTTP/1.0\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

fn stats(server: &Server) -> serde_json::Value {
    let address = server.addresses().http.unwrap();
    let (code, body) = http(address, "/stats", &format!("Host: {address}\r\n"));
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Asks for the numbers until they are as wanted. Each look is a round trip through all workers.
fn wait_for_stats(server: &Server, wanted: impl Fn(&serde_json::Value) -> bool) {
    let start = Clock::start();
    loop {
        let seen = stats(server);
        if wanted(&seen) {
            return;
        }
        let waited = start.now().instant.since(Instant::default());
        assert!(waited < DEADLINE, "never came: {seen:#}");
    }
}

#[test]
fn hello_command_and_end_over_a_real_socket() {
    let server = serve(1);
    let mut peer = Peer::hello(&server);
    assert_eq!(peer.call(&["C", "1", "Locator", "sync"]), "R 1");
    peer.socket.write_all(EOS).unwrap();
    assert_eq!(peer.message(), "EOS");
    peer.socket.shutdown(Shutdown::Write).unwrap();
    peer.expect_closed();
    wait_for_stats(&server, |stats| stats["workers"][0]["lingering"] == 0);
    assert_eq!(server.stop(), Ended::Drained);
}

#[test]
fn bytes_of_an_agent_reach_a_host_on_another_worker() {
    const WRITES: usize = 500;
    let server = serve(2);
    let mut agent = Peer::hello(&server);
    let mut host = Peer::hello(&server);
    let created = agent.call(&["C", "1", "StreamBroker", "create", "\"console\"", "{}"]);
    let id = created.split('"').nth(1).unwrap().to_owned();
    let quoted = format!("\"{id}\"");
    assert_eq!(host.call(&["C", "1", "Streams", "connect", &quoted]), "R 1");

    let mut batch = Vec::new();
    for number in 0..WRITES {
        let token = format!("w{number}");
        // 3 bytes a write, in base64.
        batch.extend(frame(&["C", &token, "Streams", "write", &quoted, "3", "\"YWJj\""]));
    }
    batch.extend(frame(&["C", "end", "Streams", "eos", &quoted]));
    agent.socket.write_all(&batch).unwrap();
    for number in 0..WRITES {
        assert_eq!(agent.reply(), format!("R w{number}"));
    }
    assert_eq!(agent.reply(), "R end");

    let mut text = String::new();
    for number in 0.. {
        let token = format!("r{number}");
        let reply = host.call(&["C", &token, "Streams", "read", &quoted, "4096"]);
        let fields: Vec<&str> = reply.split(' ').collect();
        assert_eq!((fields[0], fields[1], fields[4]), ("R", token.as_str(), "0"), "{reply}");
        text.push_str(fields[2].trim_matches('"'));
        if fields[5] == "true" {
            break;
        }
    }
    assert_eq!(text.trim_end_matches('='), "YWJj".repeat(WRITES));
    let stats = stats(&server);
    assert_eq!(stats["totals"]["accepted_bytes"], 3 * WRITES);
    assert_eq!(stats["totals"]["delivered_bytes"], 3 * WRITES);
}

#[test]
fn a_drain_ends_channels_with_eos() {
    let server = serve(2);
    let mut peers = [Peer::hello(&server), Peer::hello(&server), Peer::hello(&server)];
    for peer in &mut peers {
        assert_eq!(peer.call(&["C", "1", "Locator", "sync"]), "R 1");
    }
    let address = server.addresses().tcf[0];
    let stopper = std::thread::spawn(move || server.stop());
    for peer in &mut peers {
        assert_eq!(peer.message(), "EOS");
        peer.socket.shutdown(Shutdown::Both).unwrap();
    }
    assert_eq!(stopper.join().unwrap(), Ended::Drained);
    assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
}

#[test]
fn a_drain_does_not_wait_for_ever() {
    let limits =
        LimitSettings { drain_timeout: Duration::from_millis(50), ..LimitSettings::default() };
    let server = Server::start(settings(1, limits)).unwrap();
    let mut peer = Peer::hello(&server);
    assert_eq!(peer.call(&["C", "1", "Locator", "sync"]), "R 1");
    assert_eq!(server.stop(), Ended::CutShort);
    peer.expect_closed();
}

#[test]
fn a_connection_too_many_is_told_so_with_our_end_of_stream() {
    let limits = LimitSettings { channels_max: 2, ..LimitSettings::default() };
    let server = Server::start(settings(1, limits)).unwrap();
    let (mut first, _second) = (Peer::hello(&server), Peer::hello(&server));
    let mut third = Peer::connect(&server);
    assert!(third.message().starts_with("E Locator Hello"));
    assert_eq!(third.message(), "EOS");
    third.expect_closed();
    first.socket.shutdown(Shutdown::Both).unwrap();
    wait_for_stats(&server, |stats| {
        stats["totals"]["channels"] == 1 && stats["workers"][0]["lingering"] == 0
    });
    let mut next = Peer::hello(&server);
    assert_eq!(next.call(&["C", "1", "Locator", "sync"]), "R 1");
    first.expect_closed();
}

#[test]
fn a_paused_channel_that_breaks_is_noticed() {
    let server = serve(1);
    let mut agent = Peer::hello(&server);
    let created = agent.call(&[
        "C",
        "1",
        "StreamBroker",
        "create",
        "\"console\"",
        "{\"BufferSize\":4096,\"Hold\":true}",
    ]);
    let id = format!("\"{}\"", created.split('"').nth(1).unwrap());
    // Far more than is parked before the socket is no longer read, and than the kernel buffers.
    let data = format!("\"{}\"", "YWJj".repeat(16 << 10));
    let write = frame(&["C", "w", "Streams", "write", &id, "49152", &data]);
    agent.socket.set_nonblocking(true).unwrap();
    let mut unsent: &[u8] = &[];
    let mut stalls = 0;
    while stalls < 3 {
        if unsent.is_empty() {
            unsent = &write;
        }
        match (&agent.socket).write(unsent) {
            Ok(count) => {
                unsent = &unsent[count..];
                stalls = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                // Several round trips through the worker without room: it does not read any more.
                stats(&server);
                stalls += 1;
            }
        }
    }
    // Paused is idle: a look asks the worker four questions, and nothing else wakes it.
    let turns = |stats: serde_json::Value| stats["workers"][0]["turns"].as_u64().unwrap();
    let before = turns(stats(&server));
    for _ in 0..20 {
        stats(&server);
    }
    let spent = turns(stats(&server)) - before;
    assert!(spent <= 5 * 21, "{spent} turns for 21 looks");
    // Unread replies are none, so a reset has to be asked for.
    socket2::SockRef::from(&agent.socket).set_linger(Some(Duration::ZERO)).unwrap();
    drop(agent);
    wait_for_stats(&server, |stats| stats["totals"]["broken"] == 1);
    wait_for_stats(&server, |stats| stats["totals"]["channels"] == 0);
}

#[test]
fn what_an_agent_wrote_before_its_reset_is_kept() {
    let server = serve(1);
    let mut agent = Peer::hello(&server);
    let properties = "{\"Linger\":60000,\"History\":65536}";
    let created = agent.call(&["C", "1", "StreamBroker", "create", "\"console\"", properties]);
    let id = format!("\"{}\"", created.split('"').nth(1).unwrap());
    let mut batch = Vec::new();
    for _ in 0..1000 {
        batch.extend(frame(&["C", "w", "Streams", "write", &id, "3", "\"YWJj\""]));
    }
    agent.socket.write_all(&batch).unwrap();
    // It closes with replies unread, as programs do that only write: the kernel sends a reset.
    drop(agent);
    wait_for_stats(&server, |stats| stats["totals"]["channels"] == 0);
    assert_eq!(stats(&server)["totals"]["accepted_bytes"], 3000);
}

#[test]
fn what_comes_before_a_fin_arrives_though_the_channel_is_paused() {
    const WRITES: usize = 64;
    let server = serve(2);
    let (mut agent, mut host) = (Peer::hello(&server), Peer::hello(&server));
    let properties = "{\"BufferSize\":4096,\"Hold\":true,\"StallTimeout\":null}";
    let created = agent.call(&["C", "1", "StreamBroker", "create", "\"console\"", properties]);
    let id = format!("\"{}\"", created.split('"').nth(1).unwrap());
    let data = format!("\"{}\"", "YWJj".repeat(16 << 10));
    let write = frame(&["C", "w", "Streams", "write", &id, "49152", &data]);
    let writer = std::thread::spawn(move || {
        for _ in 0..WRITES {
            agent.socket.write_all(&write).unwrap();
        }
        agent.socket.write_all(&frame(&["C", "e", "Streams", "eos", &id])).unwrap();
        agent.socket.write_all(EOS).unwrap();
        agent.socket.shutdown(Shutdown::Write).unwrap();
        // Whatever is still parked at the end is answered, with success or not.
        let replies = (0..=WRITES).map(|_| agent.reply()).collect::<Vec<_>>();
        (agent.message(), replies)
    });
    let id = format!("\"{}\"", created.split('"').nth(1).unwrap());
    assert_eq!(host.call(&["C", "1", "Streams", "connect", &id]), "R 1");
    let mut bytes = 0;
    loop {
        let reply = host.call(&["C", "r", "Streams", "read", &id, "65536"]);
        let fields: Vec<&str> = reply.split(' ').collect();
        if fields[2] != "null" {
            bytes += fields[2].trim_matches('"').trim_end_matches('=').len() * 3 / 4;
        }
        if fields[5] == "true" {
            break;
        }
    }
    let (end, replies) = writer.join().unwrap();
    assert_eq!(end, "EOS");
    let done = replies.iter().filter(|reply| **reply == "R w").count();
    assert!(bytes >= done * 49152, "{bytes} bytes were read of {done} writes that succeeded");
    assert_eq!(stats(&server)["totals"]["accepted_bytes"], bytes);
}

#[test]
fn http_answers_with_numbers_and_guards_them() {
    let server = serve(2);
    let address = server.addresses().http.unwrap();
    let host = format!("Host: {address}\r\n");
    assert_eq!(http(address, "/healthz", &host), (200, "ok\n".to_owned()));
    let (code, body) = http(address, "/nowhere", &host);
    assert_eq!(code, 404);
    assert!(body.contains("/stats"), "{body}");
    assert_eq!(http(address, "/stats", "Host: evil.example\r\n").0, 403);
    let foreign = format!("{host}Origin: http://evil.example\r\n");
    assert_eq!(http(address, "/stats", &foreign).0, 403);

    let _peer = Peer::hello(&server);
    wait_for_stats(&server, |stats| stats["channels"][0]["received_bytes"].as_u64() > Some(0));
    let stats = stats(&server);
    assert_eq!(stats["schema_version"], 1);
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(stats["workers"].as_array().unwrap().len(), 2);
}

#[test]
fn a_server_that_cannot_start_leaves_nothing_behind() {
    let server = serve(1);
    let taken = server.addresses().tcf[0];
    let free = Address::loopback(0);
    let mut second = settings(1, LimitSettings::default());
    second.listen = vec![free, Address::loopback(taken.port())];
    assert!(matches!(Server::start(second), Err(StartError::Taken { .. })));
}
