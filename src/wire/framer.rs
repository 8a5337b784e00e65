//! Framing: escapes, BIN blocks, end of message, end of stream (TCF specification, "Message
//! format").
//!
//! A message that lies in one input without an escape of its own is handed out where it lies. Any
//! other is gathered in the framer's body, but for large BIN blocks, which get memory of their own
//! so that binary data can become a stream's segment without another copy.

use bytes::Bytes;
use memchr::memchr;

use crate::wire::{Body, WireError, WireLimits};

/// The byte that begins an escape sequence.
const ESC: u8 = 3;
/// `ESC 0`: the byte 3 itself.
const ESCAPED_ESC: u8 = 0;
/// `ESC 1`: end of message.
const EOM: u8 = 1;
/// `ESC 2`: end of stream.
const EOS: u8 = 2;
/// `ESC 3`: a BIN block; its length and its raw bytes follow.
const BIN: u8 = 3;

/// Bytes of a BIN block's length at most. The reference pads lengths to two or three bytes; five
/// carry any length that fits its 32-bit counters.
const LENGTH_BYTES_MAX: u32 = 5;

/// Capacity that an idle framer may keep, so that a slow trickle of split messages does not
/// allocate for each, and ten thousand idle channels cost next to nothing.
const IDLE_BYTES_MAX: usize = 512;

/// First allocation for a large block. A peer that only claims a large block costs no more than
/// this.
const BLOCK_FIRST_BYTES: usize = 64 << 10;

/// Each further allocation is so many times what has arrived: a peer must send a quarter of what it
/// makes us hold, and a 16 MiB block moves five times at most.
const BLOCK_GROWTH: usize = 4;

/// Decodes one direction of one channel, in any split of its input: one byte at a time or a
/// thousand messages at once. Idle, it holds no memory of its own to speak of.
#[derive(Debug)]
pub struct Framer {
    state: State,
    /// The message under way without its large blocks.
    body: Vec<u8>,
    /// The large blocks that are complete, each with its position in `body`, in order.
    blocks: Vec<(usize, Bytes)>,
    /// Sum of the lengths in `blocks`.
    blocks_bytes: usize,
    /// `body` and `blocks` hold a message that was handed out, and are to be cleared.
    handed_out: bool,
    message_bytes_max: usize,
    large_block_bytes_min: usize,
}

#[derive(Debug)]
enum State {
    Text,
    /// Behind an ESC.
    Escape,
    /// Behind `ESC 3` and `bytes` bytes of the length, which so far is `value`.
    Length {
        value: u64,
        bytes: u32,
    },
    /// In a small block, which goes into the body.
    Small {
        left: usize,
    },
    Large(LargeBlock),
    /// Behind the end of stream or an error: nothing counts any more.
    Ended,
}

/// What an escape sequence ends.
enum Mark {
    Message,
    Stream,
}

/// A block under way that gets its own memory.
#[derive(Debug)]
struct LargeBlock {
    /// `filled` bytes that came, and behind them zeros for `direct`. Never longer than `total`.
    bytes: Vec<u8>,
    filled: usize,
    total: usize,
}

/// What the framer found.
#[derive(Debug)]
pub enum Frame<'a> {
    /// One whole message, its framing removed.
    Message(Body<'a>),
    /// `ESC 2`. A message under way is discarded; the peer sends nothing more that counts.
    EndOfStream,
}

impl Framer {
    /// A framer at the start of a channel.
    pub fn new(limits: WireLimits) -> Framer {
        Framer {
            state: State::Text,
            body: Vec::new(),
            blocks: Vec::new(),
            blocks_bytes: 0,
            handed_out: false,
            message_bytes_max: limits.message_bytes_max,
            large_block_bytes_min: limits.large_block_bytes_min.max(1),
        }
    }

    /// Decodes the next frame and advances `input` behind it. `None`: all input is taken in, and
    /// more is needed. Go on until it comes, or call `give_memory_back` where no input is left.
    /// After an error, or the end of stream, the framer swallows what follows.
    pub fn decode<'i: 'f, 'f>(
        &'f mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'f>>, WireError> {
        self.forget_handed_out();
        loop {
            match &mut self.state {
                State::Text => {
                    let Some(at) = memchr(ESC, input) else {
                        return self.pause(input);
                    };
                    if input.get(at + 1) == Some(&EOM) && self.holds_nothing() {
                        self.claim(at)?;
                        let text = &input[..at];
                        *input = &input[at + 2..];
                        return Ok(Some(Frame::Message(Body::new(text, &[]))));
                    }
                    self.take_text(&input[..at])?;
                    *input = &input[at + 1..];
                    self.state = State::Escape;
                }
                State::Escape => {
                    let Some(&byte) = input.split_off_first() else { return Ok(None) };
                    match self.escape(byte)? {
                        None => {}
                        Some(Mark::Message) => {
                            let body = Body::new(&self.body, &self.blocks);
                            return Ok(Some(Frame::Message(body)));
                        }
                        Some(Mark::Stream) => return Ok(Some(Frame::EndOfStream)),
                    }
                }
                State::Length { value, bytes } => {
                    let Some(&byte) = input.split_off_first() else { return Ok(None) };
                    *value |= u64::from(byte & 0x7f) << (7 * *bytes);
                    *bytes += 1;
                    let (value, bytes) = (*value, *bytes);
                    if byte & 0x80 == 0 {
                        self.begin_block(value)?;
                    } else if bytes == LENGTH_BYTES_MAX {
                        self.end();
                        return Err(WireError::Limit("Length of a BIN block".into()));
                    }
                }
                State::Small { left } => {
                    let part = take(input, *left);
                    self.body.extend_from_slice(part);
                    *left -= part.len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Text;
                }
                State::Large(block) => {
                    block.extend(take(input, block.total - block.filled));
                    if !self.finish_block() {
                        return Ok(None);
                    }
                }
                State::Ended => {
                    *input = &[];
                    return Ok(None);
                }
            }
        }
    }

    /// The unfilled rest of a large BIN block under way, where there is one: the next bytes from
    /// the socket belong there and need no decoding. Report how many came with `filled`. It may be
    /// shorter than what is left of the block; it is never empty.
    pub fn direct(&mut self) -> Option<&mut [u8]> {
        match &mut self.state {
            State::Large(block) => Some(block.room()),
            _ => None,
        }
    }

    /// Says that the first `count` bytes of `direct` are there now. `count` is at most its length.
    pub fn filled(&mut self, count: usize) {
        if let State::Large(block) = &mut self.state {
            assert!(count <= block.bytes.len() - block.filled, "more than `direct` offered");
            block.filled += count;
            self.finish_block();
        }
    }

    /// Memory held for a message, in bytes: up to twice what has come of it, and what
    /// growing leaves unused between the allocator's pieces.
    pub fn buffered_bytes(&self) -> usize {
        let block = match &self.state {
            State::Large(block) => block.bytes.capacity(),
            _ => 0,
        };
        let body = if self.body.is_empty() { 0 } else { self.body.capacity() };
        body + body / 4 + self.blocks_bytes + block
    }

    /// Whether the next byte begins a message.
    pub fn is_at_start(&self) -> bool {
        matches!(self.state, State::Text) && (self.handed_out || self.holds_nothing())
    }

    fn holds_nothing(&self) -> bool {
        self.body.is_empty() && self.blocks.is_empty()
    }

    /// Takes the byte behind an ESC, and says what it ends.
    fn escape(&mut self, byte: u8) -> Result<Option<Mark>, WireError> {
        self.state = State::Text;
        match byte {
            ESCAPED_ESC => self.take_text(&[ESC])?,
            BIN => self.state = State::Length { value: 0, bytes: 0 },
            EOM => {
                self.handed_out = true;
                return Ok(Some(Mark::Message));
            }
            EOS => {
                self.end();
                return Ok(Some(Mark::Stream));
            }
            _ => {
                self.end();
                return Err(WireError::Protocol(format!("Escape sequence 3, {byte}")));
            }
        }
        Ok(None)
    }

    /// Takes in text without an ESC to its end, and gives memory back if no message is under way.
    fn pause<'f>(&'f mut self, input: &mut &[u8]) -> Result<Option<Frame<'f>>, WireError> {
        self.take_text(input)?;
        *input = &[];
        self.shrink();
        Ok(None)
    }

    /// Gives the memory of a message back that was handed out. `decode` does so too, but with the
    /// next bytes of a peer, which may never come.
    pub fn give_memory_back(&mut self) {
        if self.forget_handed_out() {
            self.shrink();
        }
    }

    fn forget_handed_out(&mut self) -> bool {
        let was_handed_out = std::mem::take(&mut self.handed_out);
        if was_handed_out {
            self.clear();
        }
        was_handed_out
    }

    fn shrink(&mut self) {
        if self.holds_nothing() {
            if self.body.capacity() > IDLE_BYTES_MAX {
                self.body = Vec::new();
            }
            self.blocks = Vec::new();
        }
    }

    fn take_text(&mut self, text: &[u8]) -> Result<(), WireError> {
        if !text.is_empty() {
            self.claim(text.len())?;
            self.body.extend_from_slice(text);
        }
        Ok(())
    }

    /// Checks that `count` more bytes may belong to this message.
    fn claim(&mut self, count: usize) -> Result<(), WireError> {
        let held = self.body.len() + self.blocks_bytes;
        if count > self.message_bytes_max - held {
            self.end();
            return Err(WireError::Limit("Message too long".into()));
        }
        Ok(())
    }

    fn begin_block(&mut self, length: u64) -> Result<(), WireError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.claim(length)?;
        self.state = match length {
            0 => State::Text,
            _ if length < self.large_block_bytes_min => State::Small { left: length },
            _ => State::Large(LargeBlock { bytes: Vec::new(), filled: 0, total: length }),
        };
        Ok(())
    }

    /// Moves the block under way to the blocks of the message if all of it is there.
    fn finish_block(&mut self) -> bool {
        let State::Large(block) = &mut self.state else { return false };
        if block.filled < block.total {
            return false;
        }
        let bytes = Bytes::from(std::mem::take(&mut block.bytes));
        self.blocks_bytes += bytes.len();
        self.blocks.push((self.body.len(), bytes));
        self.state = State::Text;
        true
    }

    fn clear(&mut self) {
        self.body.clear();
        self.blocks.clear();
        self.blocks_bytes = 0;
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.clear();
        self.body = Vec::new();
        self.blocks = Vec::new();
    }
}

impl LargeBlock {
    fn extend(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        // Behind `filled` are only the zeros of an earlier `direct`.
        self.bytes.truncate(self.filled);
        self.reserve(self.filled + part.len());
        self.bytes.extend_from_slice(part);
        self.filled += part.len();
    }

    fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() == self.filled {
            self.reserve(self.filled + 1);
            self.bytes.resize(self.bytes.capacity().min(self.total), 0);
        }
        &mut self.bytes[self.filled..]
    }

    fn reserve(&mut self, needed: usize) {
        if needed > self.bytes.capacity() {
            let grown = BLOCK_FIRST_BYTES.max(self.filled * BLOCK_GROWTH).max(needed);
            self.bytes.reserve_exact(grown.min(self.total) - self.bytes.len());
        }
    }
}

/// Takes up to `count` bytes from the front of `input`.
fn take<'i>(input: &mut &'i [u8], count: usize) -> &'i [u8] {
    let (part, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Header;

    fn limits() -> WireLimits {
        WireLimits { message_bytes_max: 1000, large_block_bytes_min: 16, ..WireLimits::default() }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
        digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }

    /// The flattened messages of `input`, given to the framer in parts of `part` bytes.
    fn decode(input: &[u8], part: usize) -> Result<Vec<Vec<u8>>, WireError> {
        let mut framer = Framer::new(limits());
        let mut messages = Vec::new();
        for mut part in input.chunks(part) {
            while let Some(frame) = framer.decode(&mut part)? {
                messages.push(match frame {
                    Frame::Message(body) => body.to_vec(),
                    Frame::EndOfStream => b"<eos>".to_vec(),
                });
            }
            assert!(part.is_empty());
        }
        assert!(framer.buffered_bytes() <= 1000);
        Ok(messages)
    }

    fn assert_decodes(input: &[u8], messages: &[&[u8]]) {
        for part in [1, 2, 3, 7, 16, 10_000] {
            assert_eq!(decode(input, part).unwrap(), messages, "in parts of {part}");
        }
    }

    #[test]
    fn messages_come_apart_at_their_ends() {
        assert_decodes(b"F\0\x03\x01\x03\x01N\x001\0\x03\x01C", &[b"F\0", b"", b"N\x001\0"]);
    }

    #[test]
    fn escapes_and_blocks_are_transparent() {
        // A block that holds an EOM, an empty one, one with a padded length, and one around all.
        let input =
            bytes("4303000303020301 0303 00 0303 91808000 430031004c6f6361746f720073796e6300 0301");
        assert_decodes(&input, &[b"C\x03\x03\x01C\x001\0Locator\0sync\0"]);
        let whole = bytes("0303 11 430031004c6f6361746f720073796e6300 0301");
        assert_decodes(&whole, &[b"C\x001\0Locator\0sync\0"]);
    }

    #[test]
    fn end_of_stream_needs_no_eom_and_drops_what_is_under_way() {
        let input = bytes("430031004c6f6361746f72007379 0302 4300310003010302");
        assert_decodes(&input, &[b"<eos>"]);
        let mut framer = Framer::new(limits());
        assert!(matches!(framer.decode(&mut &input[..]), Ok(Some(Frame::EndOfStream))));
        assert_eq!(framer.buffered_bytes(), 0);
    }

    #[test]
    fn unknown_escapes_are_refused() {
        for part in [1, 100] {
            let error = decode(&bytes("4300 0307 00 0301"), part).unwrap_err();
            assert_eq!(error.code(), 3);
        }
    }

    #[test]
    fn messages_are_bounded_at_the_byte() {
        for (size, is_sound) in [(1000, true), (1001, false)] {
            let text = [vec![b'x'; size], vec![3, 1]].concat();
            let mut block = vec![3, 3, (size & 0x7f) as u8 | 0x80, (size >> 7) as u8];
            block.extend_from_slice(&text);
            let mut mixed = vec![b'x'; 400];
            mixed.extend([3, 3, ((size - 400) & 0x7f) as u8 | 0x80, ((size - 400) >> 7) as u8]);
            mixed.extend_from_slice(&text[400..]);
            let mut escaped = text[1..size].to_vec();
            escaped.extend([3, 0, 3, 1]);
            let mut small = text[10..size].to_vec();
            small.extend([3, 3, 10]);
            small.extend_from_slice(&[3; 10]);
            small.extend([3, 1]);
            for input in [text, block, mixed, escaped, small] {
                for part in [1, 10_000] {
                    match decode(&input, part) {
                        Ok(messages) => assert!(is_sound && messages[0].len() == size),
                        Err(error) => assert!(!is_sound && error.code() == 4),
                    }
                }
            }
        }
    }

    #[test]
    fn block_lengths_have_at_most_five_bytes() {
        assert_decodes(&bytes("0303 81 80 80 80 00 46 00 0301"), &[b"F\0"]);
        for length in ["81 80 80 80 80 00", "ff ff ff ff 7f", "81 80 80 80 10"] {
            let input = bytes(&format!("0303 {length} 46"));
            assert_eq!(decode(&input, 1).unwrap_err().code(), 4);
        }
    }

    #[test]
    fn a_claimed_block_costs_nothing_until_it_comes() {
        let mut framer = Framer::new(WireLimits::default());
        let head = [b"C\0".as_slice(), &[3, 3, 0x80, 0x80, 0x80, 0x08]].concat();
        assert!(framer.decode(&mut &head[..]).unwrap().is_none());
        assert!((2..=16).contains(&framer.buffered_bytes()));
        let room = framer.direct().unwrap().len();
        assert_eq!(room, BLOCK_FIRST_BYTES);
        framer.filled(room);
        assert!(framer.direct().unwrap().len() <= (BLOCK_GROWTH - 1) * BLOCK_FIRST_BYTES);
    }

    #[test]
    fn large_blocks_are_read_in_place() {
        let limits = WireLimits { large_block_bytes_min: 16, ..WireLimits::default() };
        let mut framer = Framer::new(limits.clone());
        let head = b"C\x001\0Streams\0write\0\"VS0\"\x00200000\0(200000)\x03\x03\xc0\x9a\x0cab";
        assert!(framer.decode(&mut &head[..]).unwrap().is_none());
        let mut left = 199_998;
        while let Some(room) = framer.direct() {
            let count = room.len().min(50_000).min(left);
            room[..count].fill(b'x');
            framer.filled(count);
            left -= count;
        }
        assert_eq!(left, 0);
        assert_eq!(framer.blocks[0].1.len(), 200_000);
        let mut tail = &b"\0\x03\x01"[..];
        let Some(Frame::Message(body)) = framer.decode(&mut tail).unwrap() else { panic!() };
        let (header, mut arguments) = body.open(&limits).unwrap();
        assert!(matches!(header, Header::Command { .. }));
        assert_eq!(arguments.string().unwrap(), "VS0");
        assert_eq!(arguments.integer().unwrap(), 200_000);
        let data = arguments.binary().unwrap();
        assert!(matches!(&data, crate::wire::Binary::Owned(bytes) if bytes[..4] == *b"abxx"));
        arguments.end().unwrap();
    }

    #[test]
    fn an_idle_framer_holds_next_to_nothing() {
        let mut framer = Framer::new(WireLimits::default());
        let big = [vec![b'x'; 100_000], vec![3, 0], vec![3, 1]].concat();
        let mut input = &big[..];
        assert!(framer.decode(&mut input).unwrap().is_some());
        assert!(framer.decode(&mut input).unwrap().is_none());
        assert_eq!(framer.body.capacity(), 0);
        let mut parts = [&b"C\x001"[..], &b"\0\x03\x01"[..]];
        assert!(framer.decode(&mut parts[0]).unwrap().is_none());
        assert!((3..=16).contains(&framer.buffered_bytes()));
        assert!(framer.decode(&mut parts[1]).unwrap().is_some());
        assert!(framer.decode(&mut parts[1]).unwrap().is_none());
        assert!((1..=IDLE_BYTES_MAX).contains(&framer.body.capacity()));
    }

    #[test]
    fn a_message_that_came_in_parts_holds_nothing_once_its_memory_is_given_back() {
        let block = [&b"C\0"[..], &[3, 3, 0x80, 0x80, 0x04], &[b'x'; 65_536], &[0]].concat();
        for front in [vec![b'x'; 60_000], block] {
            let mut framer = Framer::new(WireLimits::default());
            assert!(framer.decode(&mut &front[..]).unwrap().is_none());
            assert!(framer.decode(&mut &[3, 1][..]).unwrap().is_some());
            assert!(framer.buffered_bytes() >= 60_000);
            framer.give_memory_back();
            assert_eq!(framer.buffered_bytes(), 0);
            assert!(framer.body.capacity() <= IDLE_BYTES_MAX);
            assert!(framer.is_at_start());
            let next = framer.decode(&mut &b"E\0\x03\x01"[..]).unwrap();
            assert!(matches!(next, Some(Frame::Message(_))));
        }
    }
}
