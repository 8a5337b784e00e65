//! Which HTTP connections are open, which are at work, and which gives way to a new one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

/// HTTP connections open at once that may ask for anything. A dashboard in a few browsers and a
/// scraper or two need a tenth of it.
pub(crate) const CONNECTIONS_MAX: usize = 128;

/// Connections beyond, which get an answer to `/healthz` only.
const BRIEF_MAX: usize = 8;

/// How long a connection must have been idle before it gives way: what it asks for may lie in the
/// kernel, where nobody has looked yet.
const GRACE: Duration = Duration::from_millis(100);

/// What a connection may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Full,
    /// `/healthz`, once, and soon.
    Brief,
}

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    table: Mutex<Table>,
    /// Told when one has ended, or has become idle.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    entries: Slab<Entry>,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// Answers under way; a client may send a request before it has the last answer.
    busy: usize,
    /// When it became idle last.
    idle_since: Instant,
    /// It has been told to close, and counts no more.
    is_leaving: bool,
    close: Option<AbortHandle>,
}

/// One open connection; the last copy gone, it is closed.
#[derive(Clone, Debug)]
pub(super) struct Open(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    connections: Arc<Connections>,
    key: usize,
    kind: Kind,
}

/// One that may be closed already.
#[derive(Clone, Debug)]
pub(super) struct WeakOpen(Weak<Slot>);

impl WeakOpen {
    /// Closes it.
    pub(super) fn close(&self) {
        if let Some(slot) = self.0.upgrade() {
            slot.connections.table.lock().close(slot.key);
        }
    }
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Busy(Open);

impl Connections {
    /// Takes one more in, as soon as there is room.
    pub(super) async fn take_in(self: &Arc<Self>) -> Open {
        loop {
            // Before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            match self.try_take_in(Instant::now()) {
                Ok(open) => return open,
                // Nobody may give way yet: somebody may soon.
                Err(Some(until)) => drop(timeout_at(until, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// Takes one more in that has the last file descriptor: the one that has been idle longest
    /// gives way to it, if there is one.
    pub(super) fn take_in_last(self: &Arc<Self>) -> Open {
        let kind = {
            let mut table = self.table.lock();
            match table.oldest_idle(Kind::Full) {
                Some((key, since)) if since + GRACE <= Instant::now() => {
                    table.close(key);
                    Kind::Full
                }
                _ => Kind::Brief,
            }
        };
        self.open(kind)
    }

    /// Where there is no room: when somebody may have to give way, at the earliest.
    fn try_take_in(self: &Arc<Self>, now: Instant) -> Result<Open, Option<Instant>> {
        let kind = self.table.lock().room(now)?;
        Ok(self.open(kind))
    }

    fn open(self: &Arc<Self>, kind: Kind) -> Open {
        let key = self.table.lock().insert(kind);
        Open(Arc::new(Slot { connections: Arc::clone(self), key, kind }))
    }
}

impl Table {
    fn insert(&mut self, kind: Kind) -> usize {
        let idle_since = Instant::now();
        self.entries.insert(Entry { kind, busy: 0, idle_since, is_leaving: false, close: None })
    }

    fn count(&self, kind: Kind) -> usize {
        let counts = |entry: &&Entry| entry.kind == kind && !entry.is_leaving;
        self.entries.iter().map(|(_, entry)| entry).filter(counts).count()
    }

    /// As what one more may be taken in; makes room for it where that is needed.
    fn room(&mut self, now: Instant) -> Result<Kind, Option<Instant>> {
        if self.count(Kind::Full) < CONNECTIONS_MAX {
            return Ok(Kind::Full);
        }
        if let Some((key, since)) = self.oldest_idle(Kind::Full) {
            return self.give_way(key, since, now).map(|()| Kind::Full);
        }
        if self.count(Kind::Brief) >= BRIEF_MAX {
            let (key, since) = self.oldest_idle(Kind::Brief).ok_or(None)?;
            self.give_way(key, since, now)?;
        }
        Ok(Kind::Brief)
    }

    fn give_way(
        &mut self,
        key: usize,
        since: Instant,
        now: Instant,
    ) -> Result<(), Option<Instant>> {
        if since + GRACE > now {
            return Err(Some(since + GRACE));
        }
        self.close(key);
        Ok(())
    }

    fn oldest_idle(&self, kind: Kind) -> Option<(usize, Instant)> {
        let is_idle = |(_, entry): &(usize, &Entry)| {
            // One without a handle has only just come.
            entry.busy == 0 && !entry.is_leaving && entry.close.is_some() && kind == entry.kind
        };
        let idle = self.entries.iter().filter(is_idle);
        idle.map(|(key, entry)| (key, entry.idle_since)).min_by_key(|(_, since)| *since)
    }

    fn close(&mut self, key: usize) {
        let entry = &mut self.entries[key];
        entry.is_leaving = true;
        if let Some(close) = &entry.close {
            close.abort();
        }
    }
}

impl Open {
    pub(super) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Something that does not keep it open.
    pub(super) fn downgrade(&self) -> WeakOpen {
        WeakOpen(Arc::downgrade(&self.0))
    }

    /// Says how the connection is closed from outside.
    pub(super) fn on_close(&self, close: AbortHandle) {
        self.0.connections.table.lock().entries[self.0.key].close = Some(close);
    }

    /// A request has come, whose answer lasts as long as what is returned.
    pub(super) fn busy(&self) -> Busy {
        self.0.connections.table.lock().entries[self.0.key].busy += 1;
        Busy(self.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let connections = &self.0.0.connections;
        {
            let mut table = connections.table.lock();
            let entry = &mut table.entries[self.0.0.key];
            entry.busy -= 1;
            entry.idle_since = Instant::now();
        }
        connections.changed.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.table.lock().entries.remove(self.key);
        self.connections.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> AbortHandle {
        tokio::spawn(std::future::pending::<()>()).abort_handle()
    }

    fn take_in(connections: &Arc<Connections>) -> Option<Open> {
        // As if whoever is here had been here for a while.
        let open = connections.try_take_in(Instant::now() + GRACE).ok()?;
        open.on_close(handle());
        Some(open)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn one_more_than_the_bound_closes_the_one_that_was_idle_longest() {
        let connections = Arc::new(Connections::default());
        let mut open: Vec<Open> =
            (0..CONNECTIONS_MAX).map(|_| take_in(&connections).unwrap()).collect();
        drop(open[0].busy());
        let one_more = take_in(&connections).unwrap();
        assert_eq!(one_more.kind(), Kind::Full);
        let is_leaving = |open: &Open| connections.table.lock().entries[open.0.key].is_leaving;
        assert!(is_leaving(&open[1]) && !is_leaving(&open[0]) && !is_leaving(&open[2]));
        let early = connections.try_take_in(Instant::now());
        assert!(
            early.is_err_and(|until| until.is_some()),
            "whoever has just come is not sent away"
        );
        open.remove(1);
        assert_eq!(connections.table.lock().count(Kind::Full), CONNECTIONS_MAX);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn where_all_are_at_work_a_few_more_are_let_in_for_health_only() {
        let connections = Arc::new(Connections::default());
        let open: Vec<Open> =
            (0..CONNECTIONS_MAX).map(|_| take_in(&connections).unwrap()).collect();
        let busy: Vec<Busy> = open.iter().map(Open::busy).collect();
        let brief: Vec<Open> = (0..BRIEF_MAX).map(|_| take_in(&connections).unwrap()).collect();
        assert!(brief.iter().all(|open| open.kind() == Kind::Brief));
        // The oldest of them gives way as long as it has asked for nothing.
        assert_eq!(take_in(&connections).unwrap().kind(), Kind::Brief);
        let all: Vec<Busy> = brief[1..].iter().map(Open::busy).collect();
        let last = take_in(&connections).unwrap();
        let last_busy = last.busy();
        assert!(take_in(&connections).is_none());
        drop(busy);
        assert_eq!(take_in(&connections).unwrap().kind(), Kind::Full);
        drop((all, last_busy));
    }
}
