//! Names, strings, tokens and half messages: what the broker must remember.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Row, each, flush_together};
use crate::siege::Siege;
use crate::siege::peer::{Peer, quoted, zeros};

/// As long as an argument may nearly be.
const LONG: usize = 60 << 10;
/// What is told of peers is looked at for so long before the figures are taken.
const SETTLING: Duration = Duration::from_secs(2);

pub(super) const ROWS: &[Row] = &[
    Row::new("long-types", "40 x 1,024 subscriptions to types of 60 KB", long_types),
    Row::new("long-names", "10,000 streams with a type and a key of 60 KB", long_names),
    Row::new("long-hellos", "2,000 Hellos with services of 60 KB", long_hellos),
    Row::new("introductions", "2,000 introduce with strings of 60 KB", introductions),
    Row::new("tokens", "100 x 4,096 reads with tokens of 1 KiB", tokens),
    Row::new("parked-bytes", "819,199 parked one-byte writes", parked_bytes),
    Row::new("half-long", "100 half messages of 32 MiB", |siege, _| halves(siege, 100, 31 << 20)),
    Row::new("half-short", "2,000 half messages of 120 KiB", |siege, _| {
        halves(siege, 2_000, 120 << 10)
    }),
    Row::new("places", "1,000 x 64 places with names of 8 KB", places),
];

fn long(number: usize) -> String {
    format!("{number:08}{}", "x".repeat(LONG))
}

fn long_types(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = siege.deaf_peers(40)?;
    let rounds = siege.scaled(1_024);
    each(&mut peers, |index, peer| {
        for round in 0..rounds {
            let name = quoted(&long((index << 16) | round));
            peer.queue("Streams", "subscribe", &[&name]);
            if !matches!(peer.flush(), Ok(true)) {
                break;
            }
        }
    });
    let listened_to = peers.iter().filter(|peer| peer.unsent() == 0).count();
    siege.note("listened to throughout", listened_to);
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn long_names(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let count = siege.scaled(10_000);
    let mut peers = Vec::new();
    let mut made = 0;
    for _ in 0..10 {
        let mut peer = siege.peer()?;
        let ids = peer.create_many(count / 10, |index| {
            (long(index), json!({"Key": long(index), "BufferSize": 4096, "History": 0}))
        });
        // One that is cut off, or not listened to, has found its bound.
        made += ids.map_or(0, |ids| ids.len());
        peers.push(peer);
    }
    siege.note("streams", format!("{made} of {count}"));
    siege.keep(peers);
    Ok(())
}

fn long_hellos(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    // Names of 1 KiB: the longest that there may be.
    let name = format!("\"{}\"", "s".repeat(1000));
    let services = format!("[{}]", vec![name; LONG / 1003].join(","));
    let mut peers = Vec::new();
    for _ in 0..siege.scaled(2_000) {
        let mut peer = Peer::connect(siege.broker.address)?;
        let _ = peer.hello(services.as_bytes());
        peers.push(peer);
    }
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn introductions(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = Vec::new();
    let text = "n".repeat(LONG / 3);
    let object = json!({"Name": text, "User": text, "Program": text}).to_string();
    for _ in 0..siege.scaled(2_000) {
        let mut peer = siege.peer()?;
        peer.queue("StreamBroker", "introduce", &[object.as_bytes()]);
        peers.push(peer);
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn tokens(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut owner = siege.peer()?;
    let stream = owner.create("Silent", &json!({}))?;
    let mut peers = siege.deaf_peers(100)?;
    for peer in &mut peers {
        peer.queue("Streams", "connect", &[&quoted(&stream)]);
        peer.token_front = "t".repeat(1_000);
        for _ in 0..siege.scaled(4_096) {
            peer.queue_read(&stream, 1_000);
        }
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    siege.keep([owner]);
    Ok(())
}

fn parked_bytes(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let count = siege.scaled(819_199);
    let mut peers = siege.deaf_peers(count.div_ceil(4_095))?;
    let properties = json!({
        "BufferSize": 1, "History": 0, "Direction": "bus", "StallTimeout": null,
    });
    let mut left = count;
    for peer in &mut peers {
        let stream = peer.create("One", &properties)?;
        // One that reads too is not paused: what it would take next may make room.
        peer.attach(&stream, &json!({}))?;
        for _ in 0..left.min(4_095) {
            peer.queue_write(&stream, 1, &zeros(1));
        }
        left -= left.min(4_095);
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

/// A write of so many bytes, all but its end.
fn halves(siege: &mut Siege, count: usize, size: usize) -> Result<()> {
    let mut peers = siege.deaf_peers(siege.scaled(count))?;
    let head = format!("C\x001\x00Streams\x00write\x00\"VS0\"\x00{size}\x00\"");
    let text = zeros(size / 4 * 3);
    each(&mut peers, |_, peer| {
        peer.put_raw(head.as_bytes());
        peer.put_raw(text.as_bytes());
        // What is not listened to is counted below.
        let _ = peer.flush();
    });
    let unheard = peers.iter().filter(|peer| peer.unsent() > 0).count();
    siege.note("not listened to", unheard);
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn places(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut owner = siege.peer()?;
    let stream = owner.create("Placed", &json!({}))?;
    let mut refused = 0;
    let mut peers = Vec::new();
    for number in 0..siege.scaled(1_000) {
        let mut peer = siege.peer()?;
        for at in 0..64 {
            let place = format!("{number}-{at}-{}", "p".repeat(8 << 10));
            let options = json!({"Place": place, "KeepFor": 3_600_000}).to_string();
            peer.queue("StreamBroker", "attach", &[&quoted(&stream), options.as_bytes()]);
        }
        let _ = peer.flush();
        while let Ok(Some(reply)) = peer.message(Duration::from_millis(20)) {
            refused += usize::from(reply.code() != 0);
        }
        // Its places stay when it goes, if they may.
        if number % 2 == 0 {
            peers.push(peer);
        }
    }
    siege.note("refused", refused);
    siege.keep(peers);
    siege.keep([owner]);
    Ok(())
}
