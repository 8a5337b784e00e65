//! When the bytes of a stream came: a few marks, enough to tell how old what a reader has not got
//! is, and how fast bytes come.

use std::time::Duration;

use crate::id::Offset;
use crate::time::Instant;

/// Marks of one stream. One costs 16 bytes and is made only where bytes come.
const MARKS_MAX: usize = 40;

/// Bytes that come within this time of each other share a mark.
const GRAIN: Duration = Duration::from_millis(20);

/// Over which time a rate is measured, at least.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// The bytes between the mark before and `end` came at `at` or after it, and before the next mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    at: Instant,
    end: Offset,
}

/// When the bytes of one stream came. An age is never told too low; it is told too high by `GRAIN`,
/// and once there are more marks than are kept, by a share of itself: those marks are joined that
/// are closest together for their age.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Oldest first, `at` and `end` both growing. Holds no memory until the first byte.
    marks: Vec<Mark>,
    rate: Rate,
}

/// How fast bytes come: what the last whole window had.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    began_at: Instant,
    began_end: Offset,
    bytes_per_second: u64,
}

impl Rate {
    fn over(&self, now: Instant, end: Offset) -> u64 {
        let bytes = u128::from(end.since(self.began_end));
        let nanoseconds = now.since(self.began_at).as_nanos().max(1);
        u64::try_from(bytes * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
    }
}

impl Marks {
    /// Those of a stream whose first byte has this offset.
    pub(super) fn starting_at(origin: Offset) -> Marks {
        Marks { marks: Vec::new(), rate: Rate { began_end: origin, ..Rate::default() } }
    }

    /// Notes that everything before `end` is there now. Nobody asks for bytes before `needed` any
    /// more.
    pub(super) fn note(&mut self, now: Instant, needed: Offset, end: Offset) {
        let last = match self.marks.last_mut() {
            Some(last) if last.end >= end => return,
            None if end == self.rate.began_end => return,
            last => last,
        };
        if let Some(last) = last
            && now.since(last.at) < GRAIN
        {
            last.end = end;
            return;
        }
        if now.since(self.rate.began_at) >= RATE_WINDOW {
            let bytes_per_second = self.rate.over(now, end);
            self.rate = Rate { began_at: now, began_end: end, bytes_per_second };
        }
        let gone = self.marks.iter().take_while(|mark| mark.end <= needed).count();
        self.marks.drain(..gone);
        if self.marks.len() == MARKS_MAX {
            self.join_two(now);
        }
        self.marks.push(Mark { at: now, end });
    }

    /// Joins the two neighbours of which the bytes that came last are then least wrong in
    /// proportion to their age.
    fn join_two(&mut self, now: Instant) {
        let error = |index: &usize| {
            let until = self.marks.get(index + 2).map_or(now, |after| after.at);
            let span = until.since(self.marks[*index].at).as_nanos();
            (span << 32) / (now.since(until) + GRAIN).as_nanos()
        };
        if let Some(index) = (0..self.marks.len() - 1).min_by_key(error) {
            self.marks[index].end = self.marks[index + 1].end;
            self.marks.remove(index + 1);
        }
    }

    /// How long ago the byte at `offset` came; `None` where it has not.
    pub fn age(&self, now: Instant, offset: Offset) -> Option<Duration> {
        let mark = self.marks.iter().find(|mark| mark.end > offset)?;
        Some(now.since(mark.at))
    }

    /// Bytes a second that came lately: in the last whole second, or since then where that is
    /// longer.
    pub fn rate(&self, now: Instant) -> u64 {
        let Some(last) = self.marks.last() else { return 0 };
        let is_old = now.since(self.rate.began_at) >= 2 * RATE_WINDOW;
        if is_old { self.rate.over(now, last.end) } else { self.rate.bytes_per_second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Instant {
        Instant(ms * MS)
    }

    fn age_ms(marks: &Marks, now: u64, offset: u64) -> Option<u128> {
        marks.age(at(now), Offset(offset)).map(|age| age.as_millis())
    }

    #[test]
    fn a_byte_is_as_old_as_the_mark_it_came_with() {
        let mut marks = Marks::default();
        marks.note(at(0), Offset::ZERO, Offset::ZERO);
        assert_eq!(age_ms(&marks, 5, 0), None);
        marks.note(at(100), Offset::ZERO, Offset(10));
        marks.note(at(110), Offset::ZERO, Offset(15));
        marks.note(at(130), Offset::ZERO, Offset(20));
        marks.note(at(180), Offset::ZERO, Offset(20));
        for (offset, age) in [(0, Some(100)), (14, Some(100)), (15, Some(70)), (20, None)] {
            assert_eq!(age_ms(&marks, 200, offset), age, "{offset}");
        }
        // What is gone is forgotten with the next mark.
        marks.note(at(300), Offset(15), Offset(30));
        assert_eq!(age_ms(&marks, 300, 3), Some(170));
    }

    #[test]
    fn ages_stay_within_their_bounds_however_many_writes_there_are() {
        let mut marks = Marks::default();
        // A byte each 25 ms for ten minutes: byte n comes at 25 n.
        let count = 24_000;
        for byte in 0..count {
            marks.note(at(25 * byte), Offset::ZERO, Offset(byte + 1));
            assert!(marks.marks.len() <= MARKS_MAX);
        }
        let now = 25 * count;
        for byte in (0..count).step_by(7) {
            let told = age_ms(&marks, now, byte).unwrap() as f64;
            let real = (now - 25 * byte) as f64;
            assert!(told >= real && told <= 1.5 * real + 20.0, "{byte}: {told} for {real}");
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_second_and_falls_in_silence() {
        let mut marks = Marks::default();
        for step in 1..=40 {
            marks.note(at(100 * step), Offset::ZERO, Offset(1000 * step));
        }
        assert_eq!(marks.rate(at(4000)), 10_000);
        assert!(marks.rate(at(60_000)) < 1000);
    }
}
