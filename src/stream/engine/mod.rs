//! One worker's share of the core.
//!
//! The parts, by what they do: `attach` (connect, attach: how a channel comes to a stream), `grant`
//! (the same for channels of other workers), `leave` (disconnect), `subscribe` (interest,
//! announcing, listing), `transfer` (read, write, eos), `lifecycle` (create, dispose, adopt, a
//! channel's end), `pairs` (test streams), `settle` (what parked commands get, timers), `stalls`
//! (readers that take nothing), `exchange` (messages of other engines), `writes` (many writes at
//! once), `rights` (what exists for whom, and whom news reach), `walk` (long answers in pieces),
//! `room` (who gives way), `invariants` (what always holds).

mod attach;
mod exchange;
mod grant;
mod invariants;
mod leave;
mod lifecycle;
mod pairs;
mod places;
mod reporting;
mod rights;
mod room;
mod settle;
mod stalls;
mod subscribe;
mod transfer;
mod walk;
mod writes;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::access::Principal;
use crate::id::{ChannelId, Door, StreamId, Token, WorkerId};
use crate::stats::Histogram;
use crate::stream::budget::Budget;
use crate::stream::engine::pairs::Pairs;
use crate::stream::engine::walk::Walk;
use crate::stream::front::Front;
use crate::stream::home::Stream;
use crate::stream::notice::Notices;
use crate::stream::outgoing::Outgoing;
use crate::stream::parties::{Departed, Outside, Parties, Party};
use crate::stream::streams::Streams;
use crate::stream::view::View;
use crate::stream::{
    Command, CoreLimits, Effect, Flow, Introduction, Message, Notice, Refusal, Reply, StreamReport,
    Traffic,
};
use crate::time::Instant;

pub use writes::Writes;

/// How often at least it is looked, while a stream waits for memory, whether another worker has
/// sent what it had of it.
const LOOK_FOR_MEMORY_EACH: Duration = Duration::from_millis(20);

/// The first bound of how long writes wait: 2^20 ns, about a millisecond.
const PARK_TIME_SHIFT: u32 = 20;

/// The first bound of what waits for a reader: 256 bytes.
const READER_LAG_SHIFT: u32 = 8;

/// One worker's share of the core. After any call that changes it, take what `poll_effect` and
/// `poll_message` give until they give nothing.
#[derive(Debug)]
pub struct Engine {
    front: Front,
    /// Streams with their home here.
    streams: Streams,
    /// Streams with their home elsewhere that have readers here.
    views: FxHashMap<StreamId, Box<View>>,
    /// Channels here that have subscribed to a type, or are about to. The names come from peers, so
    /// the table keeps its defence against chosen keys.
    subscribers: HashMap<Arc<str>, BTreeSet<ChannelId>>,
    /// Other workers with subscribers to a type.
    interest: HashMap<Arc<str>, BTreeSet<WorkerId>>,
    created: u64,
    /// Long answers under way.
    walks: VecDeque<Walk>,
    /// Pairs of test streams.
    pairs: Pairs,
    is_draining: bool,
    /// What went through streams, as it was counted when they were settled last.
    traffic: Traffic,
}

impl Engine {
    /// An engine for worker `me` of `workers`.
    pub fn new(me: WorkerId, workers: u16, limits: CoreLimits) -> Engine {
        assert!(me.0 < workers, "worker {me} of {workers}");
        let budget = Budget::new(limits.memory_bytes_max);
        let front = Front {
            me,
            workers,
            limits,
            parties: Parties::default(),
            effects: VecDeque::new(),
            outgoing: (0..workers).map(|_| Outgoing::default()).collect(),
            budget,
            dirty: VecDeque::new(),
            timers: BTreeSet::new(),
            ownerless: BTreeSet::new(),
            has_closed: false,
            settled_at: Instant::default(),
            serves_left: 0,
            favoured: None,
            finish_now: Vec::new(),
            turn: 0,
            notices: Notices::default(),
            stalls: 0,
            park_time: Histogram::new(PARK_TIME_SHIFT),
            reader_lag: Histogram::new(READER_LAG_SHIFT),
        };
        Engine {
            front,
            streams: Streams::default(),
            views: FxHashMap::default(),
            subscribers: HashMap::new(),
            interest: HashMap::new(),
            created: 0,
            walks: VecDeque::new(),
            pairs: Pairs::default(),
            is_draining: false,
            traffic: Traffic::default(),
        }
    }

    /// Takes new bounds over. What was admitted under the old ones stays.
    pub fn set_limits(&mut self, limits: CoreLimits) {
        self.front.budget.set_max(limits.memory_bytes_max);
        self.front.limits = limits;
    }

    /// Makes a channel of this worker known, of whom it is no matter. `peer` is its address, for
    /// people.
    pub fn open(&mut self, channel: ChannelId, peer: Arc<str>) {
        self.open_through(channel, Principal::everybody(), Door::Tcf, peer);
    }

    /// The same for a channel of `principal` that came in through `door`.
    pub fn open_through(
        &mut self,
        channel: ChannelId,
        principal: Principal,
        door: Door,
        peer: Arc<str>,
    ) {
        debug_assert_eq!(channel.worker, self.front.me);
        self.front.parties.insert(Party::new(channel, principal, door, peer));
    }

    /// Takes out a channel that has nothing here: no stream, no subscription, no command that
    /// waits. `None`, and it stays, where it has something.
    pub fn take_blank(&mut self, channel: ChannelId) -> Option<Departed> {
        self.front.parties.get(channel).filter(|party| party.is_blank())?;
        let mut party = self.front.parties.remove(channel)?;
        self.forget_favoured(channel);
        party.release_all(&mut self.front.budget);
        Some(Departed(party))
    }

    /// Takes on a channel that was taken out elsewhere, as `channel`.
    pub fn put_blank(&mut self, channel: ChannelId, departed: Departed) {
        debug_assert_eq!(channel.worker, self.front.me);
        let mut party = *departed.0;
        party.id = channel;
        // Turns are counted by each engine for itself.
        (party.served_bytes, party.served_in) = (0, 0);
        self.front.parties.insert(party);
    }

    /// The broker stops: from now on no stream ends because its creator's channel does, so that no
    /// reader takes our end for the writer's.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Carries out one command, or parks it. Replies come as effects, at once or later.
    pub fn execute(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        command: Command<'_>,
    ) -> Flow {
        let Some(party) = self.front.parties.get(channel) else { return Flow::Continue };
        debug_assert!(!party.must_wait(), "the channel waits; the driver hands in nothing");
        match command {
            Command::Read { stream, size } => self.read(now, channel, token, stream, size),
            Command::Write { stream, data } => self.write(now, channel, token, stream, data),
            Command::Eos(stream) => self.eos(now, channel, token, stream),
            Command::Connect(stream) => self.connect(now, channel, token, stream),
            Command::Attach(stream, options) => self.attach(now, channel, token, stream, options),
            Command::TakePlace(stream, options, placing) => {
                self.take_place(now, channel, token, stream, options, placing);
            }
            Command::Confirm(stream, offset) => self.confirm(now, channel, token, stream, offset),
            Command::Introduce(who) => self.introduce_party(channel, token, who),
            Command::Disconnect(stream) => self.disconnect(channel, token, stream),
            Command::Subscribe(stream_type) => self.subscribe(now, channel, token, stream_type),
            Command::Unsubscribe(stream_type) => self.unsubscribe(channel, token, stream_type),
            Command::List(stream_type) => self.list(now, channel, token, stream_type),
            Command::Create(properties) => self.create(now, channel, token, &properties),
            Command::Dispose(stream) => self.dispose(now, channel, token, stream, false),
            Command::DisposeTestStream(stream) => self.dispose(now, channel, token, stream, true),
            Command::Adopt { stream, key } => self.adopt(now, channel, token, stream, key),
            Command::CreateTestStreams { input_bytes, output_bytes } => {
                self.create_test_streams(now, channel, token, input_bytes, output_bytes);
            }
        }
        match self.front.parties.get(channel) {
            Some(party) if party.must_wait() => Flow::Wait,
            _ => Flow::Continue,
        }
    }

    /// Serves no parked read of this channel until `resume_reads`: its unsent bytes are over their
    /// bound.
    pub fn pause_reads(&mut self, channel: ChannelId) {
        if let Some(party) = self.front.parties.get_mut(channel) {
            party.reads_paused = true;
        }
    }

    /// Serves the channel's parked reads again.
    pub fn resume_reads(&mut self, channel: ChannelId) {
        let Some(party) = self.front.parties.get_mut(channel) else { return };
        if !std::mem::take(&mut party.reads_paused) {
            return;
        }
        self.resume_telling(channel);
        let Engine { front, streams, views, .. } = self;
        let Some(party) = front.parties.get_mut(channel) else { return };
        if party.parked_reads == 0 {
            return;
        }
        let places: Vec<_> = party
            .attachments
            .iter()
            .filter_map(|(id, attachment)| Some((*id, attachment.reader?)))
            .collect();
        for (id, key) in places {
            if let Some(stream) = streams.get_mut(&id) {
                stream.readers.make_ready(key);
                front.mark(stream);
            } else if let Some(view) = views.get_mut(&id) {
                view.readers.make_ready(key);
                front.mark_view(view);
            }
        }
    }

    /// Says what the driver holds for a channel: bytes that wait to be sent to it alone, and those
    /// of a message under way. They are charged to its account.
    pub fn set_outside_bytes(&mut self, channel: ChannelId, unsent: u64, receiving: u64) {
        let Front { parties, budget, .. } = &mut self.front;
        let Some(party) = parties.get_mut(channel) else { return };
        let old = std::mem::replace(&mut party.outside, Outside { unsent, receiving });
        let (before, after) = (old.unsent + old.receiving, unsent + receiving);
        budget.replace(&mut party.account, before, after);
        budget.replace_receiving(old.receiving, receiving);
        if self.front.favoured == Some(channel) {
            self.front.budget.set_beyond(receiving);
        }
    }

    /// Lets one channel's message go on beyond the limit, or none.
    pub fn favour(&mut self, channel: Option<ChannelId>) {
        self.front.favoured = channel;
        let party = channel.and_then(|channel| self.front.parties.get(channel));
        self.front.budget.set_beyond(party.map_or(0, |party| party.outside.receiving));
    }

    /// Whether such a message is whole, and its write waits.
    pub fn has_parked_beyond(&self) -> bool {
        self.front.budget.has_parked_beyond()
    }

    pub(super) fn forget_favoured(&mut self, channel: ChannelId) {
        if self.front.favoured == Some(channel) {
            self.favour(None);
        }
    }

    /// Whose message goes on beyond the limit.
    pub fn favoured(&self) -> Option<ChannelId> {
        self.front.favoured
    }

    /// Counts bytes that outlive their channel until nobody holds what is returned.
    pub fn count_unsent(&self, bytes: bytes::Bytes) -> bytes::Bytes {
        self.front.budget.segments().count(bytes)
    }

    /// Whether the channel's account may grow: it holds no more than what is free.
    pub fn has_room(&self, channel: ChannelId) -> bool {
        let party = self.front.parties.get(channel);
        party.is_none_or(|party| self.front.budget.has_room(&party.account, 0))
    }

    /// The most bytes that may wait to be sent to one channel before its reads are paused.
    pub fn unsent_max(&self) -> u64 {
        self.front.budget.unsent_max(&self.front.limits)
    }

    /// Whether messages that are being received hold so much that only short ones may go on.
    pub fn is_full_of_messages(&self) -> bool {
        self.front.budget.is_full_of_messages()
    }

    /// Whether the memory is spent even without the messages that are being received.
    pub fn is_memory_spent_but_receiving(&self) -> bool {
        self.front.budget.is_spent_but_receiving()
    }

    /// Whether the channel reads a stream, so that what it has yet to send may make memory free.
    pub fn has_readers(&self, channel: ChannelId) -> bool {
        self.front.parties.get(channel).is_some_and(|party| party.readers > 0)
    }

    /// The next effect, in order.
    #[inline]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let front = &mut self.front;
        loop {
            let Some(effect) = front.effects.pop_front() else {
                front.has_closed = false;
                return None;
            };
            if !front.has_closed || front.parties.get(effect.channel()).is_some() {
                return Some(effect);
            }
        }
    }

    /// When `handle_timeout` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.front.dirty.is_empty() || self.can_feed() || self.can_walk() {
            return Some(Instant::default());
        }
        let look = self.front.settled_at.plus(LOOK_FOR_MEMORY_EACH);
        let look = self.front.budget.is_awaited().then_some(look);
        self.front.timers.first().map(|(at, _)| *at).into_iter().chain(look).min()
    }

    /// The next thing that an operator should hear of.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.front.notices.pop()
    }

    /// How many there were too many of since this was asked last.
    pub fn take_missed_notices(&mut self) -> u64 {
        self.front.notices.take_missed()
    }

    /// `StreamBroker.introduce`: who is at the other end, for people.
    fn introduce_party(&mut self, channel: ChannelId, token: &Token, who: Introduction) {
        if let Some(party) = self.front.parties.get_mut(channel) {
            party.introduction = (!who.is_empty()).then(|| Arc::new(who));
        }
        self.front.done(channel, token.clone(), Ok(()));
    }

    /// What a channel said of itself.
    pub fn introduction(&self, channel: ChannelId) -> Option<Arc<Introduction>> {
        self.front.parties.get(channel)?.introduction.clone()
    }

    /// A copy of one stream's numbers. A creator may have introduced itself since it came.
    pub(super) fn report_stream(&self, stream: &Stream) -> StreamReport {
        let mut report = stream.report();
        if let Some(owner) = &stream.owner
            && owner.channel.worker == self.front.me
        {
            report.introduction = self.introduction(owner.channel);
        }
        report
    }

    /// Refuses a read.
    fn refuse_read(&mut self, channel: ChannelId, token: &Token, error: Refusal) {
        let eos = error == Refusal::Cancelled;
        let reply = Reply::Read { data: super::Chunks::EMPTY, error: Some(error), lost: 0, eos };
        self.front.reply(channel, token.clone(), reply);
    }

    /// The next message for worker `to`. Asked only while `to` has room for one, since the engine
    /// gathers what it has to say until then. Call after `settle`.
    pub fn poll_message(&mut self, to: WorkerId) -> Option<Message> {
        self.next_body(to).map(Message)
    }
}
