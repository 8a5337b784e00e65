//! Replies to `Streams.read`, counted, checked, and each answered with the next read.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use memchr::{memchr, memchr_iter, memmem};

use crate::bench::tcf::read_head::{DataForm, ReadHead, read_head};
use crate::bench::tcf::replies::{Replies, succeed};
use crate::bench::{BenchError, Check, Intake, Tally};
use crate::wire::ErrorReport;

/// What is behind the data of nearly every reply: its NUL, no error, nothing lost, not the end.
const USUAL_TAIL: &[u8] = b"\0\x000\0false\0\x03\x01";
/// End of message.
const EOM: &[u8] = b"\x03\x01";
/// The longest tail, with an error report in it.
const TAIL_BYTES_MAX: usize = 16 << 10;
/// Characters that stand for three bytes.
const GROUP_CHARS: usize = 4;
/// Characters that are decoded at once: a multiple of a group.
const DECODED_CHARS: usize = 4096;

/// Reads replies as they come. The data is looked at where it was received.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// The read command of each token: so many for each stream.
    commands: Vec<Vec<u8>>,
    reads: usize,
    state: State,
    /// The token of the reply under way.
    token: usize,
    /// Reads what is of another form; from then on, everything.
    replies: Option<Replies>,
}

#[derive(Debug)]
enum State {
    Head,
    /// So many bytes of data are to come.
    Binary(usize),
    Text,
    Tail,
}

impl Deliveries {
    /// With the commands of all tokens from 0 on, `reads` of them for each local stream.
    pub(super) fn new(commands: Vec<Vec<u8>>, reads: usize) -> Deliveries {
        Deliveries { commands, reads, state: State::Head, token: 0, replies: None }
    }

    fn local(&self) -> usize {
        self.token / self.reads
    }

    fn begin(&mut self, token: usize) -> Result<(), BenchError> {
        if token >= self.commands.len() {
            return Err(BenchError::Misbehaved(format!("a reply to no read: token {token}")));
        }
        self.token = token;
        Ok(())
    }

    fn take_with_care(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<(), BenchError> {
        let mut replies = self.replies.take().unwrap_or_else(Replies::new);
        replies.take(input, |token, mut arguments| {
            self.begin(token)?;
            let data = arguments.binary()?;
            succeed("Streams.read", &mut arguments)?;
            check_end(arguments.integer()?, arguments.boolean()?)?;
            tally.delivered(self.local(), data.as_slice())?;
            tally.answer(&self.commands[token]);
            Ok(())
        })?;
        self.replies = Some(replies);
        Ok(())
    }

    /// Counts base64, and says how much of `rest` it has used.
    fn take_text(&mut self, rest: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError> {
        let quote = memchr(b'"', rest);
        // Whole groups only: what is cut off comes again.
        let chars = quote.unwrap_or(rest.len()) / GROUP_CHARS * GROUP_CHARS;
        if quote.is_some_and(|at| at != chars) {
            return Err(BenchError::Misbehaved("data is not base64".to_owned()));
        }
        let text = &rest[..chars];
        let local = self.local();
        let looked_at = match tally.pattern().check() {
            Check::Full => text,
            Check::Sampled => &text[..chars.min(GROUP_CHARS)],
        };
        let mut ahead = 0;
        for part in looked_at.chunks(DECODED_CHARS) {
            let bytes = BASE64_STANDARD
                .decode(part)
                .map_err(|_| BenchError::Misbehaved("data is not base64".to_owned()))?;
            tally.verify(local, ahead, &bytes)?;
            ahead += bytes.len() as u64;
        }
        if chars > 0 {
            let padding = memchr_iter(b'=', text).count();
            tally.advance(local, (chars / GROUP_CHARS * 3 - padding) as u64);
        }
        if quote.is_some() {
            self.state = State::Tail;
            return Ok(chars + 1);
        }
        Ok(chars)
    }

    /// Reads what is behind the data, and says how long that is; `None` if more is needed.
    fn take_tail(&self, rest: &[u8]) -> Result<Option<usize>, BenchError> {
        if rest.starts_with(USUAL_TAIL) {
            return Ok(Some(USUAL_TAIL.len()));
        }
        let Some(end) = memmem::find(rest, EOM) else {
            if rest.len() > TAIL_BYTES_MAX {
                return Err(BenchError::Misbehaved("a reply without an end".to_owned()));
            }
            return Ok(None);
        };
        let odd = || BenchError::Misbehaved("a reply to a read of unknown form".to_owned());
        let fields: Vec<&[u8]> = rest[..end].split(|&byte| byte == 0).collect();
        let [b"", error, lost, eos, b""] = fields[..] else { return Err(odd()) };
        if !error.is_empty() {
            let report = serde_json::from_slice(error).map_err(|_| odd())?;
            if let Some(text) = ErrorReport::describe(&report) {
                let command = "Streams.read".to_owned();
                return Err(BenchError::Refused { command, text });
            }
        }
        let lost = std::str::from_utf8(lost).ok().and_then(|text| text.parse().ok());
        check_end(lost.ok_or_else(odd)?, eos == b"true")?;
        Ok(Some(end + EOM.len()))
    }
}

impl Intake for Deliveries {
    fn take(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError> {
        if self.replies.is_some() {
            self.take_with_care(input, tally)?;
            return Ok(input.len());
        }
        let mut rest = input;
        loop {
            match self.state {
                State::Head => match read_head(rest) {
                    ReadHead::Partial => break,
                    ReadHead::Other => {
                        self.take_with_care(rest, tally)?;
                        rest = &[];
                        break;
                    }
                    ReadHead::Reply { token, data, used } => {
                        self.begin(token)?;
                        rest = &rest[used..];
                        self.state = match data {
                            DataForm::Binary(length) => State::Binary(length),
                            DataForm::Text => State::Text,
                            DataForm::Null => State::Tail,
                        };
                    }
                },
                State::Binary(left) => {
                    let (piece, behind) = rest.split_at(left.min(rest.len()));
                    if !piece.is_empty() {
                        tally.delivered(self.local(), piece)?;
                    }
                    rest = behind;
                    if piece.len() < left {
                        self.state = State::Binary(left - piece.len());
                        break;
                    }
                    self.state = State::Tail;
                }
                State::Text => {
                    let used = self.take_text(rest, tally)?;
                    rest = &rest[used..];
                    if matches!(self.state, State::Text) {
                        break;
                    }
                }
                State::Tail => {
                    let Some(used) = self.take_tail(rest)? else { break };
                    rest = &rest[used..];
                    tally.answer(&self.commands[self.token]);
                    self.state = State::Head;
                }
            }
        }
        Ok(input.len() - rest.len())
    }

    fn skippable(&self) -> usize {
        match self.state {
            State::Binary(left) if self.replies.is_none() => left,
            _ => 0,
        }
    }

    fn skip(&mut self, bytes: usize, tally: &mut Tally<'_>) {
        let State::Binary(left) = self.state else { return };
        tally.advance(self.local(), bytes as u64);
        self.state = match left.saturating_sub(bytes) {
            0 => State::Tail,
            left => State::Binary(left),
        };
    }
}

/// Nothing may be lost, and nothing ends before the load does.
fn check_end(lost: u64, is_end: bool) -> Result<(), BenchError> {
    if lost > 0 {
        return Err(BenchError::Lost(lost));
    }
    if is_end {
        return Err(BenchError::Misbehaved("a stream ended in the middle of the load".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Pattern;

    const READS: usize = 2;

    struct Counted {
        positions: Vec<u64>,
        answer: Vec<u8>,
    }

    /// What is counted of `input`, in parts of `part` bytes, for two streams of two reads each.
    fn counted(input: &[u8], part: usize, check: Check) -> Result<Counted, BenchError> {
        let pattern = Pattern::new(1000, check);
        let commands = (0..4).map(|token| format!("<{token}>").into_bytes()).collect();
        let mut intake = Deliveries::new(commands, READS);
        let mut counted = Counted { positions: vec![0; 2], answer: Vec::new() };
        let mut rest = Vec::new();
        for part in input.chunks(part) {
            rest.extend_from_slice(part);
            let mut tally = Tally {
                pattern: &pattern,
                first_stream: 0,
                positions: &mut counted.positions,
                touched: &mut Vec::new(),
                answer: &mut counted.answer,
            };
            let used = intake.take(&rest, &mut tally)?;
            rest.drain(..used);
        }
        assert!(rest.is_empty());
        Ok(counted)
    }

    fn data(stream: usize, from: u64, length: usize) -> Vec<u8> {
        Pattern::new(1000, Check::Full).at(stream, from)[..length].to_vec()
    }

    fn binary(token: usize, data: &[u8]) -> Vec<u8> {
        let length = data.len();
        let head = format!("R\0{token}\0({length})\x03\x03");
        let length = [length as u8 & 0x7f | 0x80, (length >> 7) as u8];
        [head.as_bytes(), &length, data, b"\0\x000\0false\0\x03\x01"].concat()
    }

    fn text(token: usize, data: &[u8]) -> Vec<u8> {
        let text = BASE64_STANDARD.encode(data);
        format!("R\0{token}\0\"{text}\"\0\x000\0false\0\x03\x01").into_bytes()
    }

    /// As the reference agent sends it: the data escaped, the rest in a block.
    fn escaped(token: usize, data: &[u8]) -> Vec<u8> {
        let mut reply = format!("R\0{token}\0({})", data.len()).into_bytes();
        for &byte in data {
            reply.extend_from_slice(if byte == 3 {
                b"\x03\0"
            } else {
                std::slice::from_ref(&byte)
            });
        }
        reply.extend_from_slice(b"\x03\x03\x8a\0\0\x000\0false\0\x03\x01");
        reply
    }

    #[test]
    fn data_is_counted_in_any_split_and_form() {
        for form in [binary, text, escaped] {
            let input = [
                form(0, &data(0, 0, 700)),
                form(2, &data(1, 0, 5)),
                b"R\x003\0null\0\x000\0false\0\x03\x01".to_vec(),
                form(1, &data(0, 700, 333)),
                form(3, &data(1, 5, 1)),
            ]
            .concat();
            for check in [Check::Full, Check::Sampled] {
                for part in [1, 2, 3, 10, 100, 10_000] {
                    let counted = counted(&input, part, check).unwrap();
                    assert_eq!(counted.positions, [1033, 6], "in parts of {part}");
                    assert_eq!(counted.answer, b"<0><2><3><1><3>");
                }
            }
        }
    }

    #[test]
    fn wrong_bytes_are_found() {
        for form in [binary, text, escaped] {
            let mut wrong = data(0, 0, 700);
            wrong[0] ^= 0x40;
            assert!(matches!(
                counted(&form(0, &wrong), 10_000, Check::Sampled),
                Err(BenchError::Wrong { stream: 0, offset: 0 })
            ));
            wrong = data(0, 0, 700);
            wrong[350] ^= 0x40;
            assert!(counted(&form(0, &wrong), 10_000, Check::Sampled).is_ok());
            assert!(counted(&form(0, &wrong), 10_000, Check::Full).is_err());
        }
    }

    #[test]
    fn losses_and_ends_end_the_load() {
        for (tail, want) in [
            ("\0\x0017\0false\0", "17 bytes were lost"),
            ("\0\x000\0true\0", "ended"),
            ("\0{\"Code\":6}\x000\0true\0", "Command canceled"),
            ("\0\x000\0", "unknown form"),
        ] {
            let input = format!("R\x000\0null{tail}\x03\x01");
            let error = counted(input.as_bytes(), 10_000, Check::Sampled).err().unwrap();
            assert!(error.to_string().contains(want), "{error}");
        }
        assert!(counted(&binary(4, b"x"), 10_000, Check::Sampled).is_err());
    }
}
