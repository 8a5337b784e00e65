//! Messages that all have one length: counted, not parsed.

use weir::bench::{BenchError, Tally};

/// The messages of one connection, each `front` + payload + `back`.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What stands in front of the payload.
    pub front: Vec<u8>,
    /// Bytes of payload.
    pub payload: usize,
    /// What stands behind it.
    pub back: &'static [u8],
}

impl Frame {
    fn bytes(&self) -> usize {
        self.front.len() + self.payload + self.back.len()
    }

    /// Counts the messages in `input`, and compares the ends of the first and the last. Says how
    /// many bytes were messages.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn take(&self, input: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError> {
        let size = self.bytes();
        let count = input.len() / size;
        if count == 0 {
            return Ok(0);
        }
        if tally.pattern().check() == weir::bench::Check::Full {
            for frame in input.chunks_exact(size) {
                let payload = self.payload(frame)?;
                tally.delivered(0, payload)?;
            }
        } else {
            tally.verify(0, 0, self.payload(&input[..size])?)?;
            let last = count - 1;
            let payload = self.payload(&input[last * size..count * size])?;
            tally.verify(0, (last * self.payload) as u64, payload)?;
            tally.advance(0, (count * self.payload) as u64);
        }
        Ok(count * size)
    }

    fn payload<'i>(&self, frame: &'i [u8]) -> Result<&'i [u8], BenchError> {
        let inner = frame.strip_prefix(&self.front[..]);
        inner.and_then(|inner| inner.strip_suffix(self.back)).ok_or_else(|| {
            let front = &frame[..frame.len().min(80)];
            BenchError::Misbehaved(format!("not a message: {}", front.escape_ascii()))
        })
    }
}
