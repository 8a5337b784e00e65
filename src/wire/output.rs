//! What waits to be sent on one channel.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Shared bytes of at least this length stay a piece of their own. Below it a copy, at tens of
/// nanoseconds, costs less than one more slice in `writev` and one more reference count.
const SHARED_BYTES_MIN: usize = 2048;

/// What an empty queue may keep, so that a request and its reply need no allocation.
const IDLE_BYTES_MAX: usize = 512;

/// First allocation for gathered bytes, and the length beyond which a new piece is begun: a longer
/// one would be copied whole each time that it grows.
const GATHERED_BYTES_MIN: usize = IDLE_BYTES_MAX;
const GATHERED_BYTES_MAX: usize = 16 << 10;

/// A queue of bytes to send. Small ones are gathered by copying, large ones are kept as they are,
/// so that one `writev` takes many messages and no large payload is copied. Empty, it holds no
/// memory to speak of.
#[derive(Debug, Default)]
pub struct Output {
    /// Complete pieces, none of them empty.
    pieces: VecDeque<Piece>,
    /// Where small bytes are gathered, behind `pieces`.
    tail: BytesMut,
    /// Bytes of `tail` that are sent. More than 0 only while `pieces` is empty.
    tail_sent: usize,
    len: usize,
    /// Bytes taken out, ever.
    sent: u64,
    /// Bytes of pieces that others have too.
    shared: usize,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    is_shared: bool,
}

impl Output {
    /// Appends a copy of a few bytes.
    pub fn put_slice(&mut self, slice: &[u8]) {
        self.reserve(slice.len());
        self.tail.extend_from_slice(slice);
        self.len += slice.len();
    }

    /// Appends bytes that others have too; copies them where they are too few to be worth a piece
    /// of their own.
    pub fn put_shared(&mut self, bytes: Bytes) {
        self.put_piece(bytes, true);
    }

    /// The same for bytes that nobody else keeps.
    pub fn put_own(&mut self, bytes: Bytes) {
        self.put_piece(bytes, false);
    }

    fn put_piece(&mut self, bytes: Bytes, is_shared: bool) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.put_slice(&bytes);
        }
        self.seal();
        self.len += bytes.len();
        self.shared += if is_shared { bytes.len() } else { 0 };
        self.pieces.push_back(Piece { bytes, is_shared });
    }

    /// Appends `length` bytes that `fill` writes over zeros.
    pub(crate) fn put_with(&mut self, length: usize, fill: impl FnOnce(&mut [u8])) {
        if length < SHARED_BYTES_MIN {
            self.reserve(length);
            let start = self.tail.len();
            self.tail.resize(start + length, 0);
            fill(&mut self.tail[start..]);
            self.len += length;
        } else {
            let mut piece = vec![0; length];
            fill(&mut piece);
            self.put_own(piece.into());
        }
    }

    /// Unsent bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes that were sent, ever.
    pub fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// Bytes that were put here, ever.
    pub fn queued_bytes(&self) -> u64 {
        self.sent + self.len as u64
    }

    /// Those of them that nobody else has.
    pub fn own_bytes(&self) -> usize {
        self.len - self.shared
    }

    /// Has `with` put the same bytes in place of what nobody else has, to count them elsewhere.
    pub fn replace_own(&mut self, mut with: impl FnMut(Bytes) -> Bytes) {
        self.seal();
        for piece in self.pieces.iter_mut().filter(|piece| !piece.is_shared) {
            self.shared += piece.bytes.len();
            piece.bytes = with(std::mem::take(&mut piece.bytes));
            piece.is_shared = true;
        }
    }

    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `slices` from the front of the queue and says how many were filled.
    pub fn fill_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = &self.tail[self.tail_sent..];
        let pieces = self.pieces.iter().map(|piece| &piece.bytes[..]);
        let unsent = pieces.chain((!tail.is_empty()).then_some(tail));
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(unsent) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// Drops the first `count` bytes, which are sent. `count` is at most `len`.
    pub fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len, "more was sent than waited");
        self.len -= count;
        self.sent += count as u64;
        if self.len == 0 {
            return self.release();
        }
        while let Some(piece) = self.pieces.front_mut() {
            let gone = count.min(piece.bytes.len());
            self.shared -= if piece.is_shared { gone } else { 0 };
            if gone < piece.bytes.len() {
                piece.bytes.advance(gone);
                return;
            }
            count -= gone;
            self.pieces.pop_front();
        }
        self.tail_sent += count;
    }

    /// Everything that waits, as one copy (for tests and blocking clients).
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        for piece in &self.pieces {
            all.extend_from_slice(&piece.bytes);
        }
        all.extend_from_slice(&self.tail[self.tail_sent..]);
        all
    }

    /// Makes room for `count` bytes at the tail.
    fn reserve(&mut self, count: usize) {
        if self.tail.capacity() - self.tail.len() >= count {
            return;
        }
        if self.tail.len() + count > GATHERED_BYTES_MAX {
            self.seal();
            self.tail = BytesMut::with_capacity(count.max(GATHERED_BYTES_MAX));
        } else {
            self.tail.reserve(count.max(self.tail.len()).max(GATHERED_BYTES_MIN));
        }
    }

    /// Makes a piece of what is gathered. The rest of its memory serves for the next.
    fn seal(&mut self) {
        let mut gathered = self.tail.split();
        gathered.advance(std::mem::take(&mut self.tail_sent));
        if !gathered.is_empty() {
            self.pieces.push_back(Piece { bytes: gathered.freeze(), is_shared: false });
        }
    }

    /// Gives memory back when all is sent.
    fn release(&mut self) {
        // A queue that had pieces may share the memory of its tail with one of them: what
        // `capacity` says then is not what it holds.
        self.shared = 0;
        let is_small = self.pieces.capacity() == 0 && self.tail.capacity() <= IDLE_BYTES_MAX;
        if is_small {
            self.tail.clear();
            self.tail_sent = 0;
        } else {
            *self = Output { sent: self.sent, ..Output::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(output: &Output, count: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = output.fill_slices(&mut slices);
        assert!(slices[..filled].iter().all(|slice| !slice.is_empty()));
        slices[..filled].iter().flat_map(|slice| slice.iter()).take(count).copied().collect()
    }

    #[test]
    fn bytes_leave_in_the_order_they_came() {
        for step in [7, 1000, 2048, 5000, 100_000] {
            let mut output = Output::default();
            let mut expected = Vec::new();
            let mut sent = Vec::new();
            for round in 0..60_usize {
                let size = [3, 900, 2047, 2048, 9000][round % 5];
                let bytes: Vec<u8> = (0..size).map(|at| (at + round) as u8).collect();
                expected.extend_from_slice(&bytes);
                match round % 3 {
                    0 => output.put_slice(&bytes),
                    1 => output.put_shared(bytes.into()),
                    _ => output.put_with(size, |piece| piece.copy_from_slice(&bytes)),
                }
                if round % 4 == 0 {
                    let part = front(&output, step);
                    output.advance(part.len());
                    sent.extend_from_slice(&part);
                }
                assert_eq!(output.len(), expected.len() - sent.len());
                assert_eq!(output.sent_bytes(), sent.len() as u64);
                assert_eq!(output.queued_bytes(), expected.len() as u64);
            }
            assert_eq!(output.to_vec(), expected[sent.len()..]);
            while !output.is_empty() {
                let part = front(&output, step);
                output.advance(part.len());
                sent.extend_from_slice(&part);
            }
            assert!(sent == expected);
        }
    }

    #[test]
    fn what_others_have_too_is_known_apart_until_it_is_sent() {
        let mut output = Output::default();
        output.put_slice(&[1; 100]);
        output.put_shared(vec![2; 5000].into());
        output.put_own(vec![3; 3000].into());
        output.put_shared(vec![4; SHARED_BYTES_MIN - 1].into());
        output.put_shared(vec![5; 4000].into());
        let shared = |output: &Output| output.len() - output.own_bytes();
        assert_eq!(shared(&output), 9000, "what is copied is our own");
        for (sent, left) in [(100, 9000), (1000, 8000), (4500, 4000), (5000, 3547)] {
            output.advance(sent);
            assert_eq!(shared(&output), left);
        }
        output.advance(output.len());
        assert_eq!(output.own_bytes(), 0);
    }

    #[test]
    fn what_is_counted_elsewhere_is_our_own_no_more() {
        let mut output = Output::default();
        output.put_slice(b"some ");
        output.put_shared(vec![b'.'; 3000].into());
        output.put_own(vec![b'!'; 3000].into());
        output.put_slice(b" more");
        let before = output.to_vec();
        output.advance(2);
        let mut counted = 0;
        output.replace_own(|bytes| {
            counted += bytes.len();
            bytes
        });
        assert_eq!((counted, output.own_bytes()), (3 + 3000 + 5, 0));
        assert_eq!(output.to_vec(), before[2..]);
    }

    #[test]
    fn large_pieces_are_not_copied_and_small_ones_are_gathered() {
        let mut output = Output::default();
        let large = Bytes::from(vec![1; SHARED_BYTES_MIN]);
        output.put_slice(b"ab");
        output.put_shared(Bytes::from_static(b"cd"));
        output.put_shared(large.clone());
        output.put_slice(b"e");
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(output.fill_slices(&mut slices), 3);
        assert_eq!((&*slices[0], &*slices[2]), (&b"abcd"[..], &b"e"[..]));
        assert_eq!(slices[1].as_ptr(), large.as_ptr());
        assert_eq!(output.fill_slices(&mut slices[..1]), 1);
    }

    #[test]
    fn an_empty_queue_holds_next_to_nothing() {
        let mut output = Output::default();
        for size in [10, 20_000, 10] {
            output.put_slice(&vec![0; size]);
            output.put_shared(vec![0; size].into());
            output.advance(output.len());
            assert!(output.pieces.capacity() == 0 && output.tail.capacity() <= IDLE_BYTES_MAX);
        }
        for _ in 0..1000 {
            output.put_slice(b"a message as small as most");
            output.advance(10);
            output.advance(output.len());
        }
        assert!(output.tail.capacity() <= IDLE_BYTES_MAX);
    }
}
