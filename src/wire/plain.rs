//! `Streams.write` and `Streams.read` in the form that nearly all clients give them, read in one
//! pass where they lie.
//!
//! Nothing is decided here that [`Framer`](crate::wire::Framer) and
//! [`Arguments`](crate::wire::Arguments) would decide otherwise: what is not exactly of that form,
//! or not there in whole, is left to them.

use crate::id::StreamId;
use crate::wire::WireLimits;

/// Before a byte of data, or around a whole message: `ESC 3`, the begin of a BIN block.
const BIN: &[u8] = &[3, 3];
/// `ESC 1`.
const EOM: &[u8] = &[3, 1];
/// Behind the data of a write: its NUL, and EOM.
const DATA_END: &[u8] = &[0, 3, 1];
/// The escape byte, which no field read here may hold.
const ESC: u8 = 3;

/// Digits of a number at most: whatever they are, 64 bits hold it.
const DIGITS_MAX: usize = 19;

/// One command of the data path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain<'i> {
    /// `Streams.write`, its size that of its data.
    Write {
        /// Ties the reply to the command.
        token: PlainToken<'i>,
        /// Which stream.
        stream: StreamId,
        /// The bytes.
        data: &'i [u8],
    },
    /// `Streams.read`.
    Read {
        /// Ties the reply to the command.
        token: PlainToken<'i>,
        /// Which stream.
        stream: StreamId,
        /// The most bytes that the reply may carry.
        size: u64,
    },
}

/// A token as those of deployed peers are, which use decimal counters: short, and without a byte
/// that needs an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainToken<'i>(&'i [u8]);

impl<'i> PlainToken<'i> {
    /// Bytes at most.
    pub const BYTES_MAX: usize = 22;

    /// `None` for any other token.
    pub fn new(token: &'i [u8]) -> Option<PlainToken<'i>> {
        let is_plain = token.len() <= PlainToken::BYTES_MAX && !token.contains(&ESC);
        is_plain.then_some(PlainToken(token))
    }

    /// Its bytes.
    #[inline]
    pub fn as_bytes(self) -> &'i [u8] {
        self.0
    }
}

/// Takes such commands off the front of some input.
#[derive(Debug)]
pub struct PlainCommands<'i> {
    /// What is left.
    rest: &'i [u8],
    message_bytes_max: usize,
    /// The last write that was taken: the next is most likely of the same stream and size.
    last: Option<Write<'i>>,
}

/// What two writes of one stream and one size have in common.
#[derive(Clone, Copy, Debug)]
struct Write<'i> {
    stream: StreamId,
    /// Between token and data.
    stem: &'i [u8],
    count: usize,
}

impl<'i> PlainCommands<'i> {
    /// Begins at the start of a message.
    pub fn new(input: &'i [u8], limits: &WireLimits) -> PlainCommands<'i> {
        PlainCommands { rest: input, message_bytes_max: limits.message_bytes_max, last: None }
    }

    /// What has not been taken.
    #[inline]
    pub fn rest(&self) -> &'i [u8] {
        self.rest
    }

    /// Reads the message in front; `None`, and nothing is taken, where it takes more than one look.
    ///
    /// Inlined whatever the compiler thinks of it: handed over in memory, what is found is stored
    /// in small parts and loaded in large ones, and waiting for that took half the time of a write.
    #[inline(always)]
    pub fn take(&mut self) -> Option<Plain<'i>> {
        let plain = match self.last {
            Some(last) => self.take_alike(&last),
            None => None,
        };
        plain.or_else(|| self.take_any())
    }

    fn take_any(&mut self) -> Option<Plain<'i>> {
        if self.rest.first() == Some(&ESC) {
            return self.take_block();
        }
        let message = self.rest;
        let mut text = Text { rest: message };
        let plain = text.command(true)?;
        text.literal(EOM)?;
        let behind = text.rest;
        self.advance(behind)?;
        if let Plain::Write { token, stream, data } = plain {
            // Behind `C`, the token and their NULs; before the data and its end.
            let from = &message[2 + token.as_bytes().len() + 1..];
            let stem = &from[..from.len() - behind.len() - DATA_END.len() - data.len()];
            self.last = Some(Write { stream, stem, count: data.len() });
        }
        Some(plain)
    }

    /// Reads a write like the last.
    #[inline(always)]
    fn take_alike(&mut self, last: &Write<'i>) -> Option<Plain<'i>> {
        let mut message = Text { rest: self.rest };
        message.literal(b"C\0")?;
        let token = message.token()?;
        message.literal(last.stem)?;
        let data = message.bytes(last.count)?;
        message.literal(DATA_END)?;
        self.advance(message.rest)?;
        Some(Plain::Write { token, stream: last.stream, data })
    }

    /// Leaves a message behind. `None` where it is over the limit; with its framing it is longer
    /// than the limit means, which is no more than a detour.
    #[inline]
    fn advance(&mut self, rest: &'i [u8]) -> Option<()> {
        if self.rest.len() - rest.len() > self.message_bytes_max {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    /// Reads a message that is one BIN block, as some peers send all of theirs.
    fn take_block(&mut self) -> Option<Plain<'i>> {
        let mut message = Text { rest: self.rest };
        message.literal(BIN)?;
        let length = message.varint()?;
        let mut block = Text { rest: message.bytes(length)? };
        message.literal(EOM)?;
        let plain = block.command(false)?;
        if !block.rest.is_empty() || length > self.message_bytes_max {
            return None;
        }
        self.rest = message.rest;
        Some(plain)
    }
}

/// What is left of the message.
struct Text<'i> {
    rest: &'i [u8],
}

impl<'i> Text<'i> {
    /// Everything up to EOM. `is_framed`: data may be in a BIN block, and is not if it is bare.
    #[inline]
    fn command(&mut self, is_framed: bool) -> Option<Plain<'i>> {
        self.literal(b"C\0")?;
        let token = self.token()?;
        self.literal(b"Streams\0")?;
        let is_write = self.rest.first() == Some(&b'w');
        self.literal(if is_write { b"write\0\"VS" } else { b"read\0\"VS" })?;
        let stream = StreamId(self.canonical_number()?);
        self.literal(b"\"\0")?;
        let size = self.number()?;
        self.literal(b"\0")?;
        if !is_write {
            return Some(Plain::Read { token, stream, size });
        }
        self.literal(b"(")?;
        let count = self.number()?;
        self.literal(b")")?;
        if count != size {
            return None;
        }
        let count = usize::try_from(count).ok()?;
        let data = match is_framed {
            true => self.block(count)?,
            false => {
                let data = self.bytes(count)?;
                self.literal(b"\0")?;
                data
            }
        };
        Some(Plain::Write { token, stream, data })
    }

    /// `count` bytes of data in a BIN block, and the NUL in the block or behind it.
    #[inline]
    fn block(&mut self, count: usize) -> Option<&'i [u8]> {
        self.literal(BIN)?;
        let length = self.varint()?;
        if length != count && length != count + 1 {
            return None;
        }
        let data = self.bytes(count)?;
        self.literal(b"\0")?;
        Some(data)
    }

    #[inline]
    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    #[inline]
    fn bytes(&mut self, count: usize) -> Option<&'i [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline]
    fn token(&mut self) -> Option<PlainToken<'i>> {
        let end = match self.rest.first_chunk() {
            Some(near) => match first_nul_or_esc(u64::from_le_bytes(*near)) {
                8 => self.long_token_end()?,
                end => end,
            },
            None => self.long_token_end()?,
        };
        let token = self.bytes(end)?;
        // It ends here, or at an ESC, which is no end.
        self.literal(b"\0")?;
        Some(PlainToken(token))
    }

    fn long_token_end(&self) -> Option<usize> {
        let near = &self.rest[..self.rest.len().min(PlainToken::BYTES_MAX + 1)];
        near.iter().position(|byte| matches!(*byte, 0 | ESC))
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let near = &self.rest[..self.rest.len().min(DIGITS_MAX + 1)];
        let mut number = 0;
        let mut digits = 0;
        for byte in near {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            digits += 1;
            if digits > DIGITS_MAX {
                return None;
            }
            number = number * 10 + u64::from(digit);
        }
        self.rest = &self.rest[digits..];
        (digits > 0).then_some(number)
    }

    /// A number without a zero in front of others.
    #[inline]
    fn canonical_number(&mut self) -> Option<u64> {
        let begins_with_zero = self.rest.first() == Some(&b'0');
        let before = self.rest.len();
        let number = self.number()?;
        (!begins_with_zero || before - self.rest.len() == 1).then_some(number)
    }

    /// The length of a BIN block, as long as a length that matters can be.
    #[inline]
    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for index in 0..4 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// The place of the first byte, of eight, that is a NUL or an ESC; 8 if none is.
#[inline]
fn first_nul_or_esc(bytes: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The high bit of a byte that is zero; above the first such byte it may be set for others too.
    let zeros = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
    let found = zeros(bytes) | zeros(bytes ^ (ONES * ESC as u64));
    found.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &[u8]) -> Option<(Plain<'_>, usize)> {
        let mut commands = PlainCommands::new(text, &WireLimits::default());
        let plain = commands.take();
        assert!(plain.is_some() || commands.rest() == text);
        plain.map(|plain| (plain, text.len() - commands.rest().len()))
    }

    fn write(data: &[u8]) -> Plain<'_> {
        Plain::Write { token: PlainToken(b"12"), stream: StreamId(7), data }
    }

    #[test]
    fn the_forms_of_deployed_clients_are_taken() {
        let head = b"C\x0012\0Streams\0write\0\"VS7\"\x004\0(4)";
        for (tail, data) in [
            (&b"\x03\x03\x04a\x03\x01\0\0\x03\x01"[..], b"a\x03\x01\0"),
            (b"\x03\x03\x84\x00abcd\0\x03\x01", b"abcd"),
            (b"\x03\x03\x05abcd\0\x03\x01", b"abcd"),
        ] {
            let message = [head, tail].concat();
            assert_eq!(take(&message), Some((write(data), message.len())));
            let with_next = [&message[..], b"C\x00"].concat();
            assert_eq!(take(&with_next), Some((write(data), message.len())));
            for end in 0..message.len() {
                assert_eq!(take(&message[..end]), None);
            }
        }
        let body = [&head[..], b"ab\x03\x01\0"].concat();
        let message = [&[3, 3, body.len() as u8], &body[..], &[3, 1]].concat();
        assert_eq!(take(&message), Some((write(b"ab\x03\x01"), message.len())));
        let read = b"C\x00r\0Streams\0read\0\"VS0\"\x001048576\0\x03\x01";
        let plain = Plain::Read { token: PlainToken(b"r"), stream: StreamId(0), size: 1 << 20 };
        assert_eq!(take(read), Some((plain, read.len())));
    }

    #[test]
    fn all_else_is_left_to_the_others() {
        for text in [
            &b""[..],
            b"\x03\x01",
            b"E\0Locator\0Hello\0[]\0\x03\x01",
            b"C\x001\0Streams\0connect\0\"VS0\"\0\x03\x01",
            b"C\x001\0Streams\0read\0\"VS00\"\x001\0\x03\x01",
            b"C\x001\0Streams\0read\0\"VS1\"\0-1\0\x03\x01",
            b"C\x001\0Streams\0read\0\"VS1\"\0 1\0\x03\x01",
            b"C\x001\0Streams\0read\0\"VS1\"\x00123\0\"x\"\0\x03\x01",
            b"C\x001\0Streams\0read\0\"VS12345678901234567890\"\x001\0\x03\x01",
            b"C\x00t\x03\0\0Streams\0read\0\"VS1\"\x001\0\x03\x01",
            b"C\x0012345678901234567890123\0Streams\0read\0\"VS1\"\x001\0\x03\x01",
            b"C\x001\0Streams\0write\0\"VS1\"\x003\0(2)\x03\x03\x02ab\0\x03\x01",
            b"C\x001\0Streams\0write\0\"VS1\"\x002\0(2)ab\0\x03\x01",
            b"C\x001\0Streams\0write\0\"VS1\"\x002\0\"YWI=\"\0\x03\x01",
            b"C\x001\0Streams\0write\0\"VS1\"\x002\0(2)\x03\x03\x03abc\0\x03\x01",
            b"\x03\x03\x1dC\x001\0Streams\0read\0\"VS1\"\x001\0\x03\x01",
        ] {
            assert_eq!(take(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_message_over_the_limit_is_left_to_the_framer() {
        let message = b"C\x001\0Streams\0read\0\"VS1\"\x001\0\x03\x01";
        for (most, is_taken) in [(message.len(), true), (message.len() - 1, false)] {
            let limits = WireLimits { message_bytes_max: most, ..WireLimits::default() };
            assert_eq!(PlainCommands::new(message, &limits).take().is_some(), is_taken);
        }
    }
    #[test]
    fn writes_alike_and_others_come_apart() {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (round, size) in [3, 3, 3, 0, 5, 3, 3, 300, 300, 3].into_iter().enumerate() {
            let data = vec![b'0' + round as u8; size];
            let token = "1".repeat(1 + (round * 7) % 22);
            bytes.extend(format!("C\0{token}\0Streams\0write\0\"VS{}\"\0", round / 6).bytes());
            bytes.extend(format!("{size}\0({size})").bytes());
            bytes.extend([3, 3, size as u8 | 0x80, (size >> 7) as u8]);
            bytes.extend(&data);
            bytes.extend([0, 3, 1]);
            expected.push((token, round as u64 / 6, data));
        }
        let mut commands = PlainCommands::new(&bytes, &WireLimits::default());
        for (token, number, data) in &expected {
            let stream = StreamId(*number);
            let plain = Plain::Write { token: PlainToken(token.as_bytes()), stream, data };
            assert_eq!(commands.take(), Some(plain));
        }
        assert!(commands.rest().is_empty());
    }

    #[test]
    fn the_first_end_of_a_token_is_found() {
        assert_eq!(first_nul_or_esc(u64::from_le_bytes(*b"12345678")), 8);
        for at in 0..8 {
            for end in [0, ESC] {
                let mut bytes = *b"\x01\x02\x04\x80\x83\xff\x7f9";
                bytes[at] = end;
                assert_eq!(first_nul_or_esc(u64::from_le_bytes(bytes)), at);
                bytes[7] = 0;
                assert_eq!(first_nul_or_esc(u64::from_le_bytes(bytes)), at);
            }
        }
    }
}
