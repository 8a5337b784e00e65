//! Many agents that write more than the broker may hold.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::framing::{EOM, ESC, bin_block};
use crate::support::peer::{join, quoted};
use crate::support::{PATIENCE, Pattern, RawPeer, TestServer, wait_until};

const LIMIT: u64 = 48 << 20;

/// What the process may take beyond the limit: its code, its threads, the allocator's waste, a
/// message under way for each worker.
const BESIDE: u64 = 48 << 20;

/// Writes until the broker has taken nothing for a while: it has stopped reading.
fn push(mut socket: TcpStream, bytes: &[u8]) {
    socket.set_write_timeout(Some(Duration::from_secs(1))).expect("a socket option");
    match socket.write_all(bytes) {
        Ok(()) => {}
        Err(error) => assert!(
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "the broker neither closes nor resets: {error}"
        ),
    }
}

fn write_command(stream: &str, data: &[u8]) -> Vec<u8> {
    let size = data.len().to_string();
    let mut wire = join(&[b"C", b"9", b"Streams", b"write", &quoted(stream), size.as_bytes()]);
    wire.extend_from_slice(format!("({size})").as_bytes());
    bin_block(data, &mut wire);
    wire.extend_from_slice(&[0, ESC, EOM]);
    wire
}

#[test]
fn unread_streams_and_long_messages_stay_within_the_limit() {
    let mut server = TestServer::start_with(&["--workers", "2", "--memory-limit", "48MiB"]);
    let mut writer = server.zero_copy_peer();
    let mut reader = server.zero_copy_peer();
    let live = writer.create("Live", json!({"StallTimeout": null}));
    assert_eq!(reader.attach(&live, json!({})).0, 0);

    // 16 agents with 8 MiB each in packets, and 8 with one message of 20 MiB: 288 MiB in all.
    let kept = json!({"BufferSize": 64 << 20, "StallTimeout": null, "Hold": true});
    let pattern = Pattern::new(7);
    let mut agents: Vec<RawPeer> = (0..24).map(|_| server.zero_copy_peer()).collect();
    let create = |agent: &mut RawPeer| agent.create("Kept", kept.clone());
    let streams: Vec<String> = agents.iter_mut().map(create).collect();
    let mut threads = Vec::new();
    for (number, (agent, stream)) in agents.iter().zip(&streams).enumerate() {
        let bytes = match number {
            0..16 => (0..128)
                .flat_map(|part| write_command(stream, &pattern.bytes(part << 16, 1 << 16)))
                .collect(),
            _ => write_command(stream, &pattern.bytes(0, 20 << 20)),
        };
        let socket = agent.try_clone_socket();
        threads.push(std::thread::spawn(move || push(socket, &bytes)));
    }
    let held = || server.stats()["totals"]["held_bytes"].as_u64().expect("a number");
    wait_until(PATIENCE, "the memory is spent", || held() >= LIMIT - (4 << 20));
    for thread in threads {
        thread.join().expect("the broker stops reading and closes nothing");
    }
    let peak = server.peak_memory();
    assert!(peak < LIMIT + BESIDE, "{} MiB", peak >> 20);

    // Whoever comes finds room.
    let mut newcomer = server.zero_copy_peer();
    let stream = newcomer.create("More", json!({"BufferSize": 1_000_000}));
    let write = newcomer.start_write(&stream, &[b'x'; 1000]);
    assert_eq!(newcomer.code_of(&write), 0);

    // A stream that is read goes on.
    let mut checked = pattern.check_from(0);
    for round in 0..20 {
        let write = writer.start_write(&live, &pattern.bytes(round << 16, 1 << 16));
        while checked.offset() < (round + 1) << 16 {
            let reply = reader.read(&live, 1 << 20);
            assert_eq!((reply.code, reply.lost), (0, 0));
            checked.take(&reply.data).expect("the right bytes");
        }
        assert_eq!(writer.code_of(&write), 0);
    }

    // What was accepted is there.
    let mut late = server.zero_copy_peer();
    assert_eq!(late.attach(&streams[0], json!({})).0, 0);
    let mut checked = pattern.check_from(0);
    let end = late.listed(&streams[0]).expect("it is listed")["End"].as_u64().expect("a number");
    assert!(end > 0);
    while checked.offset() < end {
        let reply = late.read(&streams[0], 1 << 20);
        assert_eq!((reply.code, reply.lost), (0, 0));
        checked.take(&reply.data).expect("the right bytes");
    }
    let peak = server.peak_memory();
    assert!(peak < LIMIT + BESIDE, "{} MiB", peak >> 20);

    drop(agents);
    wait_until(PATIENCE, "agents that are gone hold nothing", || held() < LIMIT / 2);
    server.assert_well();
}
