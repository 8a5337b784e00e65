//! What careless and hostile peers make the broker hold stays within the limit and its allowance,
//! and others are served meanwhile. `tools/siege` does the same and more at full size.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::peer::quoted;
use crate::support::{PATIENCE, RawPeer, TestServer, wait_until};

const LIMIT: &str = "16MiB";
const LIMIT_BYTES: u64 = 16 << 20;
/// What the process may take beyond the limit, its code and threads not counted. Each attack offers
/// several times as much as the limit and this.
const ALLOWANCE_BYTES: u64 = 32 << 20;
/// Of a string that is as long as strings may nearly be.
const LONG: usize = 60 << 10;

/// Attackers that say what they have to say and read nothing. One that is not listened to for this
/// long says no more.
fn say_all(peers: &[RawPeer], words: impl Fn(usize) -> Vec<u8> + Sync) {
    let words = &words;
    std::thread::scope(|scope| {
        for (index, peer) in peers.iter().enumerate() {
            scope.spawn(move || {
                let mut socket = peer.try_clone_socket();
                socket.set_write_timeout(Some(Duration::from_secs(1))).expect("a socket option");
                // Not to be listened to, or to be cut off, is what an attacker must expect.
                let _ = socket.write_all(&words(index));
            });
        }
    });
}

fn command(name: &str, args: &[&[u8]]) -> Vec<u8> {
    command_as(b"1", name, args)
}

fn command_as(token: &[u8], name: &str, args: &[&[u8]]) -> Vec<u8> {
    let (service, name) = name.split_once('.').expect("a service and a name");
    let mut fields = vec![&b"C"[..], token, service.as_bytes(), name.as_bytes()];
    fields.extend_from_slice(args);
    let mut message = crate::support::peer::join(&fields);
    message.extend_from_slice(&[3, 1]);
    message
}

/// Lets `attack` do its worst to brokers with one worker and with two, and then looks at what they
/// hold, and whether a newcomer's `create` and `write` succeed.
fn besiege(attack: impl Fn(&TestServer) -> Vec<RawPeer>) {
    for workers in ["1", "2"] {
        let mut server = TestServer::start_with(&["--workers", workers, "--memory-limit", LIMIT]);
        let before = server.peak_memory();
        let attackers = attack(&server);
        let received = || {
            let (_, totals) = server.http_get("/stats?top=1");
            let totals: Value = serde_json::from_str(&totals).expect("the totals are JSON");
            totals["totals"]["received_bytes"].as_u64()
        };
        let mut last = None;
        wait_until(PATIENCE, "no more is taken in", || {
            let now = received();
            std::mem::replace(&mut last, now) == now
        });
        for _ in 0..4 {
            let mut newcomer = server.peer();
            let stream = newcomer.create("Newcomer", json!({}));
            assert_eq!(newcomer.write(&stream, b"served"), 0, "with {workers} workers");
        }
        let grown = server.peak_memory() - before;
        let most = LIMIT_BYTES + ALLOWANCE_BYTES;
        let (grown_mib, most_mib) = (grown >> 20, most >> 20);
        assert!(grown <= most, "{grown_mib} MiB, not {most_mib}, with {workers} workers");
        server.assert_well();
        drop(attackers);
    }
}

fn peers(server: &TestServer, count: usize) -> Vec<RawPeer> {
    (0..count).map(|_| server.peer()).collect()
}

fn long(number: usize) -> String {
    format!("{number:06}{}", "x".repeat(LONG))
}

#[test]
fn half_messages_of_many_peers_are_bounded() {
    besiege(|server| {
        let peers = peers(server, 800);
        let size = 120 << 10;
        let mut half =
            format!("C\x001\x00Streams\x00write\x00\"VS0\"\x00{size}\x00\"").into_bytes();
        half.resize(size, b'A');
        say_all(&peers, |_| half.clone());
        peers
    });
}

#[test]
fn names_in_hellos_are_bounded() {
    besiege(|server| {
        let peers: Vec<RawPeer> = (0..1_000).map(|_| RawPeer::connect(server.address())).collect();
        let name = format!("\"{}\"", "s".repeat(1_000));
        let list = format!("[{}]", vec![name; LONG / 1_003].join(","));
        let hello = format!("E\x00Locator\x00Hello\x00{list}\x00\x03\x01").into_bytes();
        say_all(&peers, |_| hello.clone());
        peers
    });
}

#[test]
fn types_that_peers_subscribe_to_are_bounded() {
    besiege(|server| {
        let peers = peers(server, 20);
        say_all(&peers, |peer| {
            let names = (0..100).map(|name| quoted(&long(peer * 1_000 + name)));
            names.flat_map(|name| command("Streams.subscribe", &[&name])).collect()
        });
        peers
    });
}

#[test]
fn types_and_keys_of_streams_are_bounded() {
    besiege(|server| {
        let peers = peers(server, 20);
        say_all(&peers, |peer| {
            let create = |name: usize| {
                let name = long(peer * 1_000 + name);
                let properties = json!({"Key": name, "BufferSize": 4096, "History": 0}).to_string();
                command("StreamBroker.create", &[&quoted(&name), properties.as_bytes()])
            };
            (0..50).flat_map(create).collect()
        });
        peers
    });
}

#[test]
fn tokens_of_reads_that_wait_are_bounded() {
    besiege(|server| {
        let mut peers = peers(server, 25);
        let stream = peers[0].create("Silent", json!({}));
        let id = quoted(&stream);
        say_all(&peers[1..], |_| {
            let mut words = command("Streams.connect", &[&id]);
            for read in 0..4_000 {
                let token = format!("{read:01000}");
                words.extend(command_as(token.as_bytes(), "Streams.read", &[&id, b"10"]));
            }
            words
        });
        peers
    });
}

#[test]
fn lists_that_nobody_reads_are_bounded() {
    besiege(|server| {
        let mut peers = peers(server, 130);
        for creator in &mut peers[..20] {
            for _ in 0..60 {
                creator.create(&"t".repeat(400), json!({"BufferSize": 4096, "History": 0}));
            }
        }
        say_all(&peers[20..], |_| command("StreamBroker.list", &[b"\"*\""]));
        peers
    });
}

#[test]
fn echoes_that_nobody_reads_are_bounded() {
    besiege(|server| {
        let peers = peers(server, 20);
        let text = quoted(&"e".repeat(LONG));
        say_all(&peers, |_| (0..100).flat_map(|_| command("Diagnostics.echo", &[&text])).collect());
        peers
    });
}
