//! Replies to `Streams.write`, counted.

use crate::bench::tcf::replies::{Replies, succeed};
use crate::bench::{BenchError, Intake, Tally};

/// Counts replies. The usual one has a fixed form, `R token` and an empty report; as soon as
/// another comes, all is read with care.
#[derive(Debug)]
pub(super) struct Acknowledgements {
    /// Bytes of the usual reply.
    reply_bytes: usize,
    /// Tokens of each local stream.
    ring_writes: usize,
    write_bytes: u64,
    replies: Option<Replies>,
}

const FRONT: &[u8] = b"R\0";
const BACK: &[u8] = b"\0\0\x03\x01";

impl Acknowledgements {
    pub(super) fn new(
        token_digits: usize,
        ring_writes: usize,
        write_bytes: u64,
    ) -> Acknowledgements {
        Acknowledgements {
            reply_bytes: FRONT.len() + token_digits + BACK.len(),
            ring_writes,
            write_bytes,
            replies: None,
        }
    }

    fn count(&self, token: usize, tally: &mut Tally<'_>) -> Result<(), BenchError> {
        let local = token / self.ring_writes;
        if local >= tally.positions.len() {
            return Err(BenchError::Misbehaved(format!("a reply to no write: token {token}")));
        }
        tally.advance(local, self.write_bytes);
        Ok(())
    }

    fn take_with_care(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<(), BenchError> {
        let mut replies = self.replies.take().unwrap_or_else(Replies::new);
        replies.take(input, |token, mut arguments| {
            succeed("Streams.write", &mut arguments)?;
            self.count(token, tally)
        })?;
        self.replies = Some(replies);
        Ok(())
    }
}

impl Intake for Acknowledgements {
    fn take(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError> {
        if self.replies.is_some() {
            self.take_with_care(input, tally)?;
            return Ok(input.len());
        }
        let mut used = 0;
        let (front, back) = (FRONT.len(), self.reply_bytes - BACK.len());
        let has_one_stream = tally.positions.len() == 1;
        let mut count = 0;
        for reply in input.chunks_exact(self.reply_bytes) {
            let is_usual = reply[..front] == *FRONT
                && reply[back..] == *BACK
                && (has_one_stream || reply[front..back].iter().all(u8::is_ascii_digit));
            if !is_usual {
                self.take_with_care(&input[used..], tally)?;
                used = input.len();
                break;
            }
            used += self.reply_bytes;
            if has_one_stream {
                // Whose reply it is needs no look.
                count += 1;
                continue;
            }
            let digits = reply[front..back].iter();
            let token = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            self.count(token, tally)?;
        }
        if count > 0 {
            tally.advance(0, count * self.write_bytes);
        }
        let rest = &input[used..];
        if !rest.starts_with(FRONT) && !FRONT.starts_with(rest) {
            // Shorter than a reply, and none: more need not come.
            self.take_with_care(rest, tally)?;
            used = input.len();
        }
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Check, Pattern};

    /// What is counted of `input`, in parts of `part` bytes, for two streams of 100 tokens.
    fn counted(input: &[u8], part: usize) -> Result<Vec<u64>, BenchError> {
        let pattern = Pattern::new(10, Check::Sampled);
        let mut intake = Acknowledgements::new(3, 100, 10);
        let mut positions = vec![0; 2];
        let mut rest = Vec::new();
        for part in input.chunks(part) {
            rest.extend_from_slice(part);
            let mut tally = Tally {
                pattern: &pattern,
                first_stream: 0,
                positions: &mut positions,
                touched: &mut Vec::new(),
                answer: &mut Vec::new(),
            };
            let used = intake.take(&rest, &mut tally)?;
            rest.drain(..used);
        }
        assert!(rest.is_empty());
        Ok(positions)
    }

    #[test]
    fn replies_are_counted_in_any_split_and_form() {
        let usual = b"R\x00000\0\0\x03\x01R\x00001\0\0\x03\x01R\x00100\0\0\x03\x01";
        let block =
            b"R\x00000\0\0\x03\x01R\x00001\x03\x03\x82\0\0\0\x03\x01R\x00100\0null\0\x03\x01";
        let event =
            b"E\0Streams\0x\0\x03\x01R\x00000\0\0\x03\x01R\x001\0\0\x03\x01R\x00150\0\0\x03\x01";
        for input in [&usual[..], block, event] {
            for part in [1, 2, 7, 10, 1000] {
                assert_eq!(counted(input, part).unwrap(), [20, 10], "in parts of {part}");
            }
        }
    }

    #[test]
    fn refused_writes_end_the_load() {
        let refused = b"R\x00000\0{\"Code\":9,\"Format\":\"End of file\"}\0\x03\x01";
        let unknown = b"R\x00200\0\0\x03\x01";
        for (input, text) in [
            (&refused[..], "refused Streams.write: End of file"),
            (b"N\x00000\0\x03\x01", "does not know"),
            (b"\x03\x02", "closed"),
            (unknown, "token 200"),
            (b"R\x00abc\0\0\x03\x01\x03\x02\0\x03\x01", "cannot be understood"),
            (b"\x03\x02\0\x03\x01      ", "closed"),
        ] {
            let error = counted(input, 1000).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
