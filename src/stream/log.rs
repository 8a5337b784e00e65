//! One stream's bytes: contiguous, addressed by absolute offsets, shared without copies.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::id::Offset;
use crate::stream::segments::{Kept, Segments};
use crate::stream::{Chunks, Payload};

/// The first block of a log that gathers small writes; an idle console should cost little.
const BLOCK_BYTES_MIN: usize = 1 << 10;
/// The largest such block: big enough that one allocation serves hundreds of small writes.
const BLOCK_BYTES_MAX: usize = 32 << 10;
/// A write of at least so many bytes becomes a segment as it is; below, copying is cheaper than a
/// piece of its own on its way through every reader's socket.
const SEGMENT_BYTES_MIN: usize = 2 << 10;

/// A write of more than so many bytes is copied into segments: whoever is sent a part of one, and
/// takes nothing in, keeps all of it.
const SHARED_BYTES_MAX: usize = 2 << 20;
/// The largest of those segments: as much as one reply to a read has at most.
const SEGMENT_BYTES_MAX: usize = 1 << 20;

/// A segment of at least so many bytes is copied when no more than a quarter of it is still kept:
/// what a stream keeps of a segment holds at most four times what it counts (and the rest of the
/// receive buffer, where the segment lies in one), and less than half a segment is ever copied.
const SPARSE_BYTES_MIN: usize = 16 << 10;
/// A gathering block of more than so many bytes, the part that is set aside for each stream, is
/// given back when no more than a quarter of it is kept.
const SPARSE_BLOCK_BYTES_MIN: usize = 4 << 10;

/// The bytes of one stream from `start` to `end`.
///
/// Invariant: `start <= end`; `sealed` is in order and without a gap, its last segment ends where
/// `active` begins, and `active` ends at `end`. Bytes before `start` in the first segment count as
/// gone.
#[derive(Debug, Default)]
pub(super) struct Log {
    sealed: VecDeque<Segment>,
    active: BytesMut,
    /// A shared copy of the front of `active`, so that several readers of few bytes share one.
    tail: Option<Segment>,
    block_bytes: usize,
    start: Offset,
    end: Offset,
    kept: Kept,
    /// Whether another log, on another worker, counts what it shares with this one.
    is_view: bool,
}

#[derive(Debug)]
struct Segment {
    at: Offset,
    bytes: Bytes,
    /// Whether the log counts it as kept.
    is_kept: bool,
}

impl Segment {
    fn end(&self) -> Offset {
        self.at.plus(self.bytes.len() as u64)
    }

    /// What is left of it from `start` on, copied, where it is so little that it should not hold
    /// all.
    fn rest(&self, start: Offset) -> Option<Bytes> {
        let left = self.end().since(start.max(self.at)) as usize;
        let is_sparse = self.bytes.len() >= SPARSE_BYTES_MIN && left <= self.bytes.len() / 4;
        is_sparse.then(|| Bytes::copy_from_slice(&self.bytes[self.bytes.len() - left..]))
    }
}

impl Log {
    /// An empty log at the stream's home, whose next byte has this offset.
    pub(super) fn at_home(offset: Offset, segments: &Segments) -> Log {
        Log { start: offset, end: offset, kept: Kept::new(segments.clone()), ..Log::default() }
    }

    /// The same elsewhere: what is large it shares with the home's log, which counts it.
    pub(super) fn in_view(offset: Offset, segments: &Segments) -> Log {
        Log { is_view: true, ..Log::at_home(offset, segments) }
    }

    /// The oldest byte kept.
    pub(super) fn start(&self) -> Offset {
        self.start
    }

    /// The next byte to be written.
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// The count of bytes kept.
    pub(super) fn len(&self) -> u64 {
        self.end.since(self.start)
    }

    /// Appends the first `count` bytes of `payload`. Owned bytes that are many become a segment
    /// without a copy.
    pub(super) fn append(&mut self, payload: &Payload<'_>, count: usize) {
        match payload {
            Payload::Owned(bytes) if count >= SEGMENT_BYTES_MIN => {
                self.append_shared(bytes.slice(..count));
            }
            _ => self.append_copy(&payload.as_slice()[..count]),
        }
    }

    /// Appends shared bytes.
    pub(super) fn append_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SEGMENT_BYTES_MIN {
            return self.append_copy(&bytes);
        }
        self.seal();
        if bytes.len() > SHARED_BYTES_MAX && !self.is_view {
            return bytes.chunks(SEGMENT_BYTES_MAX).for_each(|part| self.append_segment(part));
        }
        let at = self.end;
        self.end = at.plus(bytes.len() as u64);
        let segment = match self.is_view {
            true => Segment { at, bytes, is_kept: false },
            false => self.counted(at, bytes),
        };
        self.sealed.push_back(segment);
    }

    /// Appends a copy as a segment of its own.
    fn append_segment(&mut self, slice: &[u8]) {
        let at = self.end;
        self.end = at.plus(slice.len() as u64);
        let segment = self.counted(at, Bytes::copy_from_slice(slice));
        self.sealed.push_back(segment);
    }

    /// A segment that begins here. A shorter one is copied by whoever sends it. What a view gathers
    /// is in no stream's account, so it counts as unsent from the first.
    fn counted(&mut self, at: Offset, bytes: Bytes) -> Segment {
        if bytes.len() < SEGMENT_BYTES_MIN {
            return Segment { at, bytes, is_kept: false };
        }
        if !self.is_view {
            self.kept.add(bytes.len() as u64);
        }
        Segment { at, bytes: self.kept.segments().count(bytes), is_kept: !self.is_view }
    }

    fn append_copy(&mut self, mut slice: &[u8]) {
        while !slice.is_empty() {
            let room = self.active.capacity() - self.active.len();
            if room == 0 {
                self.seal();
                self.block_bytes = (self.block_bytes * 2).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
                self.active = BytesMut::with_capacity(self.block_bytes);
                continue;
            }
            let (now, later) = slice.split_at(room.min(slice.len()));
            self.active.extend_from_slice(now);
            self.end = self.end.plus(now.len() as u64);
            slice = later;
        }
    }

    /// Turns the gathered bytes into a segment; the rest of their block goes on gathering.
    fn seal(&mut self) {
        if self.active.is_empty() {
            return;
        }
        let at = self.active_start();
        self.tail = None;
        let bytes = self.active.split().freeze();
        if at.plus(bytes.len() as u64) > self.start {
            let segment = self.counted(at, bytes);
            self.sealed.push_back(segment);
        }
    }

    fn active_start(&self) -> Offset {
        self.end.back(self.active.len() as u64)
    }

    /// Up to `max` bytes from `from`, which must lie between `start` and `end`.
    pub(super) fn read_at(&mut self, from: Offset, max: u64) -> Chunks {
        debug_assert!(self.start <= from && from <= self.end);
        let until = from.plus(max.min(self.end.since(from)));
        let mut chunks = Chunks::EMPTY;
        if until == from {
            return chunks;
        }
        if until > self.active_start() && self.active.len() >= SEGMENT_BYTES_MIN {
            self.seal();
        }
        let mut at = from;
        let first = self.sealed.partition_point(|segment| segment.end() <= at);
        for segment in self.sealed.range(first..) {
            if at >= until {
                break;
            }
            let stop = until.min(segment.end());
            chunks.push(slice_of(segment, at, stop));
            at = stop;
        }
        if at < until {
            let tail = self.tail_from(at, until);
            chunks.push(tail);
        }
        chunks
    }

    /// The same for who may keep it for long: a reader's output, another worker. While much waits
    /// to be sent, little of a segment is copied, so that a reader who takes nothing in holds no
    /// more than what is for it.
    pub(super) fn hand_out(&mut self, from: Offset, max: u64) -> Chunks {
        let mut chunks = self.read_at(from, max);
        if self.kept.segments().is_crowded() {
            let segments = self.kept.segments().clone();
            let first = self.sealed.partition_point(|segment| segment.end() <= from);
            let mut lens = self.sealed.range(first..).map(|segment| segment.bytes.len());
            for chunk in chunks.as_mut_slice() {
                let whole = lens.next().unwrap_or(0);
                let is_little = whole >= SPARSE_BYTES_MIN && chunk.len() <= whole / 4;
                if chunk.len() >= SEGMENT_BYTES_MIN && is_little {
                    *chunk = segments.count(Bytes::copy_from_slice(chunk));
                }
            }
        }
        chunks
    }

    /// Bytes of `active` that are too few to be sealed: copied once, and shared by the readers that
    /// want them now.
    fn tail_from(&mut self, from: Offset, until: Offset) -> Bytes {
        if let Some(tail) = &self.tail
            && tail.at <= from
            && until <= tail.end()
        {
            return slice_of(tail, from, until);
        }
        let base = self.active_start();
        let begin = from.since(base) as usize;
        let bytes = Bytes::copy_from_slice(&self.active[begin..]);
        let copy = Segment { at: from, bytes, is_kept: false };
        let slice = slice_of(&copy, from, until);
        self.tail = Some(copy);
        slice
    }

    /// Lets go of everything before `offset`, which must not lie behind `end`.
    pub(super) fn trim(&mut self, offset: Offset) {
        debug_assert!(offset <= self.end);
        if offset <= self.start {
            return;
        }
        self.start = offset;
        while self.sealed.front().is_some_and(|segment| segment.end() <= offset) {
            let Some(segment) = self.sealed.pop_front() else { break };
            self.let_go(&segment);
        }
        if let Some(rest) = self.sealed.front().and_then(|first| first.rest(offset))
            && let Some(first) = self.sealed.pop_front()
        {
            self.let_go(&first);
            let segment = self.counted(offset, rest);
            self.sealed.push_front(segment);
        }
        if self.tail.as_ref().is_some_and(|tail| tail.end() <= offset) {
            self.tail = None;
        }
        if self.start == self.end {
            if self.active.capacity() > BLOCK_BYTES_MIN {
                self.active = BytesMut::new();
                self.block_bytes = 0;
            } else {
                self.active.clear();
            }
        }
        self.give_blocks_back();
        if self.sealed.is_empty() && self.sealed.capacity() > 64 {
            self.sealed = VecDeque::new();
        }
    }

    /// Copies what is kept into memory of its size, where it is little of the blocks that it was
    /// gathered in. They grow anew with what comes, so that each copy is paid for by the bytes that
    /// were let go.
    fn give_blocks_back(&mut self) {
        let kept = self.len() as usize;
        if kept == 0 || self.block_bytes <= SPARSE_BLOCK_BYTES_MIN || kept > self.block_bytes / 4 {
            return;
        }
        let bytes = Bytes::from(self.read_at(self.start, u64::MAX).to_vec());
        for segment in std::mem::take(&mut self.sealed) {
            self.let_go(&segment);
        }
        let segment = self.counted(self.start, bytes);
        self.sealed.push_back(segment);
        self.active = BytesMut::new();
        self.tail = None;
        self.block_bytes = 0;
    }

    /// Counts a segment as kept no more.
    fn let_go(&mut self, segment: &Segment) {
        if segment.is_kept {
            self.kept.remove(segment.bytes.len() as u64);
        }
    }

    /// What it counts as kept.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// Puts older bytes in front of a view: `chunks` begin at `from` and reach at least to `start`.
    /// What overlaps is ignored.
    pub(super) fn prepend(&mut self, from: Offset, chunks: Chunks) {
        self.seal();
        let mut older = VecDeque::new();
        let mut at = from;
        for bytes in chunks {
            if at >= self.start {
                break;
            }
            let len = self.start.since(at).min(bytes.len() as u64) as usize;
            older.push_back(Segment { at, bytes: bytes.slice(..len), is_kept: false });
            at = at.plus(len as u64);
        }
        if older.is_empty() {
            return;
        }
        debug_assert_eq!(at, self.start, "older bytes reach the ones kept");
        // The first segment kept may begin before `start`; what lies there counts as gone, and
        // stays so.
        if let Some(first) = self.sealed.front_mut()
            && first.at < self.start
        {
            first.bytes = first.bytes.slice(self.start.since(first.at) as usize..);
            first.at = self.start;
        }
        older.append(&mut self.sealed);
        self.sealed = older;
        self.start = from;
    }

    /// Appends to a view what the home's log has from `at` on. A gap before `at` (bytes that the
    /// home has let go) takes with it everything before it.
    pub(super) fn extend(&mut self, at: Offset, chunks: Chunks) {
        if at > self.end {
            *self = Log::in_view(at, self.kept.segments());
        }
        let mut skip = self.end.since(at);
        for bytes in chunks {
            let len = bytes.len() as u64;
            if skip >= len {
                skip -= len;
                continue;
            }
            self.append_shared(bytes.slice(skip as usize..));
            skip = 0;
        }
    }
}

fn slice_of(segment: &Segment, from: Offset, until: Offset) -> Bytes {
    segment.bytes.slice(from.since(segment.at) as usize..until.since(segment.at) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(log: &mut Log) -> Vec<u8> {
        log.read_at(log.start(), u64::MAX).to_vec()
    }

    #[test]
    fn small_and_large_writes_come_back_in_order() {
        let mut log = Log::at_home(Offset(7), &Segments::default());
        let mut model = Vec::new();
        for (round, len) in [1, 5, 3000, 2047, 2048, 40_000, 0, 9].into_iter().enumerate() {
            let data: Vec<u8> = (0..len).map(|i| (i * 7 + round) as u8).collect();
            if round % 2 == 0 {
                log.append(&Payload::Borrowed(&data), len);
            } else {
                log.append(&Payload::Owned(data.clone().into()), len);
            }
            model.extend_from_slice(&data);
            assert_eq!(bytes_of(&mut log), model);
        }
        assert_eq!(log.end(), Offset(7 + model.len() as u64));
        log.trim(Offset(7 + 3001));
        assert_eq!(bytes_of(&mut log), model[3001..]);
        assert_eq!(log.read_at(Offset(7 + 3005), 10).to_vec(), model[3005..3015]);
        log.trim(log.end());
        assert_eq!(log.len(), 0);
        log.append(&Payload::Borrowed(b"more"), 4);
        assert_eq!(bytes_of(&mut log), b"more");
    }

    #[test]
    fn a_large_segment_of_which_little_is_kept_is_given_back() {
        let data: Vec<u8> = (0..SPARSE_BYTES_MIN).map(|i| i as u8).collect();
        let mut log = Log::default();
        log.append(&Payload::Owned(data.clone().into()), data.len());
        let quarter = data.len() / 4;
        log.trim(Offset((3 * quarter - 1) as u64));
        assert_eq!(log.sealed[0].bytes.len(), data.len());
        log.trim(Offset((3 * quarter) as u64));
        assert_eq!(log.sealed[0].bytes.len(), quarter);
        assert_eq!(bytes_of(&mut log), data[3 * quarter..]);
        log.append(&Payload::Borrowed(b"more"), 4);
        log.trim(Offset(data.len() as u64));
        assert_eq!(bytes_of(&mut log), b"more");
    }

    #[test]
    fn a_byte_that_is_left_does_not_hold_the_blocks_it_was_gathered_in() {
        let mut log = Log::default();
        let data = [7; 1_000];
        for _ in 0..100 {
            log.append(&Payload::Borrowed(&data), data.len());
        }
        assert_eq!(log.block_bytes, BLOCK_BYTES_MAX);
        let quarter = (BLOCK_BYTES_MAX / 4) as u64;
        log.trim(log.end().back(quarter + 1));
        assert_eq!(log.block_bytes, BLOCK_BYTES_MAX, "that much may stay where it is");
        log.trim(log.end().back(quarter));
        let held = log.sealed.iter().map(|segment| segment.bytes.len()).sum::<usize>();
        assert_eq!((held as u64, log.active.capacity()), (quarter, 0));
        log.append(&Payload::Borrowed(b"more"), 4);
        log.trim(log.end().back(5));
        assert_eq!(bytes_of(&mut log), b"\x07more");
    }

    #[test]
    fn many_readers_of_few_bytes_share_one_copy() {
        let mut log = Log::default();
        log.append(&Payload::Borrowed(b"line\n"), 5);
        let one = log.read_at(Offset(0), 64);
        let two = log.read_at(Offset(0), 64);
        assert_eq!(one.as_slice()[0].as_ptr(), two.as_slice()[0].as_ptr());
    }

    #[test]
    fn older_bytes_go_in_front_without_overlap() {
        let mut home = Log::default();
        home.append(&Payload::Borrowed(b"0123456789"), 10);
        let mut view = Log::in_view(Offset(6), &Segments::default());
        view.extend(Offset(6), home.read_at(Offset(6), 4));
        assert!(view.sealed.is_empty(), "few bytes are gathered in a view too");
        view.trim(Offset(8));
        view.prepend(Offset(2), home.read_at(Offset(2), 8));
        assert_eq!(view.start(), Offset(2));
        assert_eq!(bytes_of(&mut view), b"23456789");
    }

    #[test]
    fn a_gap_takes_the_older_bytes_with_it() {
        let mut view = Log::in_view(Offset(0), &Segments::default());
        view.extend(Offset(0), Bytes::from_static(b"abc").into());
        view.extend(Offset(9), Bytes::from_static(b"xyz").into());
        assert_eq!((view.start(), view.end()), (Offset(9), Offset(12)));
        assert_eq!(bytes_of(&mut view), b"xyz");
        view.extend(Offset(10), Bytes::from_static(b"yz!").into());
        assert_eq!(bytes_of(&mut view), b"xyz!");
    }

    #[test]
    fn what_is_in_a_log_or_waits_to_be_sent_counts_once() {
        let segments = Segments::default();
        let mut log = Log::at_home(Offset(0), &segments);
        log.append(&Payload::Owned(vec![1; 5_000].into()), 5_000);
        log.append(&Payload::Owned(vec![2; 500].into()), 500);
        let readers = [log.read_at(Offset(0), 5_000), log.read_at(Offset(1_000), 4_000)];
        assert_eq!((segments.kept(), segments.unsent()), (5_000, 0));
        log.trim(Offset(5_000));
        assert_eq!((segments.kept(), segments.unsent()), (0, 5_000));
        drop(readers);
        assert_eq!(segments.unsent(), 0);
        log.append(&Payload::Borrowed(&[3; 3_000]), 3_000);
        let gathered = log.read_at(Offset(5_000), 3_500);
        let block = SEGMENT_BYTES_MIN as u64;
        assert_eq!((segments.kept(), segments.unsent()), (block, 0), "one block is full");
        drop(log);
        assert_eq!((segments.kept(), segments.unsent()), (0, block));
        drop(gathered);
        assert_eq!(segments.unsent(), 0);
    }

    #[test]
    fn a_view_counts_what_it_gathers_and_not_what_it_shares() {
        let segments = Segments::default();
        let mut view = Log::in_view(Offset(0), &segments);
        view.extend(Offset(0), Bytes::from(vec![1; 5_000]).into());
        assert_eq!((segments.kept(), segments.unsent()), (0, 0));
        for at in [5_000, 6_000, 7_000, 8_000] {
            view.extend(Offset(at), Bytes::from(vec![1; 1_000]).into());
        }
        let gathered = view.read_at(Offset(5_000), 4_000);
        let block = SEGMENT_BYTES_MIN as u64;
        assert_eq!((segments.kept(), segments.unsent()), (0, block), "one block is full");
        drop(view);
        assert_eq!(segments.unsent(), block);
        drop(gathered);
        assert_eq!(segments.unsent(), 0);
    }

    #[test]
    fn a_write_longer_than_the_bound_is_cut_into_segments_and_one_as_long_is_shared() {
        for (len, segments) in [(SHARED_BYTES_MAX, 1), (SHARED_BYTES_MAX + 1, 3)] {
            let data: Bytes = (0..len).map(|at| (at / 7) as u8).collect::<Vec<u8>>().into();
            let mut log = Log::default();
            log.append(&Payload::Owned(data.clone()), len);
            assert_eq!(log.sealed.len(), segments);
            assert!(bytes_of(&mut log) == data);
        }
    }

    #[test]
    fn little_of_a_segment_is_copied_for_a_reader_only_while_much_waits_to_be_sent() {
        let segments = Segments::default();
        segments.set_unsent_max(SPARSE_BYTES_MIN as u64);
        let mut log = Log::at_home(Offset(0), &segments);
        for _ in 0..3 {
            log.append(&Payload::Owned(vec![7; SPARSE_BYTES_MIN].into()), SPARSE_BYTES_MIN);
        }
        let [first, second, third] = [0, 1, 2].map(|at| Offset((at * SPARSE_BYTES_MIN) as u64));
        let little = SPARSE_BYTES_MIN as u64 / 4;
        let unread = [log.hand_out(first, little), log.hand_out(second, little)];
        log.trim(second);
        assert_eq!(segments.unsent(), SPARSE_BYTES_MIN as u64, "at the bound, the whole segment");
        assert_eq!(log.hand_out(third, little).len() as u64, little);
        log.trim(third);
        assert_eq!(segments.unsent(), 2 * SPARSE_BYTES_MIN as u64, "past it");
        let copied = log.hand_out(third, little);
        let shared = log.hand_out(third, little + 1);
        drop(unread);
        assert_eq!((copied.len() as u64, segments.unsent()), (little, little), "what it is sent");
        drop((log, copied));
        assert_eq!(segments.unsent(), SPARSE_BYTES_MIN as u64, "more than a little is shared");
        drop(shared);
    }
}
