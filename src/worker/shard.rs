//! A worker without its thread and sockets.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{ChannelId, WorkerId};
use crate::stream::{self, EngineReport, Message};
use crate::time::{Instant, Now};
use crate::wire::{self, Output};

/// What the broker says of itself to its peers (`Locator.getAgentID`, `getPeers`).
#[derive(Clone, Debug)]
pub struct Identity {
    /// UUID of this process.
    pub agent_id: String,
    /// A name for people.
    pub name: String,
    /// The addresses that the broker listens on, as `HOST`, `PORT`.
    pub listens: Vec<(String, u16)>,
}

/// Bounds of one shard and its channels, each with its default and why.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bounds on what peers may send.
    pub wire: wire::Limits,
    /// Bounds of the core.
    pub stream: stream::Limits,
    /// Unsent bytes of a channel above which its reads are not served and its commands not taken.
    pub unsent_bytes_pause: usize,
    /// Unsent bytes below which it goes on.
    pub unsent_bytes_resume: usize,
    /// Commands taken from one channel in one turn, so that a fat agent does not starve quiet hosts.
    pub commands_per_turn: usize,
    /// How long a peer may take to say Hello.
    pub hello_timeout: Duration,
    /// How long a channel lingers for its peer's end after our own EOS.
    pub linger_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            wire: wire::Limits::default(),
            stream: stream::Limits::default(),
            unsent_bytes_pause: 1 << 20,
            unsent_bytes_resume: 256 << 10,
            commands_per_turn: 4096,
            hello_timeout: Duration::from_secs(15),
            linger_timeout: Duration::from_secs(5),
        }
    }
}

/// One channel's numbers.
#[derive(Clone, Debug)]
pub struct ChannelReport {
    /// Which channel.
    pub id: ChannelId,
    /// The peer's address.
    pub peer: Arc<str>,
    /// Commands received.
    pub commands: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes waiting to be sent.
    pub unsent_bytes: u64,
}

/// What one shard has.
#[derive(Clone, Debug, Default)]
pub struct ShardReport {
    /// The core's numbers.
    pub engine: EngineReport,
    /// Its open channels.
    pub channels: Vec<ChannelReport>,
    /// Channels opened, ever.
    pub channels_opened: u64,
    /// Commands received, ever.
    pub commands: u64,
    /// Channels closed because of a malformed message, ever.
    pub malformed: u64,
}

/// A worker without its thread and sockets.
///
/// The driver's part: `open` for a new connection; `receive` while `wants_input` says so, keeping what was
/// not taken in; `receive_end` at the peer's FIN; after a batch, `settle` once; then send what `output`
/// holds (`sent` after each success), deliver what `poll_message` gives, and look at `poll_closed`.
#[derive(Debug)]
pub struct Shard {}

impl Shard {
    /// A shard for worker `me` of `workers`.
    pub fn new(me: WorkerId, workers: u16, limits: Limits, identity: Arc<Identity>) -> Shard {
        let _ = (me, workers, limits, identity);
        unimplemented!()
    }

    /// Takes a new connection on; our Hello is in its output at once.
    pub fn open(&mut self, now: Now, peer: Arc<str>) -> ChannelId {
        let _ = (now, peer);
        unimplemented!()
    }

    /// Takes bytes of the peer in and advances `input` behind them. What is left when it returns belongs to
    /// a later call: the channel waits (`wants_input` is false), or its work for this turn is done
    /// (`wants_input` is true; call again next turn).
    pub fn receive(&mut self, now: Now, channel: ChannelId, input: &mut &[u8]) {
        let _ = (now, channel, input);
        unimplemented!()
    }

    /// Where the next bytes of the channel's socket belong, if a large block is under way and no earlier
    /// input is left.
    pub fn direct(&mut self, channel: ChannelId) -> Option<&mut [u8]> {
        let _ = channel;
        unimplemented!()
    }

    /// Says that the first `count` bytes of `direct` are there now.
    pub fn filled(&mut self, now: Now, channel: ChannelId, count: usize) {
        let _ = (now, channel, count);
        unimplemented!()
    }

    /// The peer will send no more bytes (FIN). All input must have been taken in before.
    pub fn receive_end(&mut self, now: Now, channel: ChannelId) {
        let _ = (now, channel);
        unimplemented!()
    }

    /// The connection is broken (reset, or our bound on it is over): forget it at once.
    pub fn abort(&mut self, now: Now, channel: ChannelId) {
        let _ = (now, channel);
        unimplemented!()
    }

    /// Whether the channel's socket should be read. False while a command waits for another worker, while
    /// its unsent bytes are over their bound, and once its end is under way and input no longer counts.
    pub fn wants_input(&self, channel: ChannelId) -> bool {
        let _ = channel;
        unimplemented!()
    }

    /// What waits to be sent to the channel's peer.
    pub fn output(&mut self, channel: ChannelId) -> &mut Output {
        let _ = channel;
        unimplemented!()
    }

    /// Says that `output` was advanced, so that a paused channel may go on.
    pub fn sent(&mut self, now: Now, channel: ChannelId) {
        let _ = (now, channel);
        unimplemented!()
    }

    /// Serves what the calls since the last time made possible, and turns it into output.
    pub fn settle(&mut self, now: Now) {
        let _ = now;
        unimplemented!()
    }

    /// The next channel whose output or wish for input may have changed since it was last named here. The
    /// driver tries to send to it, and reads it again if `wants_input`.
    pub fn poll_ready(&mut self) -> Option<ChannelId> {
        unimplemented!()
    }

    /// The next channel that has come to an end. Our EOS is in its output (if it could still be
    /// sent): the driver sends the rest of the output, half-closes, discards input until the peer's FIN or
    /// the linger timeout, and closes the socket. The shard has forgotten the channel: the output is handed over.
    pub fn poll_closed(&mut self) -> Option<(ChannelId, Output)> {
        unimplemented!()
    }

    /// Takes in what another worker's shard said.
    pub fn handle_message(&mut self, now: Now, from: WorkerId, message: Message) {
        let _ = (now, from, message);
        unimplemented!()
    }

    /// The next message for worker `to`; asked only while `to` has room.
    pub fn poll_message(&mut self, to: WorkerId) -> Option<Message> {
        let _ = to;
        unimplemented!()
    }

    /// When `handle_timeout` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        unimplemented!()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Now) {
        let _ = now;
        unimplemented!()
    }

    /// Begins the end of all channels: what they have pending is answered with an error, then EOS. New ones
    /// are refused.
    pub fn drain(&mut self, now: Now) {
        let _ = now;
        unimplemented!()
    }

    /// Open channels.
    pub fn channel_count(&self) -> usize {
        unimplemented!()
    }

    /// A copy of the numbers.
    pub fn report(&self) -> ShardReport {
        unimplemented!()
    }
}
