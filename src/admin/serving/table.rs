//! Which HTTP connections are open, which are at work, and which gives way to a new one.

use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// HTTP connections open at once that may ask for anything. A dashboard in a few browsers and a
/// scraper or two need a tenth of it.
pub(crate) const CONNECTIONS_MAX: usize = 128;

/// Connections beyond, which get an answer to `/healthz` only.
const BRIEF_MAX: usize = 8;

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
    /// Counts what became idle, for the order.
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// Answers under way; a client may send a request before it has the last answer.
    busy: usize,
    /// When it became idle last: the lowest is the oldest.
    idle_since: u64,
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

/// An answer under way.
#[derive(Debug)]
pub(super) struct Busy(Open);

impl Connections {
    /// Takes one more in, as soon as there is room.
    pub(super) async fn take_in(self: &Arc<Self>) -> Open {
        loop {
            // Before the look, so that no change between the two is missed.
            let changed = self.changed.notified();
            if let Some(open) = self.try_take_in() {
                return open;
            }
            changed.await;
        }
    }

    /// Takes one more in that has the last file descriptor: the one that has been idle longest
    /// gives way to it, if there is one.
    pub(super) fn take_in_last(self: &Arc<Self>) -> Open {
        let kind = {
            let mut table = self.table.lock();
            match table.oldest_idle(Kind::Full) {
                Some(key) => {
                    table.close(key);
                    Kind::Full
                }
                None => Kind::Brief,
            }
        };
        self.open(kind)
    }

    fn try_take_in(self: &Arc<Self>) -> Option<Open> {
        let kind = self.table.lock().room()?;
        Some(self.open(kind))
    }

    fn open(self: &Arc<Self>, kind: Kind) -> Open {
        let key = self.table.lock().insert(kind);
        Open(Arc::new(Slot { connections: Arc::clone(self), key, kind }))
    }
}

impl Table {
    fn insert(&mut self, kind: Kind) -> usize {
        self.serial += 1;
        let idle_since = self.serial;
        self.entries.insert(Entry { kind, busy: 0, idle_since, is_leaving: false, close: None })
    }

    fn count(&self, kind: Kind) -> usize {
        let counts = |entry: &&Entry| entry.kind == kind && !entry.is_leaving;
        self.entries.iter().map(|(_, entry)| entry).filter(counts).count()
    }

    /// As what one more may be taken in; makes room for it where that is needed.
    fn room(&mut self) -> Option<Kind> {
        if self.count(Kind::Full) < CONNECTIONS_MAX {
            return Some(Kind::Full);
        }
        if let Some(key) = self.oldest_idle(Kind::Full) {
            self.close(key);
            return Some(Kind::Full);
        }
        if self.count(Kind::Brief) >= BRIEF_MAX {
            let key = self.oldest_idle(Kind::Brief)?;
            self.close(key);
        }
        Some(Kind::Brief)
    }

    fn oldest_idle(&self, kind: Kind) -> Option<usize> {
        let may_go = |(_, entry): &(usize, &Entry)| {
            // One without a handle has only just come.
            let is_idle = entry.busy == 0 && !entry.is_leaving && entry.close.is_some();
            is_idle && kind == entry.kind
        };
        let idle = self.entries.iter().filter(may_go);
        idle.min_by_key(|(_, entry)| entry.idle_since).map(|(key, _)| key)
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
            table.serial += 1;
            let serial = table.serial;
            let entry = &mut table.entries[self.0.0.key];
            entry.busy -= 1;
            entry.idle_since = serial;
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
        let open = connections.try_take_in()?;
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
