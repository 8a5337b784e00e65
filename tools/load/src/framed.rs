//! Messages that all have one length: counted, not parsed.

use weir::bench::{BenchError, Check, Intake, Tally};

/// The longest message that is kept until all of it is there; a longer one is taken in parts.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The messages of one connection, each `front` + payload + `back`.
#[derive(Clone, Debug)]
pub struct Frames {
    front: Vec<u8>,
    payload_bytes: usize,
    back: &'static [u8],
    /// Bytes of the message under way that were taken or skipped.
    reached: usize,
    /// Some were looked at since some were skipped.
    is_sampled: bool,
}

impl Frames {
    /// Messages with so many bytes of payload between `front` and `back`.
    pub fn new(front: impl Into<Vec<u8>>, payload_bytes: usize, back: &'static [u8]) -> Frames {
        let front = front.into();
        Frames { front, payload_bytes, back, reached: 0, is_sampled: false }
    }

    fn frame_bytes(&self) -> usize {
        self.front.len() + self.payload_bytes + self.back.len()
    }

    fn payload<'i>(&self, frame: &'i [u8]) -> Result<&'i [u8], BenchError> {
        let inner = frame.strip_prefix(&self.front[..]);
        inner.and_then(|inner| inner.strip_suffix(self.back)).ok_or_else(|| odd(frame))
    }

    /// Takes a part of the message under way, and compares what is payload of it.
    fn take_part(&mut self, part: &[u8], tally: &mut Tally<'_>) -> Result<(), BenchError> {
        let front = self.front.len();
        let from = front.saturating_sub(self.reached).min(part.len());
        let to = (front + self.payload_bytes).saturating_sub(self.reached).min(part.len());
        if from < to {
            let ahead = self.reached + from - front;
            tally.verify(0, ahead as u64, &part[from..to])?;
        }
        self.reach(part.len(), tally);
        Ok(())
    }

    /// Goes on by so many bytes. A message counts with its last byte.
    fn reach(&mut self, bytes: usize, tally: &mut Tally<'_>) {
        let size = self.frame_bytes();
        let reached = self.reached + bytes;
        if reached >= size {
            tally.advance(0, (reached / size * self.payload_bytes) as u64);
        }
        self.reached = reached % size;
    }
}

impl Intake for Frames {
    /// Counts the messages in `input`, and compares the first and the last of them.
    fn take(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError> {
        let size = self.frame_bytes();
        let mut used = 0;
        if self.reached > 0 {
            used = (size - self.reached).min(input.len());
            self.take_part(&input[..used], tally)?;
        }
        let frames = &input[used..];
        let count = frames.len() / size;
        if count > 0 && tally.pattern().check() == Check::Full {
            for frame in frames.chunks_exact(size) {
                tally.delivered(0, self.payload(frame)?)?;
            }
        } else if count > 0 {
            let last = count - 1;
            tally.verify(0, 0, self.payload(&frames[..size])?)?;
            let payload = self.payload(&frames[last * size..count * size])?;
            tally.verify(0, (last * self.payload_bytes) as u64, payload)?;
            tally.advance(0, (count * self.payload_bytes) as u64);
        }
        used += count * size;
        let rest = &input[used..];
        if size > KEPT_BYTES_MAX && rest.len() >= self.front.len() {
            if !rest.starts_with(&self.front) {
                return Err(odd(rest));
            }
            self.take_part(rest, tally)?;
            used = input.len();
        }
        self.is_sampled = used > 0;
        Ok(used)
    }

    fn skippable(&self) -> usize {
        if self.is_sampled { usize::MAX } else { 0 }
    }

    fn skip(&mut self, bytes: usize, tally: &mut Tally<'_>) {
        self.reach(bytes, tally);
        self.is_sampled = false;
    }
}

fn odd(text: &[u8]) -> BenchError {
    let front = &text[..text.len().min(80)];
    BenchError::Misbehaved(format!("not a message: {}", front.escape_ascii()))
}
