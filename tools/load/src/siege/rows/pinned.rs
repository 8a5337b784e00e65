//! Little that holds much: slices of large segments, blocks of which a byte is left, connections
//! whose channel is over.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Row, flush_together, make_streams, plain};
use crate::siege::peer::{PATIENCE, Peer, quoted, raw_write, zeros};
use crate::siege::{Siege, now};

/// Until what was asked for has been made.
const SETTLING: Duration = Duration::from_secs(2);

pub(super) const ROWS: &[Row] = &[
    Row::new("pins", "20 viewers that take a little of writes of 30 MiB and read no more", pins)
        .limit(256),
    Row::new("sparse", "streams of 16 KiB writes, each in a receive buffer of 64 KiB", sparse),
    Row::new("last-bytes", "8,000 streams of which a byte is left unread", last_bytes),
    Row::new("lingering", "200 channels at their end that take a byte a second", lingering)
        .prepare(|siege| {
            let count = siege.scaled(8_000);
            Ok(make_streams(siege, count, 64, plain("Listed"))?.0)
        }),
    Row::new("short-unsent", "3,000 deaf readers, each of another place of one stream", unsent),
];

/// Each viewer keeps a slice of another segment.
fn pins(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut writer = siege.peer()?;
    let size = 30 << 20;
    let properties = json!({"BufferSize": size, "History": 0, "StallTimeout": 0});
    let stream = writer.create("Pinned", &properties)?;
    // A BIN block gets memory of its own, which becomes a segment as it is.
    let write = raw_write(&stream, size);
    let options = json!({"From": "latest", "StallTimeout": 0}).to_string();
    for _ in 0..siege.scaled(20) {
        // Raw bytes leave as they lie; base64 would be a copy.
        let mut viewer = Peer::connect_deaf(siege.broker.address)?;
        viewer.hello(b"[\"ZeroCopy\",\"Locator\"]")?;
        viewer.queue("StreamBroker", "attach", &[&quoted(&stream), options.as_bytes()]);
        // The first fill what the kernel keeps for it.
        for _ in 0..400 {
            viewer.queue_read(&stream, 16 << 10);
        }
        viewer.flush()?;
        viewer.await_answer()?;
        // What it has asked for is asked for before the write.
        siege.wait(Duration::from_millis(5));
        writer.put_raw(&write);
        let deadline = now() + PATIENCE;
        while !writer.flush()? {
            ensure!(now() < deadline, "the writer is not listened to");
        }
        writer.reply("w")?;
        siege.keep([viewer]);
    }
    siege.wait(SETTLING);
    siege.keep([writer]);
    Ok(())
}

/// What is behind each write in its receive buffer is of no use to anybody.
fn sparse(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    // However the reads fall, a write is whole in each receive buffer, and mostly only one is.
    const PERIOD_BYTES: usize = 47 << 10;
    let mut peers = Vec::new();
    for _ in 0..siege.scaled(20) {
        let Ok((mut writer, mut reader)) = pair(siege) else { break };
        let properties = json!({"BufferSize": 4 << 20, "StallTimeout": null});
        // Memory may be short by now, which is not this peer's alone.
        let Ok(stream) = writer.create("Sparse", &properties) else { break };
        ensure!(reader.attach(&stream, &json!({}))? == 0, "attaching a reader");
        let size = 16 << 10;
        let mut message = b"C\x00w\x00Streams\x00write\x00".to_vec();
        message.extend_from_slice(&quoted(&stream));
        message.extend_from_slice(format!("\x00{size}\x00({size})").as_bytes());
        message.extend(std::iter::repeat_n(b'd', size));
        message.extend_from_slice(b"\x00\x03\x01E\x00No\x00No\x00");
        message.resize(PERIOD_BYTES, b'j');
        message.extend_from_slice(b"\x00\x03\x01");
        for _ in 0..250 {
            writer.put_raw(&message);
            if !writer.flush()? {
                break;
            }
        }
        peers.extend([writer, reader]);
    }
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn pair(siege: &Siege) -> Result<(Peer, Peer)> {
    Ok((siege.deaf_peer()?, siege.peer()?))
}

fn last_bytes(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let size = 2_000;
    let writes = 32;
    let text = zeros(size);
    let mut unheard = 0;
    for _ in 0..8 {
        let (mut writer, mut reader) = (siege.peer()?, siege.peer()?);
        let properties = json!({"BufferSize": 64 << 10, "History": 0, "StallTimeout": null});
        let count = siege.scaled(8_000) / 8;
        let ids = writer.create_many(count, |_| ("Last".to_owned(), properties.clone()))?;
        'streams: for id in &ids {
            reader.queue("Streams", "connect", &[&quoted(id)]);
            reader.flush()?;
            reader.echo()?;
            for _ in 0..writes {
                writer.queue_write(id, size, &text);
            }
            let behind = writer.queue("Diagnostics", "echo", &[b"\"\""]);
            writer.flush()?;
            // A writer for whose writes there is no room is not listened to.
            if !writer.is_answered(&behind, Duration::from_secs(1))? {
                unheard += 1;
                break 'streams;
            }
            let mut left = writes * size - 1;
            while left > 0 {
                let part = left.min(32 << 10);
                reader.queue_read(id, part);
                reader.flush()?;
                // Writes that are refused, over a bound, leave nothing to read.
                if reader.message(Duration::from_secs(1))?.is_none() {
                    break 'streams;
                }
                left = left.saturating_sub(part);
            }
        }
        siege.keep([writer, reader]);
    }
    siege.note("not listened to", unheard);
    siege.wait(SETTLING);
    Ok(())
}

fn lingering(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = siege.deaf_peers(siege.scaled(200))?;
    for peer in &mut peers {
        peer.queue("StreamBroker", "list", &[b"\"*\""]);
        peer.put_raw(b"\x03\x02\x03\x01");
    }
    flush_together(siege, &mut peers);
    let deadline = now() + Duration::from_secs(12);
    while now() < deadline {
        for peer in &mut peers {
            peer.nibble();
        }
        siege.wait(Duration::from_secs(1));
    }
    siege.note("resident MiB after 12 s", siege.broker.resident_bytes().unwrap_or(0) >> 20);
    siege.keep(peers);
    Ok(())
}

fn unsent(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut writer = siege.peer()?;
    let size = 1 << 20;
    let properties = json!({"BufferSize": size, "History": size, "StallTimeout": 0});
    let stream = writer.create("Places", &properties)?;
    let token = writer.queue_write(&stream, size, &zeros(size));
    writer.flush()?;
    writer.reply(&token)?;
    let mut peers = siege.deaf_peers(siege.scaled(3_000))?;
    for (index, peer) in peers.iter_mut().enumerate() {
        let options = json!({"From": index, "StallTimeout": 0}).to_string();
        // Over and over from a place that no other reader has.
        for _ in 0..64 {
            peer.queue("StreamBroker", "attach", &[&quoted(&stream), options.as_bytes()]);
            peer.queue_read(&stream, 120 << 10);
        }
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    siege.keep([writer]);
    Ok(())
}
