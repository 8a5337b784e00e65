//! The driver of shards in tests, and the peers.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{ChannelId, WorkerId};
use crate::service::transcript::{message, render};
use crate::time::{Instant, Now};
use crate::worker::{Identity, Limits, Shard};

/// The Hello of a peer without `ZeroCopy`.
pub const HELLO: &str = "E|Locator|Hello|[\"Locator\"]|";

/// One connection, as its driver sees it.
pub struct Peer {
    pub shard: usize,
    pub id: ChannelId,
    /// What has arrived from the peer and not been taken in.
    pub input: Vec<u8>,
    /// What has been sent to the peer.
    pub output: Vec<u8>,
    /// Whether the peer takes in what is sent.
    pub reads: bool,
    pub is_closed: bool,
}

/// A broker with as many workers as wanted, in one thread.
pub struct Broker {
    pub shards: Vec<Shard>,
    pub peers: Vec<Peer>,
    pub now: Now,
}

impl Broker {
    pub fn new(workers: u16, limits: &Limits) -> Broker {
        let identity = Arc::new(Identity {
            agent_id: "0583851d".to_owned(),
            name: "Weir".to_owned(),
            listens: Vec::new(),
        });
        let shard = |me| Shard::new(WorkerId(me), workers, limits.clone(), identity.clone());
        let now = Now { instant: Instant(1), unix_ms: 5 };
        Broker { shards: (0..workers).map(shard).collect(), peers: Vec::new(), now }
    }

    /// Opens a channel, and gives the peer's number.
    pub fn open(&mut self, shard: usize) -> usize {
        let id = self.shards[shard].open(self.now, "127.0.0.1:5".into());
        let (input, output) = (Vec::new(), Vec::new());
        self.peers.push(Peer { shard, id, input, output, reads: true, is_closed: false });
        self.peers.len() - 1
    }

    /// Opens a channel whose peer says Hello, and forgets ours.
    pub fn greet(&mut self, shard: usize) -> usize {
        let peer = self.open(shard);
        self.send(peer, HELLO);
        assert!(self.take(peer).starts_with("E|Locator|Hello|["));
        peer
    }

    /// The peer sends one message, and everything that follows from it happens.
    pub fn send(&mut self, peer: usize, text: &str) {
        self.arrive(peer, &message(text));
        self.run();
    }

    pub fn arrive(&mut self, peer: usize, bytes: &[u8]) {
        self.peers[peer].input.extend(bytes);
    }

    /// What was sent to the peer since the last time.
    pub fn take(&mut self, peer: usize) -> String {
        render(&std::mem::take(&mut self.peers[peer].output))
    }

    /// The peer sends one message; gives what it gets by it.
    pub fn ask(&mut self, peer: usize, text: &str) -> String {
        self.send(peer, text);
        self.take(peer)
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.instant = self.now.instant.plus(time);
        for shard in &mut self.shards {
            if shard.next_deadline().is_some_and(|deadline| deadline <= self.now.instant) {
                shard.handle_timeout(self.now);
            }
        }
        self.run();
    }

    /// Turns of all workers until nothing happens any more.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            let mut happened = false;
            for shard in 0..self.shards.len() {
                happened |= self.turn(shard);
            }
            if !happened {
                return;
            }
        }
        panic!("the broker never comes to rest");
    }

    pub fn turn(&mut self, index: usize) -> bool {
        let mut happened = false;
        for peer in self.peers.iter_mut().filter(|peer| peer.shard == index && !peer.is_closed) {
            let shard = &mut self.shards[index];
            if shard.wants_input(peer.id) && !peer.input.is_empty() {
                let mut input = peer.input.as_slice();
                shard.receive(self.now, peer.id, &mut input);
                let left = input.len();
                peer.input.drain(..peer.input.len() - left);
                happened = true;
            }
        }
        let shard = &mut self.shards[index];
        shard.settle(self.now);
        while let Some(id) = shard.poll_ready() {
            happened = true;
            if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) {
                peer.flush(shard, self.now);
            }
        }
        while let Some((id, output)) = shard.poll_closed() {
            happened = true;
            assert!(!shard.wants_input(id));
            let peer = self.peers.iter_mut().find(|peer| peer.id == id).unwrap();
            peer.is_closed = true;
            peer.output.extend(output.to_vec());
        }
        while let Some(id) = shard.poll_abandoned() {
            happened = true;
            let peer = self.peers.iter_mut().find(|peer| peer.id == id).unwrap();
            assert!(shard.output(id).is_empty(), "the shard has forgotten it");
            peer.is_closed = true;
        }
        for to in (0..self.shards.len()).filter(|to| *to != index) {
            while let Some(message) = self.shards[index].poll_message(WorkerId(to as u16)) {
                happened = true;
                self.shards[to].handle_message(self.now, WorkerId(index as u16), message);
            }
        }
        happened
    }
}

impl Peer {
    /// Sends what waits, if the peer takes it.
    pub fn flush(&mut self, shard: &mut Shard, now: Now) {
        let output = shard.output(self.id);
        if self.reads && !output.is_empty() {
            self.output.extend(output.to_vec());
            output.advance(output.len());
            shard.sent(now, self.id);
        }
    }
}
