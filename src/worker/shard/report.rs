//! Copies of a shard's numbers.

use std::sync::Arc;

use crate::id::{ChannelId, Door};
use crate::stream::{Engine, EngineReport, EngineTotals, Gauges, Introduction, Walk};
use crate::time::Instant;
use crate::worker::shard::Shard;
use crate::worker::shard::peer::Peer;

/// One channel's numbers.
#[derive(Clone, Debug)]
pub struct ChannelReport {
    /// Which channel.
    pub id: ChannelId,
    /// The peer's address.
    pub peer: Arc<str>,
    /// What the peer says of itself.
    pub introduction: Option<Arc<Introduction>>,
    /// Through which door it came in.
    pub door: Door,
    /// When it was opened.
    pub opened_at: Instant,
    /// The services of the peer's Hello, with commas between them.
    pub services: Box<str>,
    /// Commands received.
    pub commands: u64,
    /// Commands answered with an error, or not recognised.
    pub errors: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes waiting to be sent.
    pub unsent_bytes: u64,
}

/// Everything that one shard has, at once.
#[derive(Clone, Debug, Default)]
pub struct ShardReport {
    /// What is counted.
    pub totals: ShardTotals,
    /// What the core has.
    pub engine: EngineReport,
    /// Its open channels.
    pub channels: Vec<ChannelReport>,
}

/// What one shard counts, all of one moment.
#[derive(Clone, Debug, Default)]
pub struct ShardTotals {
    /// The core's numbers.
    pub engine: EngineTotals,
    /// Open channels.
    pub channels: u64,
    /// Channels opened, ever.
    pub channels_opened: u64,
    /// Commands received, ever.
    pub commands: u64,
    /// Commands answered with an error, or not recognised, ever.
    pub errors: u64,
    /// Channels closed because of a malformed message, ever.
    pub malformed: u64,
    /// Channels closed because the peer never said Hello.
    pub without_hello: u64,
    /// Channels given up at their end because the peer took nothing in.
    pub abandoned: u64,
}

/// Where a walk over everything that one shard has goes on.
#[derive(Clone, Debug)]
pub enum ShardWalk {
    /// Within the core.
    Engine(Walk),
    /// With the channels, from this slot on.
    Channels(usize),
}

/// What rows come to, gathered piece by piece.
#[derive(Clone, Debug, Default)]
pub struct ShardGauges {
    /// Streams and readers.
    pub engine: Gauges,
    /// Channels by door, as in [`Door::ALL`].
    pub channels: [u64; Door::ALL.len()],
    /// Bytes that wait to be sent to them.
    pub unsent_bytes: u64,
}

impl ShardWalk {
    /// From the begin.
    pub const BEGIN: ShardWalk = ShardWalk::Engine(Walk::Streams(None));
}

impl ShardGauges {
    /// Adds what another piece of the same shard says.
    pub fn add(&mut self, other: &ShardGauges) {
        self.engine.add(&other.engine);
        for (count, more) in self.channels.iter_mut().zip(other.channels) {
            *count += more;
        }
        self.unsent_bytes += other.unsent_bytes;
    }
}

impl Shard {
    /// Everything at once, for whoever drives shards in tests: it takes as long as there is much.
    pub fn report(&self) -> ShardReport {
        ShardReport {
            totals: self.totals(),
            engine: self.engine.report(),
            channels: self.peers.iter().map(|peer| self.channel_report(peer)).collect(),
        }
    }

    /// What is counted, all of one moment.
    pub fn totals(&self) -> ShardTotals {
        ShardTotals {
            engine: self.engine.totals(),
            channels: self.peers.len() as u64,
            channels_opened: self.channels_opened,
            commands: self.commands,
            errors: self.errors + self.peers.iter().map(Peer::errors).sum::<u64>(),
            malformed: self.malformed,
            without_hello: self.without_hello,
            abandoned: self.given_up,
        }
    }

    /// The core, for copies of its rows.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Goes on with a walk: what about `most` streams, readers or channels come to, and where it
    /// goes on.
    pub fn gauges(
        &self,
        now: Instant,
        walk: ShardWalk,
        most: usize,
    ) -> (ShardGauges, Option<ShardWalk>) {
        let mut gauges = ShardGauges::default();
        match walk {
            ShardWalk::Engine(walk) => {
                let (engine, next) = self.engine.gauges(now, walk, most);
                gauges.engine = engine;
                (gauges, Some(next.map_or(ShardWalk::Channels(0), ShardWalk::Engine)))
            }
            ShardWalk::Channels(from) => {
                let mut peers = self.peers.from(from);
                for (_, peer) in peers.by_ref().take(most) {
                    gauges.engine.seen += 1;
                    gauges.channels[peer.door() as usize] += 1;
                    gauges.unsent_bytes += peer.unsent_bytes();
                }
                let next = peers.next().map(|(slot, _)| ShardWalk::Channels(slot));
                (gauges, next)
            }
        }
    }

    /// Channels from a slot on, at most `most`, and the slot where to go on.
    pub fn channels_from(&self, slot: usize, most: usize) -> (Vec<ChannelReport>, Option<usize>) {
        let mut peers = self.peers.from(slot);
        let rows = peers.by_ref().take(most).map(|(_, peer)| self.channel_report(peer)).collect();
        (rows, peers.next().map(|(slot, _)| slot))
    }

    /// These channels, as far as they are there.
    pub fn channels_of(&self, ids: &[ChannelId]) -> Vec<ChannelReport> {
        let peers = ids.iter().filter_map(|id| self.peers.get(*id));
        peers.map(|peer| self.channel_report(peer)).collect()
    }

    fn channel_report(&self, peer: &Peer) -> ChannelReport {
        let introduction = self.engine.introduction(peer.id);
        ChannelReport { introduction, ..peer.report() }
    }
}
