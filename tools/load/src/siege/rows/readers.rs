//! Readers that do not read, and a broker that does not run.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Row;
use crate::siege::peer::{PATIENCE, Peer, quoted, zeros};
use crate::siege::{Siege, now};

/// The longest that a writer may wait where only viewers are slow.
const WRITE_MAX: Duration = Duration::from_millis(500);

pub(super) const ROWS: &[Row] = &[
    Row::new("viewers", "100 viewers (StallTimeout 0) with unread sockets, a busy writer", viewers),
    Row::new("ended-streams", "a subscriber that never reads, 2,000 streams that end", ended),
    Row::new("ended-lossless", "the same, and the subscriber waits for ever", ended_lossless),
    Row {
        may_be_slow: true,
        ..Row::new("sigstop", "the broker stopped for 6 s, prompt readers of full streams", sigstop)
    },
    Row::new("reads-unread", "500 peers with reads under way that do not read", reads_unread),
    Row::new("stalled-ten", "10 stalled lossless readers with large buffers", stalled_buffers),
];

fn viewers(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut writer = siege.peer()?;
    let stream = writer.create("Film", &json!({"BufferSize": 4 << 20}))?;
    let mut viewers = siege.deaf_peers(100)?;
    for viewer in &mut viewers {
        ensure!(viewer.attach(&stream, &json!({"StallTimeout": 0}))? == 0, "attaching a viewer");
        for _ in 0..1_000 {
            viewer.queue_read(&stream, 256 << 10);
        }
        let _ = viewer.flush();
    }
    let size = 48 << 10;
    let text = zeros(size);
    let mut worst = Duration::ZERO;
    let rounds = siege.scaled(2_000);
    let deadline = now() + Duration::from_secs(40);
    let mut written = 0;
    while written < rounds && now() < deadline {
        let from = now();
        let token = writer.queue_write(&stream, size, &text);
        writer.flush()?;
        let reply = writer.reply(&token)?;
        ensure!(reply.code() == 0, "a write is refused");
        worst = worst.max(from.elapsed());
        written += 1;
    }
    siege.note("written", format!("{} MiB", (written * size) >> 20));
    let bound = format!("<= {} ms", WRITE_MAX.as_millis());
    let measured = format!("{} ms", worst.as_millis());
    siege.demand("write worst", measured, bound, worst <= WRITE_MAX && written == rounds);
    siege.keep(viewers);
    siege.keep([writer]);
    Ok(())
}

fn ended(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    end_many(siege, json!({"BufferSize": 64 << 10, "StallTimeout": 500}))
}

fn ended_lossless(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    end_many(siege, json!({"BufferSize": 64 << 10, "StallTimeout": null}))
}

/// Streams of 48 KiB each that end before the subscriber has read of them.
fn end_many(siege: &mut Siege, properties: serde_json::Value) -> Result<()> {
    let mut deaf = siege.deaf_peer()?;
    deaf.call("Streams", "subscribe", &[&quoted("Ends")])?;
    let mut creator = siege.peer()?;
    let size = 48 << 10;
    let text = zeros(size);
    let (mut made, mut refused) = (0, 0);
    let deadline = now() + Duration::from_secs(20);
    while made + refused < siege.scaled(2_000) && now() < deadline {
        let text_of_them = properties.to_string();
        let args: [&[u8]; 2] = [b"\"Ends\"", text_of_them.as_bytes()];
        let reply = creator.call("StreamBroker", "create", &args)?;
        if reply.code() != 0 {
            // It is the subscriber's fault, who pays: what it holds is let go in time.
            refused += 1;
            siege.wait(Duration::from_millis(10));
            continue;
        }
        let id = reply.result(0).as_str().context("an ID")?.to_owned();
        creator.queue_write(&id, size, &text);
        let token = creator.queue("StreamBroker", "dispose", &[&quoted(&id)]);
        creator.flush()?;
        creator.reply(&token)?;
        made += 1;
    }
    siege.note("ended", made);
    siege.note("refused", refused);
    siege.wait(Duration::from_secs(2));
    let reply = siege.peer()?.call("StreamBroker", "create", &[b"\"After\"", b"{}"])?;
    siege.demand("create after", reply.code(), "0", reply.code() == 0);
    siege.keep([deaf, creator]);
    Ok(())
}

fn sigstop(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    const STREAMS: usize = 100;
    const BUFFER: usize = 2_000;
    const WRITES: usize = 10;
    let mut pairs = Vec::new();
    for _ in 0..STREAMS {
        let (mut writer, mut reader) = (siege.peer()?, siege.peer()?);
        let properties = json!({"BufferSize": BUFFER, "History": 0});
        let stream = writer.create("Stopped", &properties)?;
        ensure!(reader.attach(&stream, &json!({}))? == 0, "attaching a reader");
        pairs.push((writer, reader, stream));
    }
    for (writer, reader, stream) in &mut pairs {
        for _ in 0..WRITES {
            writer.queue_write(stream, BUFFER, &zeros(BUFFER));
        }
        writer.flush()?;
        // What was written before is there; what comes now finds the broker stopped.
        writer.echo()?;
        reader.queue_read(stream, WRITES * BUFFER);
    }
    siege.broker.signal("STOP");
    for (_, reader, _) in &mut pairs {
        reader.flush()?;
    }
    siege.wait(Duration::from_secs(6));
    siege.broker.signal("CONT");
    let mut lost = 0;
    for (_, reader, stream) in &mut pairs {
        let mut left = (WRITES * BUFFER) as i64;
        while left > 0 {
            let message = reader.message(PATIENCE)?.context("no reply to a read")?;
            if message.kind != b'R' {
                continue;
            }
            let field = |at: usize| message.fields.get(at).map_or(&[][..], Vec::as_slice);
            let data: String = serde_json::from_slice(field(1)).unwrap_or_default();
            let gone: i64 = serde_json::from_slice(field(3)).unwrap_or_default();
            let padding = data.bytes().rev().take_while(|&byte| byte == b'=').count();
            lost += gone;
            left -= gone + (data.len() / 4 * 3 - padding) as i64;
            reader.queue_read(stream, WRITES * BUFFER);
            reader.flush()?;
        }
    }
    let total = STREAMS * WRITES * BUFFER;
    siege.demand("lost", format!("{lost} of {total}"), "0", lost == 0);
    Ok(())
}

fn reads_unread(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut writer = siege.peer()?;
    let mut ids = Vec::new();
    for _ in 0..16 {
        ids.push(writer.create("Busy", &json!({"StallTimeout": 0, "BufferSize": 1 << 20}))?);
    }
    let mut peers = siege.deaf_peers(siege.scaled(500))?;
    for (index, peer) in peers.iter_mut().enumerate() {
        let id = &ids[index % ids.len()];
        peer.attach(id, &json!({"StallTimeout": 0}))?;
        for _ in 0..1_000 {
            peer.queue_read(id, 1 << 20);
        }
        let _ = peer.flush();
    }
    let size = 48 << 10;
    let text = zeros(size);
    let deadline = now() + Duration::from_secs(10);
    while now() < deadline {
        for id in &ids {
            let token = writer.queue_write(id, size, &text);
            writer.flush()?;
            writer.reply(&token)?;
        }
    }
    siege.keep(peers);
    siege.keep([writer]);
    Ok(())
}

/// Each holds a buffer that is as large as the whole memory limit.
fn stalled_buffers(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let size = 48 << 10;
    let text = zeros(size);
    for _ in 0..10 {
        let (mut writer, mut reader) = (siege.deaf_peer()?, siege.deaf_peer()?);
        let properties = json!({"BufferSize": 64 << 20, "StallTimeout": null});
        let stream = writer.create("Huge", &properties)?;
        ensure!(reader.attach(&stream, &json!({}))? == 0, "attaching a reader");
        let deadline = now() + Duration::from_secs(3);
        while now() < deadline {
            for _ in 0..16 {
                writer.queue_write(&stream, size, &text);
            }
            if !writer.flush()? {
                break;
            }
        }
        siege.keep([writer, reader]);
    }
    Ok(())
}
