//! How long a turn may take.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mio::{Events, Interest, Poll, Token};
use serde_json::json;

use super::Row;
use crate::siege::peer::{PATIENCE, Peer, quoted, raw_write, zeros};
use crate::siege::{Siege, now, percentile};

/// What 99 of 100 hosts may wait for their `sync`.
const SYNC_P99_MAX: Duration = Duration::from_millis(50);

pub(super) const ROWS: &[Row] = &[
    Row::new("sync-1000", "100 busy writers, 1,000 hosts that sync", |siege, _| {
        sync(siege, 100, 1_000)
    })
    .limit(256),
    Row::new("sync-2000", "200 busy writers, 2,000 hosts that sync", |siege, _| {
        sync(siege, 200, 2_000)
    })
    .limit(256),
    Row::new("adopt-many", "30,000 keyed streams adopted back and forth", adopt_many).limit(256),
    Row::new("many-small", "50 peers with 4,096 commands a message block each", many_small),
    Row::new("connections", "10,000 connections, Hello said by half", connections),
    Row::new("reconnects", "20,000 connections that come and go at once", reconnects),
    Row::new("own-write-flood", "16 peers that write to one bus they all read", bus_flood),
];

fn sync(siege: &mut Siege, writers: usize, hosts: usize) -> Result<()> {
    let hosts = siege.scaled(hosts);
    let mut sockets = Vec::with_capacity(hosts);
    for _ in 0..hosts {
        sockets.push(siege.peer()?.into_socket());
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut busy = Vec::new();
    for _ in 0..4 {
        let mut own = Vec::new();
        for _ in 0..writers / 4 {
            let mut writer = siege.peer()?;
            let stream = writer.create("Load", &json!({"History": 0}))?;
            own.push((writer, stream));
        }
        let is_over = Arc::clone(&is_over);
        busy.push(thread::spawn(move || write_all_the_time(own, &is_over)));
    }
    siege.wait(Duration::from_millis(500));
    let mut times = Vec::new();
    for _ in 0..10 {
        times.extend(sync_once(&sockets)?);
    }
    is_over.store(true, Ordering::Relaxed);
    let written: u64 = busy.into_iter().map(|busy| busy.join().unwrap_or(0)).sum();
    times.sort_unstable();
    let p99 = percentile(&times, 0.99);
    let worst = times.last().copied().unwrap_or_default();
    siege.note("written", format!("{} MiB", written >> 20));
    siege.note("sync worst", format!("{} ms", worst.as_millis()));
    let bound = format!("<= {} ms", SYNC_P99_MAX.as_millis());
    let measured = format!("{:.1} ms", p99.as_secs_f64() * 1e3);
    siege.demand("sync p99", measured, bound, p99 <= SYNC_P99_MAX);
    Ok(())
}

/// All hosts ask at once; how long each waited.
fn sync_once(sockets: &[TcpStream]) -> Result<Vec<Duration>> {
    let mut poll = Poll::new()?;
    let mut hosts: Vec<mio::net::TcpStream> = Vec::new();
    for (index, socket) in sockets.iter().enumerate() {
        let socket = socket.try_clone()?;
        socket.set_nonblocking(true)?;
        let mut host = mio::net::TcpStream::from_std(socket);
        poll.registry().register(&mut host, Token(index), Interest::READABLE)?;
        hosts.push(host);
    }
    let mut asked = Vec::with_capacity(hosts.len());
    let mut times = Vec::with_capacity(hosts.len());
    let mut events = Events::with_capacity(1024);
    let mut room = [0; 256];
    let deadline = now() + PATIENCE;
    let mut take = |poll: &mut Poll,
                    hosts: &mut [mio::net::TcpStream],
                    asked: &[Instant],
                    wait: Duration|
     -> Result<Vec<Duration>> {
        poll.poll(&mut events, Some(wait))?;
        let mut got = Vec::new();
        for event in &events {
            let host = event.token().0;
            // A reply to sync is short: it comes whole.
            match hosts[host].read(&mut room) {
                Ok(0) => anyhow::bail!("the broker closed a host's connection"),
                Ok(_) => got.push(asked[host].elapsed()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(got)
    };
    for index in 0..hosts.len() {
        asked.push(now());
        hosts[index].write_all(b"C\x001\x00Locator\x00sync\x00\x03\x01")?;
        if index % 16 == 0 {
            times.extend(take(&mut poll, &mut hosts, &asked, Duration::ZERO)?);
        }
    }
    while times.len() < hosts.len() {
        ensure!(now() < deadline, "hosts got no reply to sync");
        times.extend(take(&mut poll, &mut hosts, &asked, Duration::from_millis(100))?);
    }
    Ok(times)
}

/// Writes of 32 KiB, a few under way on each channel; how many bytes.
fn write_all_the_time(mut own: Vec<(Peer, String)>, is_over: &AtomicBool) -> u64 {
    const SIZE: usize = 32 << 10;
    const UNDER_WAY: usize = 4;
    let mut room = vec![0; 64 << 10];
    let mut written = 0;
    let messages: Vec<Vec<u8>> = own.iter().map(|(_, stream)| raw_write(stream, SIZE)).collect();
    while !is_over.load(Ordering::Relaxed) {
        for ((writer, _), message) in own.iter_mut().zip(&messages) {
            for _ in 0..UNDER_WAY {
                writer.put_raw(message);
            }
            if writer.flush().is_err() || writer.discard(&mut room).is_none() {
                return written;
            }
            written += (UNDER_WAY * SIZE) as u64;
        }
    }
    written
}

fn adopt_many(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let count = siege.scaled(30_000);
    let mut one = siege.peer()?;
    let mut other = siege.peer()?;
    let properties = json!({"Key": "k", "KeepFor": 60_000});
    let ids = one.create_many(count, |_| ("Kept".to_owned(), properties.clone()))?;
    siege.note("streams", format!("{} of {count}", ids.len()));
    let from = now();
    for peer in [&mut other, &mut one] {
        let mut adopted = 0;
        for batch in ids.chunks(256) {
            for id in batch {
                peer.queue("StreamBroker", "adopt", &[&quoted(id), b"\"k\""]);
            }
            ensure!(peer.flush()?, "not listened to");
            let mut answered = 0;
            while answered < batch.len() {
                let Some(message) = peer.message(PATIENCE)? else { break };
                answered += usize::from(message.kind == b'R');
                adopted += usize::from(message.kind == b'R' && message.code() == 0);
            }
        }
        siege.note("adopted", adopted);
    }
    siege.note("adopting", format!("{:.2} s", from.elapsed().as_secs_f64()));
    Ok(())
}

fn many_small(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers: Vec<Peer> = (0..50).map(|_| siege.peer()).collect::<Result<_>>()?;
    let mut room = vec![0; 256 << 10];
    let deadline = now() + Duration::from_secs(5);
    while now() < deadline {
        for peer in &mut peers {
            for _ in 0..1_000 {
                peer.queue("Streams", "connect", &[b"\"VS99999999\""]);
            }
            peer.flush()?;
            peer.discard(&mut room);
        }
    }
    siege.keep(peers);
    Ok(())
}

fn connections(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let address = siege.broker.address;
    let mut peers = Vec::new();
    for index in 0..siege.scaled(9_000) {
        peers.push(if index % 2 == 0 { Peer::open(address)? } else { Peer::connect(address)? });
    }
    siege.note("resident KiB", siege.broker.resident_bytes().unwrap_or(0) >> 10);
    siege.keep(peers);
    Ok(())
}

fn reconnects(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let address = siege.broker.address;
    for _ in 0..siege.scaled(20_000) {
        let mut peer = Peer::connect(address)?;
        let _ = peer.hello(b"[]");
    }
    Ok(())
}

fn bus_flood(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut owner = siege.peer()?;
    let properties = json!({"Direction": "bus", "BufferSize": 1 << 20, "StallTimeout": null});
    let stream = owner.create("Bus", &properties)?;
    let mut peers = siege.deaf_peers(16)?;
    let size = 12 << 10;
    let text = zeros(size);
    for peer in &mut peers {
        peer.attach(&stream, &json!({}))?;
        for _ in 0..siege.scaled(1_000) {
            peer.queue_read(&stream, 64 << 10);
            peer.queue_write(&stream, size, &text);
        }
    }
    super::flush_together(siege, &mut peers);
    siege.wait(Duration::from_secs(2));
    siege.keep(peers);
    siege.keep([owner]);
    Ok(())
}
