//! Answers and events that nobody takes in.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Row, each, flush_together, make_streams, plain};
use crate::siege::peer::{Peer, quoted};
use crate::siege::{Siege, now};

/// Until what was asked for has been made.
const SETTLING: Duration = Duration::from_secs(3);

pub(super) const ROWS: &[Row] = &[
    Row::new("lists", "200 lists of 8,000 streams that nobody reads", lists).prepare(|siege| {
        let count = siege.scaled(8_000);
        Ok(make_streams(siege, count, 64, plain("Listed"))?.0)
    }),
    Row::new("lists-again", "20 x 100 lists in a row, nobody reads", lists_again).prepare(
        |siege| {
            let count = siege.scaled(8_000);
            Ok(make_streams(siege, count, 64, plain("Listed"))?.0)
        },
    ),
    Row::new("events", "created and disposed of 20,000 streams that nobody takes in", events),
    Row::new("deaf-subscribers", "1,000 subscribers that do not read, 8,000 streams", deaf)
        .prepare(|siege| {
            let count = siege.scaled(8_000);
            Ok(make_streams(siege, count, 64, plain("Told"))?.0)
        }),
    Row::new("echoes", "50 x 4,096 echoes of 60 KB that nobody reads", echoes),
    Row::new("mailboxes", "200 x 2,000 attaches to other workers, nobody reads", mailboxes),
];

fn lists(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = siege.deaf_peers(siege.scaled(200))?;
    for peer in &mut peers {
        peer.queue("StreamBroker", "list", &[b"\"*\""]);
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn lists_again(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = siege.deaf_peers(20)?;
    for peer in &mut peers {
        for _ in 0..siege.scaled(100) {
            peer.queue("StreamBroker", "list", &[b"\"*\""]);
        }
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn events(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut deaf = siege.deaf_peers(4 * usize::from(siege.workers))?;
    for peer in &mut deaf {
        peer.queue("Streams", "subscribe", &[&quoted("*")]);
        peer.flush()?;
    }
    siege.wait(Duration::from_millis(200));
    let name = "e".repeat(8 << 10);
    let count = siege.scaled(20_000);
    let mut made = 0;
    let deadline = now() + Duration::from_secs(30);
    let mut creators = siege.one_for_each()?;
    while made < count && now() < deadline {
        for creator in &mut creators {
            let properties = json!({"BufferSize": 4096, "History": 0});
            let ids = creator.create_many(50, |_| (name.clone(), properties.clone()))?;
            for id in &ids {
                creator.queue("StreamBroker", "dispose", &[&quoted(id)]);
            }
            let token = creator.queue("Locator", "sync", &[]);
            creator.flush()?;
            creator.reply(&token).context("after disposing")?;
            made += ids.len();
        }
    }
    siege.note("streams", format!("{made} of {count}"));
    siege.keep(deaf);
    siege.keep(creators);
    Ok(())
}

fn deaf(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = siege.deaf_peers(siege.scaled(1_000))?;
    for peer in &mut peers {
        peer.queue("Streams", "subscribe", &[&quoted("*")]);
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    Ok(())
}

fn echoes(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = siege.deaf_peers(50)?;
    let text = quoted(&"e".repeat(60 << 10));
    let rounds = siege.scaled(4_096);
    each(&mut peers, |_, peer| {
        for _ in 0..rounds {
            peer.queue("Diagnostics", "echo", &[&text]);
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

fn mailboxes(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut owners = siege.one_for_each()?;
    let mut ids = Vec::new();
    for owner in &mut owners {
        ids.push(owner.create("Far", &json!({}))?);
    }
    let mut peers = siege.deaf_peers(siege.scaled(200))?;
    for peer in &mut peers {
        for round in 0..2_000 {
            let id = quoted(&ids[round % ids.len()]);
            let name = if round % 4 < 2 { "connect" } else { "disconnect" };
            peer.queue("Streams", name, &[&id]);
        }
    }
    flush_together(siege, &mut peers);
    siege.wait(SETTLING);
    siege.keep(peers);
    siege.keep(owners);
    Ok(())
}
