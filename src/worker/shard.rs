//! A worker without its thread and sockets.

mod blank;
mod ending;
mod limits;
mod memory;
mod notices;
mod peer;
mod peers;
mod ready_queue;
mod report;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::access::Principal;
use crate::endpoint::Pause;
use crate::id::{ChannelId, Door, WorkerId};
use crate::service::{error_code, error_report};
use crate::stream::{Effect, Engine, Message};
use crate::time::{Instant, Now};
use crate::wire::{Encodings, Output, WireError};

pub use crate::service::Identity;
pub use blank::Blank;
pub use limits::Limits;
pub use report::{ChannelReport, ShardGauges, ShardReport, ShardTotals, ShardWalk};

use memory::Memory;
use notices::Notices;
use peer::{Peer, Step, Surroundings};
use peers::Peers;
use ready_queue::ReadyQueue;

/// A worker without its thread and sockets.
///
/// The driver's part: `open` for a new connection; `receive` while `wants_input` says so, keeping
/// what was not taken in; `receive_end` at the peer's FIN; after a batch, `settle` once; then send
/// what `output` holds (`sent` after each success), deliver what `poll_message` gives, and look at
/// `poll_closed`. Any of these calls may name a channel in `poll_ready`: look there last before
/// waiting.
#[derive(Debug)]
pub struct Shard {
    me: WorkerId,
    limits: Limits,
    identity: Arc<Identity>,
    engine: Engine,
    peers: Peers,
    /// When channels must have said Hello.
    hello_deadlines: BTreeSet<(Instant, ChannelId)>,
    /// Channels for `poll_ready`, each at most once (`Peer::is_ready`).
    ready: ReadyQueue,
    /// Channels for `poll_closed`.
    closed: VecDeque<ChannelId>,
    /// Channels that did all they may do in this turn and have input left.
    exhausted: Vec<ChannelId>,
    /// Channels whose end is under way, and which get what answers there are first.
    answering: Vec<ChannelId>,
    memory: Memory,
    notices: Notices,
    encodings: Encodings,
    /// When the ends that are under way must have come on, in order; the timeout is one.
    end_deadlines: VecDeque<(Instant, ChannelId)>,
    /// Channels for `poll_abandoned`.
    abandoned: VecDeque<ChannelId>,
    /// Counts `settle`.
    turn: u64,
    /// The latest time told, for the calls that are told none.
    now: Now,
    is_draining: bool,
    channels_opened: u64,
    commands: u64,
    /// Of channels that are gone.
    errors: u64,
    malformed: u64,
    without_hello: u64,
    given_up: u64,
    /// Stands in for the output of a channel that is gone.
    no_output: Output,
}

impl Shard {
    /// A shard for worker `me` of `workers`.
    pub fn new(me: WorkerId, workers: u16, limits: Limits, identity: Arc<Identity>) -> Shard {
        Shard {
            me,
            engine: Engine::new(me, workers, limits.stream.clone()),
            limits,
            identity,
            peers: Peers::new(me),
            hello_deadlines: BTreeSet::new(),
            ready: ReadyQueue::default(),
            closed: VecDeque::new(),
            exhausted: Vec::new(),
            answering: Vec::new(),
            end_deadlines: VecDeque::new(),
            abandoned: VecDeque::new(),
            memory: Memory::default(),
            notices: Notices::default(),
            encodings: Encodings::default(),
            turn: 0,
            now: Now::default(),
            is_draining: false,
            channels_opened: 0,
            commands: 0,
            errors: 0,
            malformed: 0,
            without_hello: 0,
            given_up: 0,
            no_output: Output::default(),
        }
    }

    /// Takes new bounds over. Those on what peers may send count for channels to come, timeouts for
    /// what begins now, and everything else counts at once.
    pub fn set_limits(&mut self, limits: Limits) {
        self.engine.set_limits(limits.stream.clone());
        self.limits = limits;
    }

    /// Takes a new connection on; our Hello is in its output at once.
    pub fn open(&mut self, now: Now, peer: Arc<str>) -> ChannelId {
        self.open_through(now, Door::Tcf, peer)
    }

    /// Takes a new connection on that came in through `door`.
    pub fn open_through(&mut self, now: Now, door: Door, peer: Arc<str>) -> ChannelId {
        self.now = now;
        let deadline = now.instant.plus(self.limits.hello_timeout);
        let wire_limits = &self.limits.wire;
        let peer = self.peers.insert(|id| Peer::open(id, now.instant, door, peer, wire_limits));
        peer.hello_deadline = Some(deadline);
        let id = peer.id;
        self.channels_opened += 1;
        self.hello_deadlines.insert((deadline, id));
        self.engine.open_through(id, Principal::everybody(), door, peer.address.clone());
        self.mark_ready(id);
        self.refuse_while_draining(now, id);
        id
    }

    fn refuse_while_draining(&mut self, now: Now, channel: ChannelId) {
        if self.is_draining {
            let text = "The broker is shutting down";
            let report = error_report(error_code::CHANNEL_CLOSED, now.unix_ms, text);
            self.end_now(now, channel, Some(report));
        }
    }

    /// Takes bytes of the peer in and advances `input` behind them. What is left when it returns
    /// belongs to a later call: the channel waits (`wants_input` is false), or its work for this
    /// turn is done (`wants_input` is true; call again next turn).
    pub fn receive(&mut self, now: Now, channel: ChannelId, input: &mut &[u8]) {
        self.receive_into(now, channel, None, input);
    }

    /// Like `receive`, where `input` lies in `buffer`: large data is kept there, without a copy.
    pub fn receive_from(
        &mut self,
        now: Now,
        channel: ChannelId,
        buffer: &Bytes,
        input: &mut &[u8],
    ) {
        self.receive_into(now, channel, Some(buffer), input);
    }

    fn receive_into(
        &mut self,
        now: Now,
        channel: ChannelId,
        buffer: Option<&Bytes>,
        input: &mut &[u8],
    ) {
        self.now = now;
        let offered = input.len();
        self.take_in(now, channel, buffer, input);
        if let Some(peer) = self.peers.get_mut(channel) {
            peer.received_bytes += (offered - input.len()) as u64;
        }
    }

    fn take_in(&mut self, now: Now, channel: ChannelId, buffer: Option<&Bytes>, input: &mut &[u8]) {
        while !input.is_empty() {
            let Some(peer) = self.peers.get_mut(channel) else {
                *input = &[];
                return;
            };
            if !peer.endpoint.inbound.takes_input() {
                *input = &[];
                return;
            }
            if !peer.endpoint.wants_input() {
                return;
            }
            let commands_before = peer.commands_in(self.turn);
            if commands_before >= self.limits.commands_per_turn {
                self.exhausted.push(channel);
                return;
            }
            // The core counts what this message leaves behind; it is not to count twice.
            self.memory.release_message(&mut self.engine, peer);
            let mut around = Surroundings {
                engine: &mut self.engine,
                identity: &self.identity,
                limits: &self.limits.wire,
                buffer,
                now,
            };
            let most = self.limits.commands_per_turn - commands_before;
            peer.run_plain(&mut around, self.turn, most, input);
            let step = match peer.commands_in(self.turn) - commands_before {
                0 => peer.step(around, self.turn, input),
                _ => Step::Done,
            };
            self.commands += (peer.commands_in(self.turn) - commands_before) as u64;
            match step {
                Step::Starved => {
                    self.look_after_input(now, channel);
                    return;
                }
                Step::Done => {}
                Step::Hello => self.forget_hello_deadline(channel),
                Step::Ended => self.end(now, channel, None),
                Step::Malformed(error) => self.refuse(now, channel, &error),
            }
            self.take_effects(now);
            // The next bytes may never come.
            if input.is_empty()
                && let Some(peer) = self.peers.get_mut(channel)
            {
                peer.endpoint.inbound.give_memory_back();
            }
            self.look_after_output(channel);
        }
    }

    /// Where the next bytes of the channel's socket belong, if a large block is under way and no
    /// earlier input is left.
    pub fn direct(&mut self, channel: ChannelId) -> Option<&mut [u8]> {
        let peer = self.peers.get_mut(channel)?;
        if peer.endpoint.wants_input() { peer.endpoint.inbound.direct() } else { None }
    }

    /// Says that the first `count` bytes of `direct` are there now.
    pub fn filled(&mut self, now: Now, channel: ChannelId, count: usize) {
        self.now = now;
        if let Some(peer) = self.peers.get_mut(channel) {
            peer.endpoint.inbound.filled(count);
            peer.received_bytes += count as u64;
            self.look_after_input(now, channel);
        }
    }

    /// The peer will send no more bytes (FIN). All input must have been taken in before.
    pub fn receive_end(&mut self, now: Now, channel: ChannelId) {
        self.now = now;
        self.end(now, channel, None);
    }

    /// The connection is broken (reset, or our bound on it is over): forget it at once.
    pub fn abort(&mut self, now: Now, channel: ChannelId) {
        self.now = now;
        self.forget_hello_deadline(channel);
        if let Some(peer) = self.peers.remove(channel) {
            self.errors += peer.errors();
            self.forget_end_deadlines();
            if !peer.endpoint.is_closed() {
                self.engine.close(now.instant, channel);
            }
            self.take_effects(now);
        }
    }

    /// Whether the channel's socket should be read. False while a command waits for another worker,
    /// while its unsent bytes are over their bound, and once its end is under way and input no
    /// longer counts.
    pub fn wants_input(&self, channel: ChannelId) -> bool {
        self.peers.get(channel).is_some_and(|peer| peer.endpoint.wants_input())
    }

    /// Whether messages under way hold so much that little of one should be read at once.
    pub fn is_full_of_messages(&self) -> bool {
        self.engine.is_full_of_messages()
    }

    /// Whether the channel writes, as far as its last commands tell.
    pub fn writes(&self, channel: ChannelId) -> bool {
        self.peers.get(channel).is_some_and(|peer| peer.writes)
    }

    /// What waits to be sent to the channel's peer.
    pub fn output(&mut self, channel: ChannelId) -> &mut Output {
        match self.peers.get_mut(channel) {
            Some(peer) => &mut peer.endpoint.outbound.output,
            None => &mut self.no_output,
        }
    }

    /// Says that `output` was advanced, so that a paused channel may go on.
    pub fn sent(&mut self, now: Now, channel: ChannelId) {
        self.now = now;
        let Some(peer) = self.peers.get_mut(channel) else { return };
        self.memory.count(&mut self.engine, peer);
        let most = usize::try_from(self.engine.unsent_max()).unwrap_or(usize::MAX);
        let resume = self.limits.unsent_bytes_resume.min(most / 4);
        if peer.endpoint.outbound.output.len() <= resume
            && peer.endpoint.pauses.remove(Pause::Unsent)
        {
            self.engine.resume_reads(channel);
            self.take_effects(now);
            self.mark_ready(channel);
        }
    }

    /// Serves what the calls since the last time made possible, and turns it into output.
    pub fn settle(&mut self, now: Now) {
        self.now = now;
        self.engine.settle(now.instant);
        self.take_effects(now);
        self.go_on_ending(now);
        self.feed_starved();
        self.tell_notices();
        self.encodings.clear();
        self.turn += 1;
        for channel in std::mem::take(&mut self.exhausted) {
            self.mark_ready(channel);
        }
    }

    /// The next channel whose output or wish for input may have changed since it was last named
    /// here. The driver tries to send to it, and reads it again if `wants_input`.
    pub fn poll_ready(&mut self) -> Option<ChannelId> {
        while let Some(channel) = self.ready.pop() {
            if let Some(peer) = self.peers.get_mut(channel) {
                peer.is_ready = false;
                return Some(channel);
            }
        }
        None
    }

    /// The next channel that has come to an end. Our EOS is in its output (if it could still be
    /// sent): the driver sends the rest of the output, half-closes, discards input until the peer's
    /// FIN or the linger timeout, and closes the socket. The shard has forgotten the channel: the
    /// output is handed over.
    pub fn poll_closed(&mut self) -> Option<(ChannelId, Output)> {
        while let Some(channel) = self.closed.pop_front() {
            if let Some(peer) = self.peers.remove(channel) {
                self.errors += peer.errors();
                self.forget_end_deadlines();
                // Its account is gone with it.
                let mut output = peer.endpoint.outbound.output;
                output.replace_own(|bytes| self.engine.count_unsent(bytes));
                return Some((channel, output));
            }
        }
        None
    }

    /// The next channel that was given up at its end, since its peer takes nothing in. The shard
    /// has forgotten it: the driver closes the socket at once.
    pub fn poll_abandoned(&mut self) -> Option<ChannelId> {
        self.abandoned.pop_front()
    }

    /// Takes in what another worker's shard said.
    pub fn handle_message(&mut self, now: Now, from: WorkerId, message: Message) {
        self.now = now;
        self.engine.handle_message(now.instant, from, message);
        self.take_effects(now);
    }

    /// The next message for worker `to`; asked only while `to` has room.
    pub fn poll_message(&mut self, to: WorkerId) -> Option<Message> {
        let message = self.engine.poll_message(to);
        if message.is_some() {
            // Room for messages may let channels go on that waited for it.
            self.take_effects(self.now);
        }
        message
    }

    /// When `handle_timeout` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let peers = self.answering.iter().filter_map(|channel| self.peers.get(*channel));
        if peers.into_iter().any(|peer| !peer.endpoint.pauses.contains(Pause::Unsent))
            || self.can_feed()
        {
            // Its end needs another turn, and nothing else may come that would cause one.
            return Some(Instant::default());
        }
        let hello = self.hello_deadlines.first().map(|(deadline, _)| *deadline);
        let end = self.end_deadlines.front().map(|(deadline, _)| *deadline);
        let memory = self.next_look_for_memory();
        [hello, end, memory, self.engine.next_deadline()].into_iter().flatten().min()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        while let Some(&(deadline, channel)) = self.hello_deadlines.first() {
            if deadline > now.instant {
                break;
            }
            let text = format!("No Hello within {:?}", self.limits.hello_timeout);
            if let Some(peer) = self.peers.get(channel) {
                let knob = "limits.hello_timeout";
                tracing::info!(worker = %self.me, %channel, peer = %peer.address, knob, "{text}");
            }
            let report = error_report(error_code::PROTOCOL, now.unix_ms, &text);
            self.without_hello += 1;
            self.hello_deadlines.pop_first();
            self.end_now(now, channel, Some(report));
        }
        self.abandon_stuck_ends(now);
        self.engine.handle_timeout(now.instant);
        self.take_effects(now);
    }

    /// Begins the end of all channels: what they have pending is answered with an error, then EOS.
    /// New ones are refused.
    pub fn drain(&mut self, now: Now) {
        self.now = now;
        self.is_draining = true;
        self.engine.drain();
        // What came before counts.
        self.engine.settle(now.instant);
        self.take_effects(now);
        let channels: Vec<ChannelId> = self.peers.iter().map(|peer| peer.id).collect();
        for channel in channels {
            self.end_now(now, channel, None);
        }
    }

    /// Open channels.
    pub fn channel_count(&self) -> usize {
        self.peers.len()
    }

    /// Closes a channel over what its peer sent.
    fn refuse(&mut self, now: Now, channel: ChannelId, error: &WireError) {
        let text = error.to_string();
        if let Some(peer) = self.peers.get(channel) {
            // Escaped, since the peer's own bytes may be in it and one line is what it gets.
            let reason = text.escape_debug();
            tracing::warn!(worker = %self.me, %channel, peer = %peer.address, %reason, "bad input");
        }
        self.malformed += 1;
        let report = error_report(error.code(), now.unix_ms, &text);
        self.end(now, channel, Some(report));
    }

    /// Writes our end of stream and lets the core forget the channel.
    fn close(&mut self, now: Now, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(channel) else { return };
        peer.endpoint.close();
        self.closed.push_back(channel);
        self.engine.close(now.instant, channel);
    }

    fn take_effects(&mut self, now: Now) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Reply { channel, .. } => self.write_effect(now, channel, effect),
                Effect::Created { channel, .. } | Effect::Disposed { channel, .. } => {
                    self.write_effect(now, channel, effect);
                    self.look_after_events(now, channel);
                }
                Effect::Overrun { channel } => self.end_overrun(now, channel),
                Effect::Resume { channel } => {
                    if let Some(peer) = self.peers.get_mut(channel) {
                        peer.endpoint.pauses.remove(Pause::Core);
                        self.mark_ready(channel);
                    }
                }
                Effect::Finished { channel } => self.close(now, channel),
            }
        }
    }

    fn write_effect(&mut self, now: Now, channel: ChannelId, effect: Effect) {
        if let Some(peer) = self.peers.get_mut(channel) {
            peer.write_effect(effect, now, &mut self.encodings);
            self.look_after_output(channel);
        }
    }

    /// Tells the driver of new output, and pauses a channel that has too much of it.
    fn look_after_output(&mut self, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(channel) else { return };
        self.memory.count(&mut self.engine, peer);
        let unsent_bytes = peer.endpoint.outbound.output.len();
        if unsent_bytes == 0 {
            return;
        }
        let most = usize::try_from(self.engine.unsent_max()).unwrap_or(usize::MAX);
        let most = self.limits.unsent_bytes_pause.min(most);
        if !peer.is_ready {
            peer.is_ready = true;
            self.ready.push(channel, unsent_bytes);
        }
        if unsent_bytes > most && peer.endpoint.pauses.insert(Pause::Unsent) {
            self.engine.pause_reads(channel);
        }
    }

    fn mark_ready(&mut self, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(channel) else { return };
        if !peer.is_ready {
            peer.is_ready = true;
            self.ready.push(channel, peer.endpoint.outbound.output.len());
        }
    }

    fn forget_hello_deadline(&mut self, channel: ChannelId) {
        let Some(peer) = self.peers.get_mut(channel) else { return };
        if let Some(deadline) = peer.hello_deadline.take() {
            self.hello_deadlines.remove(&(deadline, channel));
        }
    }
}
