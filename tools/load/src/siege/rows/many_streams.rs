//! Requests that touch every stream there is.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Row, make_streams, plain};
use crate::siege::peer::{PATIENCE, Peer, quoted, show};
use crate::siege::{Siege, now};

/// Creators of the streams; none holds more than its share.
const CREATORS: usize = 64;

pub(super) const ROWS: &[Row] = &[
    Row::new("subscribe-one", "one subscribe \"*\", 130,000 streams", |siege, _| {
        subscribe(siege, 1)
    })
    .limit(2_048)
    .prepare(|siege| many(siege, 130_000)),
    Row::new("subscribe-four", "four subscribe \"*\", 130,000 streams", |siege, _| {
        subscribe(siege, 4)
    })
    .limit(2_048)
    .prepare(|siege| many(siege, 130_000)),
    Row::new("stats-storm", "128 GET /stats at once, 120,000 streams", stats_storm)
        .limit(1_024)
        .prepare(|siege| many(siege, 120_000)),
    Row::new("stats-unread", "128 GET /stats that nobody reads, 12,000 streams", stats_unread)
        .prepare(|siege| many(siege, 12_000)),
    Row::new("creators-leave", "130,000 streams whose 64 creators close at once", creators_leave)
        .limit(1_024)
        .prepare(|siege| many(siege, 130_000)),
    Row::new("fan-subscribe", "1,000 subscribers that read, 8,000 streams", fan_subscribe)
        .prepare(|siege| many(siege, 8_000)),
    Row::new("subscribers-leave", "4,000 subscribers of one type close at once", subscribers_leave),
];

fn many(siege: &mut Siege, count: usize) -> Result<Vec<Peer>> {
    let count = siege.scaled(count);
    let (peers, _) = make_streams(siege, count, CREATORS, plain("Many"))?;
    Ok(peers)
}

/// Subscribers that read all they are told.
fn subscribe(siege: &mut Siege, count: usize) -> Result<()> {
    let streams = siege.scaled(130_000);
    let mut peers: Vec<Peer> = (0..count).map(|_| siege.peer()).collect::<Result<_>>()?;
    let from = now();
    let told: Result<Vec<usize>> = thread::scope(|scope| {
        let told: Vec<_> =
            peers.iter_mut().map(|peer| scope.spawn(move || hear_all(peer, streams))).collect();
        told.into_iter().map(|told| told.join().unwrap_or(Ok(0))).collect()
    });
    let told = told.context("subscribing")?;
    let least = told.iter().copied().min().unwrap_or(0);
    let seconds = format!("{:.2} s", from.elapsed().as_secs_f64());
    siege.note("until all are told", seconds);
    siege.demand("told of", least, format!(">= {streams}"), least >= streams);
    siege.keep(peers);
    Ok(())
}

/// Subscribes to everything and counts what it is told of until that is `wanted`, or takes too
/// long: others go on creating streams.
fn hear_all(peer: &mut Peer, wanted: usize) -> Result<usize> {
    let token = peer.queue("Streams", "subscribe", &[&quoted("*")]);
    peer.flush()?;
    let reply = peer.reply(&token)?;
    ensure!(reply.code() == 0, "subscribe is refused with {}", show(&reply));
    let deadline = now() + PATIENCE;
    let mut count = 0;
    while count < wanted && now() < deadline {
        if let Some(message) = peer.message(Duration::from_secs(1))? {
            count += usize::from(message.is_event("created"));
        }
    }
    Ok(count)
}

fn stats_storm(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let broker = &siege.broker;
    let from = now();
    let answers: Vec<(u16, Vec<u8>)> = thread::scope(|scope| {
        let asked = (0..128).map(|_| scope.spawn(|| broker.http("GET /stats", 2 * PATIENCE)));
        let asked: Vec<_> = asked.collect();
        asked.into_iter().filter_map(|asked| asked.join().ok()?.ok()).collect()
    });
    let seconds = format!("{:.2} s", from.elapsed().as_secs_f64());
    siege.note("until all are answered", seconds);
    let least = answers.iter().map(|(_, bytes)| bytes.len()).min().unwrap_or(0);
    siege.note("smallest answer", format!("{} KiB", least >> 10));
    let count = answers.iter().filter(|(status, _)| *status == 200).count();
    siege.demand("answered with 200", count, "128", count == 128);
    Ok(())
}

fn stats_unread(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let asked = (0..128).map(|_| siege.broker.ask("GET /stats"));
    let mut asked: Vec<TcpStream> = asked.collect::<Result<_>>()?;
    siege.wait(Duration::from_secs(3));
    // Each is still served, or was told why not.
    let mut room = [0; 64];
    let socket = asked.first_mut().context("128 were asked")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    ensure!(socket.read(&mut room)? > 0, "no answer");
    Ok(())
}

fn creators_leave(siege: &mut Siege, creators: Vec<Peer>) -> Result<()> {
    drop(creators);
    siege.wait(Duration::from_secs(4));
    Ok(())
}

fn fan_subscribe(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers: Vec<Peer> =
        (0..siege.scaled(1_000)).map(|_| siege.peer()).collect::<Result<_>>()?;
    let mut room = vec![0; 64 << 10];
    for at in 0..peers.len() {
        peers[at].queue("Streams", "subscribe", &[&quoted("*")]);
        peers[at].flush()?;
        // All go on reading.
        for peer in &mut peers[..=at].iter_mut().rev().take(100) {
            peer.discard(&mut room);
        }
    }
    let deadline = now() + Duration::from_secs(10);
    let mut gone = 0;
    while now() < deadline {
        let open: Vec<bool> =
            peers.iter_mut().map(|peer| peer.discard(&mut room).is_some()).collect();
        gone = open.iter().filter(|is_open| !**is_open).count();
    }
    siege.note("cut off", gone);
    siege.keep(peers);
    Ok(())
}

fn subscribers_leave(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers: Vec<Peer> =
        (0..siege.scaled(4_000)).map(|_| siege.peer()).collect::<Result<_>>()?;
    for peer in &mut peers {
        peer.queue("Streams", "subscribe", &[&quoted("Same")]);
        peer.flush()?;
    }
    if let Some(last) = peers.last_mut() {
        last.echo()?;
    }
    drop(peers);
    siege.wait(Duration::from_secs(2));
    Ok(())
}
