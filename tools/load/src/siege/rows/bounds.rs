//! Bounds that must be the same whichever way one comes to them.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Row, make_streams, plain, stats};
use crate::siege::Siege;
use crate::siege::peer::{Peer, quoted};

/// Streams that one channel may be attached to.
const ATTACHMENTS_MAX: usize = 16_384;

/// What the rows about it set `limits.keep_for` and `limits.linger` to.
const AT_THE_BOUND_MS: u64 = 2_000;

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "attachments",
        "subscribed to 20,000 streams, of which 16,384 may be attached",
        attachments,
    )
    .limit(256)
    .prepare(|siege| {
        let count = siege.scaled(20_000);
        Ok(make_streams(siege, count, 64, plain("Wide"))?.0)
    }),
    Row::new("keep-for", "131,072 streams kept for their creators, who have gone", |siege, _| {
        ownerless(siege, true)
    })
    .limit(128)
    .limits("keep_for = \"2s\"\nlinger = \"2s\""),
    Row::new("linger", "131,072 disposed streams that linger", |siege, _| ownerless(siege, false))
        .limit(128)
        .limits("keep_for = \"2s\"\nlinger = \"2s\""),
    Row::new("channels-max", "one connection more than there may be", channels_max)
        .limits("channels_max = 200"),
];

fn attachments(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peer = siege.peer()?;
    peer.call("Streams", "subscribe", &[&quoted("Wide")])?;
    peer.echo()?;
    let readers = stats(siege, "?top=1")?["totals"]["readers"].as_u64().context("readers")?;
    // The prompt readers of the witnesses count too.
    let readers = readers.saturating_sub(u64::from(siege.workers)) as usize;
    siege.demand("attached", readers, format!("<= {ATTACHMENTS_MAX}"), readers <= ATTACHMENTS_MAX);
    let echo = peer.echo()?;
    siege.note("its own echo", format!("{} ms", echo.as_millis()));
    siege.keep([peer]);
    Ok(())
}

fn properties(is_kept: bool, milliseconds: u64) -> Value {
    match is_kept {
        true => json!({"Key": "k", "KeepFor": milliseconds}),
        false => json!({"Linger": milliseconds}),
    }
}

/// Streams without anybody, for as long as their creators like.
fn ownerless(siege: &mut Siege, is_kept: bool) -> Result<()> {
    let count = siege.scaled(131_072);
    // As long as one likes where there is no bound; what there is a bound for is asked for at it.
    let forever = properties(is_kept, 1 << 40);
    let properties = match siege.peer()?.create("Left", &forever) {
        Ok(_) => forever,
        Err(_) => properties(is_kept, AT_THE_BOUND_MS),
    };
    let mut made = 0;
    for _ in 0..64 {
        let mut peer = siege.peer()?;
        let ids = peer.create_many(count / 64, |_| ("Left".to_owned(), properties.clone()))?;
        if !is_kept {
            for batch in ids.chunks(256) {
                for id in batch {
                    peer.queue("StreamBroker", "dispose", &[&quoted(id)]);
                }
                peer.flush()?;
                peer.echo()?;
            }
        }
        made += ids.len();
    }
    siege.note("made", format!("{made} of {count}"));
    // Twice what the bound is set to.
    siege.wait(Duration::from_secs(4));
    let reply = siege.peer()?.call("StreamBroker", "create", &[b"\"After\"", b"{}"])?;
    siege.demand("create after", reply.code(), "0", reply.code() == 0);
    Ok(())
}

fn channels_max(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = Vec::new();
    let mut refused = None;
    for _ in 0..400 {
        let mut peer = Peer::connect(siege.broker.address)?;
        match peer.message(Duration::from_secs(5)) {
            Ok(Some(message)) if message.is_event("Hello") => {
                let _ = peer.hello(b"[\"Locator\"]");
                // A connection over the bound may get a Hello before it gets its end.
                if let Ok(Some(next)) = peer.message(Duration::from_millis(5)) {
                    refused = Some(next.kind);
                    break;
                }
                peers.push(peer);
            }
            Ok(Some(message)) => {
                refused = Some(message.kind);
                break;
            }
            _ => {
                refused = Some(b'-');
                break;
            }
        }
    }
    siege.note("taken on", peers.len());
    let kind = refused.map_or('?', char::from);
    siege.demand("the next ends with", kind, "Z: our end of stream", kind == 'Z');
    Ok(())
}
