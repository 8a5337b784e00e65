//! A stream on its home engine: its bytes, its writers, and who still needs what.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::{ChannelId, Door, Offset, Token, WorkerId};
use crate::stream::budget::Budget;
use crate::stream::log::Log;
use crate::stream::marks::Marks;
use crate::stream::meta::Meta;
use crate::stream::park::ParkedWrites;
use crate::stream::places::Places;
use crate::stream::readers::Readers;
use crate::stream::{
    Direction, Introduction, Payload, PlaceReport, ReaderReport, Refusal, StreamReport, TypeSlot,
};
use crate::time::Instant;

/// One stream, at home.
///
/// ```text
///   open --eos--> ending --last parked write in--> ended
///     \________________dispose, or the creator gone_____________> disposed --drained--> forgotten
/// ```
///
/// Invariant: `log.len() <= buffer_bytes`; no reader that holds the buffer, here or on another
/// worker, has its cursor before `log.start()`; while something is parked, there is no room for the
/// write whose turn it is. A write of at most `BufferSize` is in the log whole or not at all.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) meta: Arc<Meta>,
    pub(super) log: Log,
    /// When its bytes came.
    pub(super) marks: Marks,
    pub(super) readers: Readers,
    pub(super) places: Places,
    pub(super) views: Vec<RemoteView>,
    /// Channels, of any worker, that are attached without reading.
    pub(super) writers: Vec<ChannelId>,
    pub(super) parked: ParkedWrites,
    /// An end that waits for the writes before it.
    pub(super) ending: Option<Ending>,
    pub(super) owner: Option<Owner>,
    pub(super) key: Option<Box<str>>,
    /// Up to where the broker itself has taken the bytes, where it moves them to another stream.
    pub(super) pumped_to: Option<Offset>,
    pub(super) is_ended: bool,
    pub(super) is_disposed: bool,
    pub(super) is_cut_off: bool,
    /// `Hold` until the first reader attaches.
    pub(super) is_held: bool,
    /// Where the log began when the first reader came. What was before was never read.
    pub(super) read_from: Option<Offset>,
    /// Since when writes wait for space.
    pub(super) full_since: Option<Instant>,
    pub(super) linger_until: Option<Instant>,
    /// Since when readers that take nothing are let go: disposed, and not lingering.
    pub(super) let_go_from: Option<Instant>,
    /// Until when the creator may come back.
    pub(super) keep_until: Option<Instant>,
    /// The earliest moment at which time alone changes something.
    pub(super) timer: Option<Instant>,
    /// Something has changed that may make the timer due earlier.
    pub(super) is_timer_stale: bool,
    /// Bytes or the end have come that readers have not been looked at for.
    pub(super) has_news: bool,
    pub(super) is_dirty: bool,
    /// What memory the write whose turn it is waits for; the budget lists the stream then.
    pub(super) starved_for: Option<Want>,
    /// What its bytes count in the budget.
    pub(super) charged: u64,
    /// What it costs beside its bytes.
    pub(super) overhead: u64,
    /// Who is charged with that.
    pub(super) payer: Payer,
    /// Bytes accepted since they were last counted.
    pub(super) accepted_bytes: u64,
    /// Where its type is counted.
    pub(super) type_slot: TypeSlot,
}

/// Whom a stream's cost beside its bytes is charged to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Payer {
    /// It is not charged yet, or no longer.
    #[default]
    Unbilled,
    /// The total alone: the owner is gone, or on another worker.
    Nobody,
    /// The account of this channel of this worker.
    Channel(ChannelId),
}

/// Memory that a write waits for whose stream has space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// What the stream would hold with it.
    held: u64,
    /// The stream has nothing else to keep: it may borrow.
    is_alone: bool,
}

/// An end that has been asked for.
#[derive(Debug)]
pub(super) struct Ending {
    /// Who asked and waits for the answer; `None` where the creator is gone.
    pub(super) by: Option<(ChannelId, Token)>,
    /// The stream is to be disposed then.
    pub(super) then_dispose: bool,
}

/// Who created the stream or took it over.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) channel: ChannelId,
    pub(super) peer: Arc<str>,
    /// What it said of itself when it came.
    pub(super) introduction: Option<Arc<Introduction>>,
}

/// What the home knows of another worker's readers of the stream.
#[derive(Debug)]
pub(super) struct RemoteView {
    pub(super) worker: WorkerId,
    /// Everything before it has been sent.
    pub(super) sent: Offset,
    /// Everything before it has arrived.
    pub(super) received: Offset,
    /// Attachments granted, counted.
    pub(super) attaches: u32,
    /// Granted attachments of which the view has not spoken yet, and where they start.
    pub(super) unseen: VecDeque<(u32, Offset)>,
    pub(super) holding: Option<Offset>,
    pub(super) floor: Option<Offset>,
    pub(super) readers: u64,
    /// What the view was last told besides bytes.
    pub(super) told: Told,
    /// Whether the outgoing lists the stream for that worker.
    pub(super) is_listed: bool,
}

/// The state of a stream that a view needs besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) is_ended: bool,
    pub(super) is_disposed: bool,
    pub(super) full_since: Option<Instant>,
    pub(super) let_go_from: Option<Instant>,
}

impl RemoteView {
    pub(super) fn lowest(&self, reported: Option<Offset>) -> Option<Offset> {
        let unseen = self.unseen.iter().map(|(_, position)| *position).min();
        reported.into_iter().chain(unseen).min()
    }

    /// How far beyond what has arrived the home may send: a view that does not keep up costs no
    /// more than one buffer.
    pub(super) fn may_send_until(&self, buffer_bytes: u64) -> Offset {
        self.received.plus(buffer_bytes)
    }
}

impl Stream {
    pub(super) fn new(meta: Arc<Meta>, owner: Option<Owner>) -> Stream {
        let origin = meta.origin;
        let log = Log::at_home(origin, &meta.segments);
        Stream {
            meta,
            log,
            marks: Marks::starting_at(origin),
            readers: Readers::default(),
            places: Places::default(),
            views: Vec::new(),
            writers: Vec::new(),
            parked: ParkedWrites::default(),
            ending: None,
            owner,
            key: None,
            pumped_to: None,
            is_ended: false,
            is_disposed: false,
            is_cut_off: false,
            is_held: false,
            read_from: None,
            full_since: None,
            linger_until: None,
            let_go_from: None,
            keep_until: None,
            timer: None,
            is_timer_stale: false,
            has_news: false,
            is_dirty: false,
            starved_for: None,
            charged: 0,
            overhead: 0,
            payer: Payer::Unbilled,
            accepted_bytes: 0,
            type_slot: TypeSlot::OTHERS,
        }
    }

    pub(super) fn is_owner(&self, channel: ChannelId) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.channel == channel)
    }

    /// Notes a channel that is attached without reading.
    pub(super) fn add_writer(&mut self, channel: ChannelId) {
        if !self.writers.contains(&channel) {
            if self.writers.is_empty() {
                // Most streams have one, and are many.
                self.writers.reserve_exact(1);
            }
            self.writers.push(channel);
        }
    }

    /// Whether the broker itself takes its bytes: it is the input of a pair of test streams.
    fn is_pumped(&self) -> bool {
        self.pumped_to.is_some()
    }

    /// Whether writes are refused from now on.
    pub(super) fn refuses_writes(&self) -> bool {
        self.is_ended || self.is_disposed || self.ending.is_some()
    }

    /// Whether a channel may write now, and if not, why.
    pub(super) fn accepts_write(&self, channel: ChannelId) -> Result<(), Refusal> {
        if !self.meta.may_write(self.is_owner(channel)) {
            return Err(Refusal::WrongDirection("this side of the stream cannot be written"));
        }
        if self.refuses_writes() {
            return Err(Refusal::EndOfFile);
        }
        Ok(())
    }

    /// The oldest byte that must stay for somebody who holds the buffer.
    fn holding_floor(&mut self) -> Offset {
        let end = self.log.end();
        if self.is_held {
            return self.log.start();
        }
        let remote = self.views.iter().filter_map(|view| view.lowest(view.holding));
        remote
            .chain(self.readers.holding_floor())
            .chain(self.places.holding_floor())
            .chain(self.pumped_to)
            .min()
            .unwrap_or(end)
            .min(end)
    }

    /// The oldest byte that somebody has not read.
    pub(super) fn floor(&mut self) -> Offset {
        let end = self.log.end();
        let remote = self.views.iter().filter_map(|view| view.lowest(view.floor));
        remote
            .chain(self.readers.floor())
            .chain(self.places.floor())
            .chain(self.pumped_to)
            .min()
            .unwrap_or(end)
            .min(end)
    }

    /// The most bytes that the log may have now: the buffer, or what there is memory for.
    pub(super) fn ceiling(&self, budget: &Budget) -> u64 {
        self.meta.buffer_bytes.min(self.charged + budget.free_for_streams())
    }

    /// How many bytes may come in now.
    pub(super) fn space(&mut self, ceiling: u64) -> u64 {
        let held = self.log.end().since(self.holding_floor());
        ceiling.saturating_sub(held)
    }

    /// How many of `wanted` bytes may come in now.
    pub(super) fn room_for(&mut self, wanted: u64, ceiling: u64) -> u64 {
        if self.log.len() + wanted <= ceiling {
            return wanted;
        }
        self.space(ceiling).min(wanted)
    }

    /// Whether a write of this size is stored whole or not at all. One larger than the buffer goes
    /// in as space frees; so does every parked write on a test stream, whose clients count on the
    /// reference's exact capacity.
    pub(super) fn takes_whole(&self, size: u64) -> bool {
        size <= self.meta.buffer_bytes && !self.is_pumped()
    }

    /// How many of a write's last `rest` bytes go in now, and under which ceiling.
    pub(super) fn admit(&mut self, size: u64, rest: u64, budget: &Budget) -> (u64, u64) {
        let ceiling = self.ceiling(budget);
        let room = self.room_for(rest, ceiling);
        if room == rest || !self.takes_whole(size) {
            return (room, ceiling);
        }
        let is_lent = self.has_nothing_held() && budget.may_lend(self.charged, size);
        if is_lent { (size, size.max(ceiling)) } else { (0, ceiling) }
    }

    fn has_nothing_held(&mut self) -> bool {
        self.holding_floor() == self.log.end()
    }

    /// What lacks where `admit` finds no room: memory, or, if `None`, space in the buffer.
    pub(super) fn want(&mut self, size: u64) -> Option<Want> {
        let needed = if self.takes_whole(size) { size } else { 1 };
        let held = self.log.end().since(self.holding_floor());
        let has_space = held + needed <= self.meta.buffer_bytes;
        let is_alone = held == 0 && self.takes_whole(size);
        has_space.then_some(Want { held: held + needed, is_alone })
    }

    /// Whether there is memory for what waits for it.
    pub(super) fn can_be_fed(&self, budget: &Budget) -> bool {
        self.starved_for.is_none_or(|want| {
            want.held <= self.charged + budget.free_for_streams()
                || (want.is_alone && budget.may_lend(self.charged, want.held))
        })
    }

    /// Lets go of what must give way to `count` more bytes, which `space` has room for.
    pub(super) fn make_room(&mut self, count: u64, ceiling: u64) {
        let needed = self.log.end().plus(count).back(ceiling);
        if needed > self.log.start() {
            debug_assert!(needed.since(self.log.start()) <= self.log.len() + count);
            self.log.trim(needed.min(self.log.end()));
        }
    }

    /// Appends the first `count` bytes of a payload, for which room has been made. What the stream
    /// holds is to be counted behind it (`Front::recharge`).
    pub(super) fn append(&mut self, payload: &Payload<'_>, count: usize) {
        self.log.append(payload, count);
        self.accepted_bytes += count as u64;
        self.has_news = true;
    }

    /// Lets go of what everyone has read and `History` does not keep.
    pub(super) fn retire(&mut self) {
        if self.is_held {
            return;
        }
        let history = self.log.end().back(self.meta.history_bytes);
        if history > self.log.start() {
            let floor = self.floor();
            self.log.trim(history.min(floor));
        }
    }

    /// Whether nobody needs the stream any more.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        self.is_disposed
            && self.is_ended
            && self.readers.is_empty()
            && self.places.is_empty()
            && self.views.is_empty()
            && self.parked.is_empty()
            && self.pumped_to.is_none()
            && self.linger_until.is_none_or(|until| until <= now)
    }

    /// What a view is to know that has been sent everything before `sent`: the end comes with the
    /// last byte, not before it.
    pub(super) fn told_at(&self, sent: Offset) -> Told {
        let has_all = sent == self.log.end();
        Told {
            is_ended: self.is_ended && has_all,
            is_disposed: self.is_disposed && has_all,
            full_since: self.full_since,
            let_go_from: self.let_go_from.filter(|_| has_all),
        }
    }

    /// The earliest moment at which time alone changes something.
    pub(super) fn next_timer(&self, now: Instant) -> Option<Instant> {
        let end = self.log.end();
        let stall = self.full_since.and_then(|since| self.readers.next_stall(now, since, end));
        let linger = self.linger_until.filter(|until| *until > now);
        let let_go = self.let_go_from.and_then(|from| self.readers.next_let_go(from));
        let places = self.places.next_timer(self.full_since, self.let_go_from, now, end);
        [stall, linger, let_go, places, self.keep_until].into_iter().flatten().min()
    }

    /// A reader is there.
    pub(super) fn meet_reader(&mut self) {
        self.is_held = false;
        self.read_from.get_or_insert(self.log.start());
    }

    pub(super) fn report(&self) -> StreamReport {
        let meta = &self.meta;
        let remote: u64 = self.views.iter().map(|view| view.readers).sum();
        StreamReport {
            id: meta.id,
            stream_type: meta.stream_type.clone(),
            context: meta.context.clone(),
            name: meta.name.clone(),
            direction: meta.direction,
            buffer_bytes: meta.buffer_bytes,
            history_bytes: meta.history_bytes,
            stall_timeout: meta.stall_timeout,
            start: self.log.start(),
            end: self.log.end(),
            eos: self.is_ended,
            cut_off: self.is_cut_off,
            readers: self.readers.len() as u64 + remote,
            parked_writes: self.parked.count(),
            parked_bytes: self.parked.bytes(),
            is_held: self.is_held,
            unread: self.read_from.unwrap_or(self.log.start()).0,
            full_since: self.full_since,
            owner: self.owner.as_ref().map(|owner| owner.peer.clone()),
            introduction: self.owner.as_ref().and_then(|owner| owner.introduction.clone()),
            created_at: meta.created_at,
        }
    }

    /// The places whose hosts are away, as readers that take nothing.
    pub(super) fn report_away(&self) -> impl Iterator<Item = ReaderReport> {
        let (stream, end) = (self.meta.id, self.log.end());
        self.places.iter().filter(|place| place.holder.is_none()).map(move |place| ReaderReport {
            stream,
            channel: place.channel,
            peer: place.host.peer.clone(),
            door: Door::Tcf,
            introduction: place.host.introduction.clone(),
            start: place.confirmed,
            position: place.confirmed,
            end,
            delivered: 0,
            lost: 0,
            pending_reads: 0,
            lagging: place.is_lagging,
            stall_timeout: place.stall_timeout,
            progress_at: place.progress_at,
            place: Some(PlaceReport {
                name: place.name.clone(),
                confirmed: place.confirmed,
                away_until: place.away_until,
            }),
        })
    }

    /// Whether a channel could free space here by what it has yet to send: one that reads the
    /// stream, or that may start to.
    pub(super) fn may_be_read_by(&self, channel: ChannelId) -> bool {
        self.meta.direction == Direction::Bus || self.meta.may_read(self.is_owner(channel))
    }
}
