//! A stream that has its home on another worker, as far as readers here need it.

use std::sync::Arc;

use crate::id::Offset;
use crate::stream::TypeSlot;
use crate::stream::home::Told;
use crate::stream::log::Log;
use crate::stream::meta::Meta;
use crate::stream::readers::Readers;
use crate::time::Instant;

/// Readers of a distant stream, and the bytes that they have not read.
///
/// Invariant: `log` holds every byte from the lowest cursor here, or from the home's start where
/// that is later, to what has arrived.
#[derive(Debug)]
pub(super) struct View {
    pub(super) meta: Arc<Meta>,
    pub(super) log: Log,
    pub(super) readers: Readers,
    /// Attachments that the home has granted and that have arrived.
    pub(super) attaches_seen: u32,
    pub(super) home_start: Offset,
    pub(super) told: Told,
    /// What the home told of times, by its clock, when we last looked.
    times_told: (Option<Instant>, Option<Instant>),
    /// Since when we know that the stream is full.
    pub(super) full_since: Option<Instant>,
    /// From when readers that take nothing are let go.
    pub(super) let_go_from: Option<Instant>,
    pub(super) timer: Option<Instant>,
    /// What the home was told last.
    pub(super) reported: Option<ViewReport>,
    pub(super) is_timer_stale: bool,
    /// Bytes or the end have come that readers have not been looked at for.
    pub(super) has_news: bool,
    pub(super) is_dirty: bool,
    /// Whether the outgoing lists the view.
    pub(super) is_listed: bool,
    /// Where its type is counted.
    pub(super) type_slot: TypeSlot,
}

/// What a view tells its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewReport {
    pub(super) attaches_seen: u32,
    pub(super) received: Offset,
    /// The lowest cursor that holds the buffer.
    pub(super) holding: Option<Offset>,
    /// The lowest cursor of all.
    pub(super) floor: Option<Offset>,
    /// 0: the view is gone.
    pub(super) readers: u64,
}

impl View {
    pub(super) fn new(meta: Arc<Meta>, position: Offset) -> View {
        let log = Log::in_view(position, &meta.segments);
        View {
            meta,
            log,
            readers: Readers::default(),
            attaches_seen: 0,
            home_start: position,
            told: Told::default(),
            times_told: (None, None),
            full_since: None,
            let_go_from: None,
            timer: None,
            reported: None,
            is_timer_stale: false,
            has_news: false,
            is_dirty: false,
            is_listed: false,
            type_slot: TypeSlot::OTHERS,
        }
    }

    /// Lets go of what the readers here have read, and of what the home has let go.
    pub(super) fn retire(&mut self) {
        let end = self.log.end();
        let floor = self.readers.floor().unwrap_or(end).min(end);
        self.log.trim(floor.max(self.home_start.min(end)));
    }

    pub(super) fn report(&mut self) -> ViewReport {
        ViewReport {
            attaches_seen: self.attaches_seen,
            received: self.log.end(),
            holding: self.readers.holding_floor(),
            floor: self.readers.floor(),
            readers: self.readers.len() as u64,
        }
    }

    /// Takes over since when the stream is full, and from when readers are let go: counted from
    /// now, when we learn of it, since the clocks of two workers do not compare.
    pub(super) fn learn_times(&mut self, now: Instant) {
        let told = (self.told.full_since, self.told.let_go_from);
        if self.times_told == told {
            return;
        }
        if self.times_told.0 != told.0 {
            self.full_since = told.0.map(|_| now);
        }
        if self.times_told.1 != told.1 {
            self.let_go_from = told.1.map(|_| now.plus(self.meta.linger));
        }
        self.times_told = told;
        self.is_timer_stale = true;
    }

    pub(super) fn next_timer(&self, now: Instant) -> Option<Instant> {
        let end = self.log.end();
        let stall = self.full_since.and_then(|since| self.readers.next_stall(now, since, end));
        let let_go = self.let_go_from.and_then(|from| self.readers.next_let_go(from));
        stall.into_iter().chain(let_go).min()
    }
}
