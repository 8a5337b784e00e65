//! The readers of one stream on one worker: cursors, parked reads, and who holds the buffer.

use std::collections::VecDeque;
use std::time::Duration;

use slab::Slab;

use crate::id::{ChannelId, Offset, Token};
use crate::stream::floor::Floor;
use crate::stream::log::Log;
use crate::stream::{Chunks, Delivery, StallTimeout};
use crate::time::Instant;

/// The most bytes of one read reply, whatever its size asked for, so that one command cannot make a
/// channel hold a whole buffer unsent.
pub(super) const READ_REPLY_BYTES_MAX: u64 = 1 << 20;

/// The largest lost size of one reply; more is told with the next ones. Java's client reads 32 bits
/// and takes -1 for "unknown".
pub(super) const LOST_BYTES_MAX: u64 = i32::MAX as u64;

/// How long a reader that a full stream never waits for may take nothing of a disposed one: it
/// holds nobody up there, and its next read may be on its way.
const VIEWER_GRACE: Duration = Duration::from_secs(5);

/// One channel's place in a stream.
///
/// Invariant: `start + delivered + lost = cursor`, where `lost` includes what no reply has told yet
/// (`untold`); the cursor never lies behind the log's end.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) channel: ChannelId,
    pub(super) start: Offset,
    pub(super) cursor: Offset,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    untold: u64,
    pub(super) reads: VecDeque<ParkedRead>,
    pub(super) stall_timeout: StallTimeout,
    pub(super) is_lagging: bool,
    /// When it last took a byte, or attached.
    pub(super) progress_at: Instant,
    /// Whether a reply has told it the end of the stream.
    pub(super) has_read_end: bool,
    queued: Queued,
    serial: u64,
}

/// A read that waits for bytes.
#[derive(Debug)]
pub(super) struct ParkedRead {
    pub(super) token: Token,
    pub(super) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    No,
    Waiting,
    Ready,
}

/// A reader's place in a table of [`Readers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReaderKey(usize);

/// What one read gets.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) token: Token,
    pub(super) data: Chunks,
    pub(super) lost: u64,
    pub(super) eos: bool,
}

/// The readers of one stream on one worker.
#[derive(Debug, Default)]
pub(super) struct Readers {
    table: Slab<Reader>,
    /// Readers with parked reads that found nothing; looked at again when bytes or the end come.
    waiting: Vec<(ReaderKey, u64)>,
    /// Readers with parked reads that may find something.
    ready: VecDeque<(ReaderKey, u64)>,
    /// Over the readers that hold the buffer.
    holding: Floor,
    /// Over all readers.
    all: Floor,
    serial: u64,
    /// What they all got since it was last counted, those that left included.
    pub(super) delivery: Delivery,
}

/// A reader that has become lagging.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    pub(super) channel: ChannelId,
    pub(super) stall_timeout: StallTimeout,
    pub(super) lag: u64,
    pub(super) silent_for: Duration,
}

/// How long a reader may take nothing of a disposed stream; `None`: as long as its channel lives.
pub(super) fn let_go_time(stall_timeout: StallTimeout) -> Option<Duration> {
    match stall_timeout {
        StallTimeout::Never => None,
        StallTimeout::After(time) if time.is_zero() => Some(VIEWER_GRACE),
        StallTimeout::After(time) => Some(time),
    }
}

impl Reader {
    pub(super) fn holds(&self) -> bool {
        !self.is_lagging && self.stall_timeout != StallTimeout::After(Duration::ZERO)
    }

    /// When it becomes lagging in a stream that has been full since `full_since`, if it takes
    /// nothing until then.
    fn stall_deadline(&self, full_since: Instant) -> Option<Instant> {
        match self.stall_timeout {
            StallTimeout::After(time) if self.holds() => {
                Some(full_since.max(self.progress_at).plus(time))
            }
            _ => None,
        }
    }

    /// When it is let go from a disposed stream if it takes nothing until then.
    fn let_go_deadline(&self, from: Instant) -> Option<Instant> {
        let_go_time(self.stall_timeout).map(|time| from.max(self.progress_at).plus(time))
    }

    /// Takes what the next reply is to tell as lost.
    fn tell_lost(&mut self) -> u64 {
        let lost = self.untold.min(LOST_BYTES_MAX);
        self.untold -= lost;
        lost
    }

    /// Answers the next parked read of a reader that gets no more bytes. Once its loss is told it
    /// is at the end.
    pub(super) fn serve_end(&mut self) -> Option<Served> {
        let read = self.reads.pop_front()?;
        let lost = self.tell_lost();
        Some(Served { token: read.token, data: Chunks::EMPTY, lost, eos: self.untold == 0 })
    }

    /// Bytes that no reply has told as lost.
    pub(super) fn untold(&self) -> u64 {
        self.untold
    }
}

impl Readers {
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Reader> {
        self.table.iter().map(|(_, reader)| reader)
    }

    /// Those from a place in the table on, with their places. A place stays a reader's as long as
    /// it is attached.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = (usize, &Reader)> {
        let places = place..self.table.capacity();
        places.filter_map(|place| Some((place, self.table.get(place)?)))
    }

    pub(super) fn get(&self, key: ReaderKey) -> &Reader {
        &self.table[key.0]
    }

    /// Adds a reader at `position`.
    pub(super) fn attach(
        &mut self,
        now: Instant,
        channel: ChannelId,
        position: Offset,
        stall_timeout: StallTimeout,
    ) -> ReaderKey {
        self.serial += 1;
        let reader = Reader {
            channel,
            start: position,
            cursor: position,
            delivered: 0,
            lost: 0,
            untold: 0,
            reads: VecDeque::new(),
            stall_timeout,
            is_lagging: false,
            progress_at: now,
            has_read_end: false,
            queued: Queued::No,
            serial: self.serial,
        };
        self.all.add(position);
        if reader.holds() {
            self.holding.add(position);
        }
        ReaderKey(self.table.insert(reader))
    }

    /// Moves a reader and restarts its accounting; its parked reads stay parked.
    pub(super) fn move_to(
        &mut self,
        now: Instant,
        key: ReaderKey,
        position: Offset,
        stall_timeout: StallTimeout,
    ) {
        let reader = &mut self.table[key.0];
        self.all.remove(reader.cursor);
        if reader.holds() {
            self.holding.remove(reader.cursor);
        }
        reader.start = position;
        reader.cursor = position;
        (reader.delivered, reader.lost, reader.untold) = (0, 0, 0);
        reader.stall_timeout = stall_timeout;
        reader.is_lagging = false;
        reader.has_read_end = false;
        reader.progress_at = now;
        self.all.add(position);
        if reader.holds() {
            self.holding.add(position);
        }
        if reader.queued == Queued::Waiting {
            self.make_ready(key);
        }
    }

    /// Removes a reader and returns it, its parked reads unanswered.
    pub(super) fn detach(&mut self, key: ReaderKey) -> Reader {
        let reader = self.table.remove(key.0);
        self.all.remove(reader.cursor);
        if reader.holds() {
            self.holding.remove(reader.cursor);
        }
        reader
    }

    /// Parks a read.
    pub(super) fn park(&mut self, key: ReaderKey, read: ParkedRead) {
        let reader = &mut self.table[key.0];
        reader.reads.push_back(read);
        if reader.queued == Queued::No {
            self.make_ready(key);
        }
    }

    /// Looks at the reader's parked reads again.
    pub(super) fn make_ready(&mut self, key: ReaderKey) {
        let reader = &mut self.table[key.0];
        if reader.queued != Queued::Ready && !reader.reads.is_empty() {
            reader.queued = Queued::Ready;
            self.ready.push_back((key, reader.serial));
        }
    }

    /// Looks at everybody's parked reads again: bytes or the end have come.
    pub(super) fn make_all_ready(&mut self) {
        for (key, serial) in self.waiting.drain(..) {
            if let Some(reader) = self.table.get_mut(key.0)
                && reader.serial == serial
                && reader.queued == Queued::Waiting
            {
                reader.queued = Queued::Ready;
                self.ready.push_back((key, serial));
            }
        }
    }

    /// The next reader whose reads should be looked at.
    pub(super) fn pop_ready(&mut self) -> Option<ReaderKey> {
        while let Some((key, serial)) = self.ready.pop_front() {
            if let Some(reader) = self.table.get_mut(key.0)
                && reader.serial == serial
                && reader.queued == Queued::Ready
            {
                reader.queued = Queued::No;
                return Some(key);
            }
        }
        None
    }

    /// Whether there may be one.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Notes that the reader's reads found nothing more.
    pub(super) fn wait(&mut self, key: ReaderKey) {
        let reader = &mut self.table[key.0];
        if reader.queued == Queued::No && !reader.reads.is_empty() {
            reader.queued = Queued::Waiting;
            self.waiting.push((key, reader.serial));
        }
        // Readers that came, waited and left on a silent stream leave their entries behind.
        if self.waiting.len() > 2 * self.table.len() + 16 {
            let table = &self.table;
            self.waiting.retain(|(key, serial)| {
                table.get(key.0).is_some_and(|r| r.serial == *serial && r.queued == Queued::Waiting)
            });
        }
    }

    /// Answers the reader's first parked read, if there is something for it. `ended`: no byte will
    /// come after the log's end; `most` bounds the bytes.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        key: ReaderKey,
        log: &mut Log,
        ended: bool,
        most: u64,
    ) -> Option<Served> {
        let reader = &mut self.table[key.0];
        let size = reader.reads.front()?.size;
        if reader.cursor == log.end() && reader.untold == 0 && !ended {
            return None;
        }
        let from = reader.cursor;
        if from < log.start() {
            let gap = log.start().since(from);
            reader.cursor = log.start();
            reader.lost += gap;
            reader.untold += gap;
        }
        let lost = reader.tell_lost();
        // Lost bytes lie right before the data, so what is left of them is told first.
        let most = if reader.untold > 0 { 0 } else { most };
        let data = log.hand_out(reader.cursor, size.min(most));
        let len = data.len() as u64;
        reader.cursor = reader.cursor.plus(len);
        reader.delivered += len;
        self.all.advance(from, reader.cursor);
        if reader.holds() {
            self.holding.advance(from, reader.cursor);
        }
        if len > 0 {
            reader.progress_at = now;
        }
        let at_end = reader.cursor == log.end();
        if at_end && reader.is_lagging {
            reader.is_lagging = false;
            if reader.holds() {
                self.holding.add(reader.cursor);
            }
        }
        let eos = ended && at_end && reader.untold == 0;
        reader.has_read_end |= eos;
        let read = reader.reads.pop_front()?;
        Some(Served { token: read.token, data, lost, eos })
    }

    /// The lowest cursor that holds the buffer.
    pub(super) fn holding_floor(&mut self) -> Option<Offset> {
        let table = &self.table;
        self.holding
            .lowest(table.iter().filter(|(_, reader)| reader.holds()).map(|(_, r)| r.cursor))
    }

    /// The lowest cursor of all.
    pub(super) fn floor(&mut self) -> Option<Offset> {
        let table = &self.table;
        self.all.lowest(table.iter().map(|(_, reader)| reader.cursor))
    }

    /// Makes lagging every reader that has bytes before `end` waiting and has taken none for its
    /// timeout while the stream was full. Returns which.
    pub(super) fn expire_stalls(
        &mut self,
        now: Instant,
        full_since: Instant,
        end: Offset,
    ) -> Vec<Stall> {
        let mut stalls = Vec::new();
        for (_, reader) in self.table.iter_mut() {
            let is_due = reader.stall_deadline(full_since).is_some_and(|due| due <= now);
            if is_due && reader.cursor < end {
                self.holding.remove(reader.cursor);
                reader.is_lagging = true;
                stalls.push(Stall {
                    channel: reader.channel,
                    stall_timeout: reader.stall_timeout,
                    lag: end.since(reader.cursor),
                    silent_for: now.since(reader.progress_at),
                });
            }
        }
        stalls
    }

    /// When `expire_stalls` is due next in a stream that is full since `full_since`. A reader that
    /// has read everything is looked at again a timeout from now.
    pub(super) fn next_stall(
        &self,
        now: Instant,
        full_since: Instant,
        end: Offset,
    ) -> Option<Instant> {
        let look = |reader: &Reader| {
            let since = if reader.cursor < end { full_since } else { full_since.max(now) };
            reader.stall_deadline(since)
        };
        self.iter().filter_map(look).min()
    }

    /// Removes every reader of a disposed stream that has taken nothing for its timeout since
    /// `from`. What it has not read of the bytes before `end` is lost to it.
    pub(super) fn let_go(&mut self, now: Instant, from: Instant, end: Offset) -> Vec<Reader> {
        let is_due = |(_, reader): &(usize, &Reader)| {
            reader.let_go_deadline(from).is_some_and(|due| due <= now)
        };
        let due: Vec<usize> = self.table.iter().filter(is_due).map(|(key, _)| key).collect();
        let mut gone: Vec<Reader> =
            due.into_iter().map(|key| self.detach(ReaderKey(key))).collect();
        for reader in &mut gone {
            let unread = end.since(reader.cursor);
            reader.cursor = end;
            reader.lost += unread;
            reader.untold += unread;
        }
        gone
    }

    /// When `let_go` is due next.
    pub(super) fn next_let_go(&self, from: Instant) -> Option<Instant> {
        self.iter().filter_map(|reader| reader.let_go_deadline(from)).min()
    }

    /// Takes a reader's parked reads.
    pub(super) fn take_reads(&mut self, key: ReaderKey) -> VecDeque<ParkedRead> {
        std::mem::take(&mut self.table[key.0].reads)
    }

    /// Removes the readers that have been told the end and wait for nothing.
    pub(super) fn detach_finished(&mut self) -> Vec<Reader> {
        let finished: Vec<usize> = self
            .table
            .iter()
            .filter(|(_, reader)| reader.has_read_end && reader.reads.is_empty())
            .map(|(key, _)| key)
            .collect();
        finished.into_iter().map(|key| self.detach(ReaderKey(key))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WorkerId;
    use crate::stream::segments::Segments;

    #[test]
    fn a_lost_size_beyond_32_bits_is_told_in_pieces_each_with_the_next_reply() {
        let channel = ChannelId { worker: WorkerId(0), slot: 0, generation: 0 };
        let start = Offset(2 * LOST_BYTES_MAX + 5);
        let now = Instant::default();
        for is_ended in [false, true] {
            let mut log = Log::at_home(start, &Segments::default());
            log.append_shared("hello".into());
            let mut readers = Readers::default();
            let key = readers.attach(now, channel, Offset(0), StallTimeout::default());
            let mut told = Vec::new();
            for _ in 0..3 {
                readers.park(key, ParkedRead { token: Token::new(b"1"), size: 99 });
                let served = readers.serve(now, key, &mut log, is_ended, 99);
                let Served { data, lost, eos, .. } = served.expect("something to tell");
                told.push((lost, data.to_vec(), eos));
            }
            let most = LOST_BYTES_MAX;
            let none = Vec::new;
            let expected =
                [(most, none(), false), (most, none(), false), (5, b"hello".to_vec(), is_ended)];
            assert_eq!(told, expected);
            let reader = readers.get(key);
            assert_eq!(reader.start.plus(reader.delivered + reader.lost), reader.cursor);
        }
    }

    #[test]
    fn a_loss_beyond_32_bits_at_the_end_comes_before_the_end() {
        let channel = ChannelId { worker: WorkerId(0), slot: 0, generation: 0 };
        let now = Instant::default();
        let end = Offset(LOST_BYTES_MAX + 7);
        let mut readers = Readers::default();
        let timeout = StallTimeout::After(Duration::from_secs(1));
        let key = readers.attach(now, channel, Offset(0), timeout);
        for _ in 0..2 {
            readers.park(key, ParkedRead { token: Token::new(b"1"), size: 99 });
        }
        assert!(readers.let_go(now, now, end).is_empty());
        let mut gone = readers.let_go(now.plus(Duration::from_secs(1)), now, end);
        let reader = gone.first_mut().expect("its time is over");
        let mut told = || reader.serve_end().map(|served| (served.lost, served.eos));
        assert_eq!(
            [told(), told(), told()],
            [Some((LOST_BYTES_MAX, false)), Some((7, true)), None]
        );
    }
}
