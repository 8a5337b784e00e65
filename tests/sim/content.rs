//! What the bytes of a stream must be.
//!
//! A stream with one writer carries a pattern: its bytes are known by stream and offset. A stream
//! with many carries records that describe themselves, so that a torn, doubled or misplaced one
//! shows.

use std::collections::BTreeMap;

/// The byte at one place of a patterned stream.
pub fn byte_at(stream: u64, offset: u64) -> u8 {
    let mixed = (stream << 32 ^ offset).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

pub fn pattern(stream: u64, from: u64, len: u64) -> Vec<u8> {
    (from..from + len).map(|offset| byte_at(stream, offset)).collect()
}

/// The byte that begins a record and stands nowhere else.
const MARK: u8 = 0xff;
const BASE: u32 = 200;
pub const HEADER_BYTES: u32 = 6;

/// One write: who, the how-manieth of its channel, and its length, header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub writer: u8,
    pub number: u32,
    pub len: u32,
    /// No longer than the stream's buffer: it is stored whole or not at all.
    pub is_whole: bool,
}

impl Record {
    pub fn byte_at(&self, index: u32) -> u8 {
        let digits = |value: u32| [(value / BASE) as u8, (value % BASE) as u8];
        match index {
            0 => MARK,
            1 => self.writer,
            2 | 3 => digits(self.number)[index as usize - 2],
            4 | 5 => digits(self.len)[index as usize - 4],
            _ => ((u32::from(self.writer) * 31 + self.number * 7 + index) % BASE) as u8,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        (0..self.len).map(|index| self.byte_at(index)).collect()
    }
}

/// What became of a record as its writer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The whole of it is in.
    Whole,
    /// Nothing of it is.
    Absent,
    /// Nothing was told: it may be in. Of one larger than the buffer a part may be in, also where
    /// it was cancelled.
    Unknown,
}

/// The records handed in for one stream, by writer and number.
#[derive(Debug, Default)]
pub struct Records {
    handed: BTreeMap<(u8, u32), (Record, Fate)>,
}

impl Records {
    pub fn hand_in(&mut self, record: Record) {
        self.handed.insert((record.writer, record.number), (record, Fate::Unknown));
    }

    pub fn tell(&mut self, record: Record, fate: Fate) {
        self.handed.insert((record.writer, record.number), (record, fate));
    }

    /// Holds a run of bytes against the records; a `None` is a gap of one byte or more. `is_all`:
    /// the run is the whole stream, from its first byte to its end.
    pub fn check(&self, run: &[Option<u8>], is_all: bool) -> Result<(), String> {
        let mut last: BTreeMap<u8, u32> = BTreeMap::new();
        let mut seen = 0;
        let mut at = 0;
        let mut is_in_step = is_all;
        while at < run.len() {
            match run[at] {
                Some(MARK) => {}
                Some(byte) if is_in_step => {
                    return Err(format!("byte {byte} at {at} where a record should begin"));
                }
                other => {
                    is_in_step &= other.is_some();
                    at += 1;
                    continue;
                }
            }
            let known = run[at..].iter().map_while(|byte| *byte);
            let bytes: Vec<u8> = known
                .enumerate()
                .take_while(|(index, byte)| *index == 0 || *byte != MARK)
                .map(|(_, byte)| byte)
                .collect();
            let is_cut_short = run.get(at + bytes.len()).copied().flatten() == Some(MARK)
                || (is_all && at + bytes.len() == run.len());
            if bytes.len() < HEADER_BYTES as usize {
                at += bytes.len();
                is_in_step = is_cut_short;
                continue;
            }
            let number = u32::from(bytes[2]) * BASE + u32::from(bytes[3]);
            let Some((record, fate)) = self.handed.get(&(bytes[1], number)) else {
                return Err(format!("record {number} of writer {} was never written", bytes[1]));
            };
            if last.insert(record.writer, number).is_some_and(|last| last >= number) {
                return Err(format!("{record:?} comes again or too late, at {at}"));
            }
            if *fate == Fate::Absent {
                return Err(format!("{record:?} was refused and is there, at {at}"));
            }
            let len = bytes.len().min(record.len as usize);
            if bytes[..len] != record.bytes()[..len] {
                let found = &bytes[..len];
                return Err(format!("{record:?} has other bytes, at {at}: {found:?}"));
            }
            let may_be_torn = !record.is_whole && *fate == Fate::Unknown;
            if len < record.len as usize && is_cut_short && !may_be_torn {
                return Err(format!("{record:?} is torn, at {at}"));
            }
            seen += usize::from(*fate == Fate::Whole);
            is_in_step = true;
            at += len;
        }
        let whole = self.handed.values().filter(|(_, fate)| *fate == Fate::Whole).count();
        if is_all && seen < whole {
            return Err(format!("{} of {whole} accepted records are missing", whole - seen));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> Record {
        Record { writer: 4, number, len: 20, is_whole: true }
    }

    fn records() -> (Records, Vec<Record>) {
        let mut records = Records::default();
        let all: Vec<_> = (0..3).map(record).collect();
        for record in &all {
            records.hand_in(*record);
            records.tell(*record, Fate::Whole);
        }
        (records, all)
    }

    fn run(pieces: &[&[u8]]) -> Vec<Option<u8>> {
        pieces.concat().into_iter().map(Some).collect()
    }

    #[test]
    fn whole_records_pass_with_or_without_a_gap() {
        let (records, all) = records();
        let [a, b, c] = [all[0].bytes(), all[1].bytes(), all[2].bytes()];
        let mut bytes = run(&[&a, &b, &c]);
        assert_eq!(records.check(&bytes, true), Ok(()));
        bytes[30] = None;
        assert_eq!(records.check(&bytes, false), Ok(()));
        assert_eq!(records.check(&bytes[5..50], false), Ok(()));
    }

    #[test]
    fn a_lost_doubled_torn_or_changed_record_is_noticed() {
        let (mut records, all) = records();
        let [a, b, c] = [all[0].bytes(), all[1].bytes(), all[2].bytes()];
        let mut changed = run(&[&a, &b, &c]);
        changed[33] = Some(1);
        for (bytes, is_all) in [
            (run(&[&a, &c]), true),
            (run(&[&a, &b, &b, &c]), false),
            (run(&[&b, &a]), false),
            (run(&[&a, &b[..10], &c, &b[10..]]), false),
            (run(&[&a, &b[..10], &b[11..], &c]), false),
            (run(&[&a, &b, &c[..19]]), true),
            (changed, false),
        ] {
            assert!(records.check(&bytes, is_all).is_err(), "{bytes:?}");
        }
        records.tell(all[1], Fate::Unknown);
        let torn = run(&[&a, &b[..10], &c]);
        assert!(records.check(&torn, false).is_err(), "nobody heard of it, and yet it is torn");
        let large = Record { is_whole: false, ..all[1] };
        records.tell(large, Fate::Unknown);
        assert_eq!(records.check(&torn, false), Ok(()));
        records.tell(all[1], Fate::Absent);
        assert!(records.check(&run(&[&a, &b, &c]), false).is_err());
    }
}
