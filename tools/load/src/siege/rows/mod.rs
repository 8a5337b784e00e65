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

/// The rows of the broker's `/stats` with this name.
fn stats(siege: &Siege, query: &str) -> Result<Value> {
    let request = format!("GET /stats{query}");
    let (_, answer) = siege.broker.http(&request, Duration::from_secs(30))?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let from = text.find("\r\n\r\n").context("a head")? + 4;
    let body = text[from..].to_owned();
    let start = body.find('{').context("an object")?;
    let mut stream = serde_json::Deserializer::from_str(&body[start..]).into_iter::<Value>();
    Ok(stream.next().context("an object")??)
}
