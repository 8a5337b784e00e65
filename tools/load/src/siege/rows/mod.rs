//! The rows, by what a peer makes the broker hold or do.

mod bounds;
mod http;
mod many_streams;
mod names;
mod pinned;
mod readers;
mod turns;
mod unread;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::siege::Siege;
use crate::siege::peer::Peer;

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What `--rows` calls it.
    pub name: &'static str,
    /// What is done.
    pub title: &'static str,
    /// The memory limit; as large as the row needs to exist.
    pub limit_mib: u64,
    /// More lines of `[limits]`.
    pub limits: &'static str,
    /// File descriptors of the broker, where few.
    pub files: Option<u32>,
    /// The row stops the broker itself, so that a long round trip is not its fault.
    pub may_be_slow: bool,
    /// What is there before the watch begins.
    pub prepare: fn(&mut Siege) -> Result<Vec<Peer>>,
    /// What is done then.
    pub attack: fn(&mut Siege, Vec<Peer>) -> Result<()>,
}

impl Row {
    const fn new(
        name: &'static str,
        title: &'static str,
        attack: fn(&mut Siege, Vec<Peer>) -> Result<()>,
    ) -> Row {
        Row {
            name,
            title,
            limit_mib: 64,
            limits: "",
            files: None,
            may_be_slow: false,
            prepare: |_| Ok(Vec::new()),
            attack,
        }
    }

    const fn limit(mut self, mib: u64) -> Row {
        self.limit_mib = mib;
        self
    }

    const fn limits(mut self, lines: &'static str) -> Row {
        self.limits = lines;
        self
    }

    const fn prepare(mut self, prepare: fn(&mut Siege) -> Result<Vec<Peer>>) -> Row {
        self.prepare = prepare;
        self
    }
}

/// All rows.
pub fn all() -> Vec<Row> {
    let groups: [&[Row]; 8] = [
        many_streams::ROWS,
        names::ROWS,
        unread::ROWS,
        pinned::ROWS,
        readers::ROWS,
        turns::ROWS,
        bounds::ROWS,
        http::ROWS,
    ];
    groups.concat()
}

/// Makes `count` streams by `creators` channels, dealt over the workers as they come.
fn make_streams(
    siege: &mut Siege,
    count: usize,
    creators: usize,
    stream: impl Fn(usize) -> (String, Value),
) -> Result<(Vec<Peer>, Vec<String>)> {
    let mut peers = Vec::with_capacity(creators);
    let mut ids = Vec::with_capacity(count);
    for index in 0..creators {
        let mut peer = siege.peer()?;
        let more = count * (index + 1) / creators - count * index / creators;
        ids.extend(peer.create_many(more, |at| stream(ids_before(count, creators, index) + at))?);
        peers.push(peer);
    }
    siege.note("streams", format!("{} of {count}", ids.len()));
    Ok((peers, ids))
}

fn ids_before(count: usize, creators: usize, index: usize) -> usize {
    count * index / creators
}

/// Streams of a type and nothing else.
fn plain(stream_type: &'static str) -> impl Fn(usize) -> (String, Value) {
    move |_| (stream_type.to_owned(), json!({}))
}

/// Does something with each, many at a time, so that those that are not listened to cost the time
/// of one. It is told the peer's number.
fn each(peers: &mut [Peer], act: impl Fn(usize, &mut Peer) + Sync) {
    const AT_ONCE: usize = 40;
    let part = peers.len().div_ceil(AT_ONCE).max(1);
    let act = &act;
    std::thread::scope(|scope| {
        for (number, peers) in peers.chunks_mut(part).enumerate() {
            scope.spawn(move || {
                for (index, peer) in peers.iter_mut().enumerate() {
                    act(number * part + index, peer);
                }
            });
        }
    });
}

/// Sends what each has to say, and notes how many are not listened to or cut off.
fn flush_together(siege: &mut Siege, peers: &mut [Peer]) {
    let (unheard, broken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    each(peers, |_, peer| {
        match peer.flush() {
            Ok(true) => return,
            Ok(false) => &unheard,
            Err(_) => &broken,
        }
        .fetch_add(1, Ordering::Relaxed);
    });
    siege.note("not listened to", unheard.into_inner());
    siege.note("cut off", broken.into_inner());
}

/// What the broker answers to `/stats`.
fn stats(siege: &Siege, query: &str) -> Result<Value> {
    let request = format!("GET /stats{query}");
    let (_, answer) = siege.broker.http(&request, Duration::from_secs(30))?;
    let from = answer.windows(4).position(|part| part == b"\r\n\r\n").context("a head")?;
    let (head, body) = answer.split_at(from + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    match head.contains("transfer-encoding: chunked") {
        true => Ok(serde_json::from_slice(&unchunked(body).context("a body in chunks")?)?),
        false => Ok(serde_json::from_slice(body)?),
    }
}

/// A body without the sizes of its chunks; `None` where they are not right.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|part| part == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let chunk = rest.get(line + 2..)?;
        body.extend_from_slice(chunk.get(..size)?);
        rest = chunk.get(size + 2..)?;
    }
}
