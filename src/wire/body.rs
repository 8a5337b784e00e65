//! One whole message, its header fields, and the walk over its pieces.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memchr;

use crate::wire::{Arguments, Header, WireError, WireLimits};

/// Bytes of an `F` level at most: far beyond any number between -100 and 100.
const LEVEL_BYTES_MAX: usize = 20;

/// One whole message: text, with large BIN blocks kept apart in their own memory.
#[derive(Debug)]
pub struct Body<'a> {
    text: &'a [u8],
    /// Blocks and their positions in `text`, in order.
    blocks: &'a [(usize, Bytes)],
}

impl<'a> Body<'a> {
    pub(crate) fn new(text: &'a [u8], blocks: &'a [(usize, Bytes)]) -> Body<'a> {
        Body { text, blocks }
    }

    /// Reads the header fields, and gives what reads the arguments behind them.
    pub fn open(self, limits: &'a WireLimits) -> Result<(Header<'a>, Arguments<'a>), WireError> {
        let mut pieces = Pieces::new(self.text, self.blocks);
        let kind = match *pieces.field(limits.name_bytes_max, "Message type")? {
            [kind] => kind,
            _ => return Err(WireError::Protocol("Message type is not one character".into())),
        };
        let header = match kind {
            b'C' => Header::Command {
                token: pieces.field(limits.token_bytes_max, "Token")?,
                service: pieces.field(limits.name_bytes_max, "Service name")?,
                name: pieces.field(limits.name_bytes_max, "Command name")?,
            },
            b'R' => Header::Reply { token: pieces.field(limits.token_bytes_max, "Token")? },
            b'P' => Header::Progress { token: pieces.field(limits.token_bytes_max, "Token")? },
            b'N' => Header::NotRecognized { token: pieces.field(limits.token_bytes_max, "Token")? },
            b'E' => Header::Event {
                service: pieces.field(limits.name_bytes_max, "Service name")?,
                name: pieces.field(limits.name_bytes_max, "Event name")?,
            },
            b'F' => Header::FlowControl { level: level(&mut pieces)? },
            _ => return Err(WireError::Protocol("Unknown message type".into())),
        };
        Ok((header, Arguments::new(pieces, limits)))
    }

    /// The whole message as one copy, header and all (for relays, tests and tools).
    pub fn to_vec(&self) -> Vec<u8> {
        Pieces::new(self.text, self.blocks).join().into_owned()
    }
}

/// Reads a congestion level. It comes with or without its NUL, and an empty one is 0.
fn level(pieces: &mut Pieces<'_>) -> Result<i64, WireError> {
    let bad = || WireError::Protocol("Congestion level is not an integer".into());
    if pieces.len() > LEVEL_BYTES_MAX {
        return Err(bad());
    }
    let field = pieces.join();
    let field = field.strip_suffix(&[0]).unwrap_or(&field);
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    if field.is_empty() {
        return Ok(0);
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let size =
        digits.iter().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(100));
    Ok(if digits.len() < field.len() { -size } else { size })
}

/// What is left of a message, piece by piece: its text and, inside, its large blocks. In nearly all
/// messages `here` is everything.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    /// The piece under way.
    pub(crate) here: &'a [u8],
    /// The block that `here` is the rest of.
    pub(crate) block: Option<&'a Bytes>,
    /// Text behind `here`.
    text: &'a [u8],
    /// Where `text` begins in the text of the message.
    position: usize,
    /// Blocks behind `here`.
    blocks: &'a [(usize, Bytes)],
}

impl<'a> Pieces<'a> {
    fn new(text: &'a [u8], blocks: &'a [(usize, Bytes)]) -> Pieces<'a> {
        let mut pieces = Pieces { here: &[], block: None, text, position: 0, blocks };
        pieces.advance();
        pieces
    }

    /// Whether `here` is all that is left.
    pub(crate) fn is_last(&self) -> bool {
        self.text.is_empty() && self.blocks.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.here.is_empty() && self.is_last()
    }

    /// Bytes left.
    pub(crate) fn len(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|(_, block)| block.len()).sum();
        self.here.len() + self.text.len() + blocks
    }

    /// Leaves what is left of `here` and goes to the next piece; `false` if there is none.
    pub(crate) fn advance(&mut self) -> bool {
        if let Some((at, block)) = self.blocks.first()
            && *at == self.position
        {
            self.blocks = &self.blocks[1..];
            self.here = block;
            self.block = Some(block);
            return true;
        }
        if self.text.is_empty() {
            self.here = &[];
            return false;
        }
        let end = self.blocks.first().map_or(self.text.len(), |(at, _)| at - self.position);
        (self.here, self.text) = self.text.split_at(end);
        self.block = None;
        self.position += end;
        true
    }

    /// Copies the next `count` bytes behind each other; `None` if there are fewer.
    pub(crate) fn copy(&mut self, count: usize) -> Option<Vec<u8>> {
        if count > self.len() {
            return None;
        }
        let mut copy = Vec::with_capacity(count);
        loop {
            let part = self.here.len().min(count - copy.len());
            copy.extend_from_slice(&self.here[..part]);
            self.here = &self.here[part..];
            if copy.len() == count {
                return Some(copy);
            }
            self.advance();
        }
    }

    /// Takes everything that is left, in one piece.
    pub(crate) fn join(&mut self) -> Cow<'a, [u8]> {
        if self.is_last() {
            return Cow::Borrowed(std::mem::take(&mut self.here));
        }
        Cow::Owned(self.copy(self.len()).expect("as many bytes as `len` counted"))
    }

    /// Takes a header field and its NUL.
    fn field(&mut self, bytes_max: usize, what: &str) -> Result<Cow<'a, [u8]>, WireError> {
        let too_long = || WireError::Limit(format!("{what} too long"));
        let mut gathered = Vec::new();
        loop {
            let end = memchr(0, self.here);
            let part = &self.here[..end.unwrap_or(self.here.len())];
            if gathered.len() + part.len() > bytes_max {
                return Err(too_long());
            }
            let Some(end) = end else {
                gathered.extend_from_slice(part);
                if !self.advance() {
                    return Err(WireError::Protocol(format!("{what} without its end")));
                }
                continue;
            };
            self.here = &self.here[end + 1..];
            if gathered.is_empty() {
                return Ok(Cow::Borrowed(part));
            }
            gathered.extend_from_slice(part);
            return Ok(Cow::Owned(gathered));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &[u8]) -> Result<Header<'_>, WireError> {
        let limits: &WireLimits = Box::leak(Box::default());
        Body::new(text, &[]).open(limits).map(|(header, _)| header)
    }

    #[test]
    fn header_fields_are_borrowed() {
        let header = open(b"C\x0012\0Streams\0read\0\"VS0\"\0").unwrap();
        let Header::Command { token, service, name } = header else { panic!() };
        assert!(matches!(token, Cow::Borrowed(b"12")));
        assert!(matches!(service, Cow::Borrowed(b"Streams")));
        assert!(matches!(name, Cow::Borrowed(b"read")));
        assert_eq!(open(b"N\0\0").unwrap(), Header::NotRecognized { token: b"".into() });
        assert_eq!(open(b"R\0a\x03\0").unwrap(), Header::Reply { token: b"a\x03".into() });
        assert_eq!(open(b"P\x001\0").unwrap(), Header::Progress { token: b"1".into() });
        let event = Header::Event { service: b"Foo".into(), name: b"bar".into() };
        assert_eq!(open(b"E\0Foo\0bar\0\"x\"\0").unwrap(), event);
    }

    #[test]
    fn broken_headers_are_protocol_errors() {
        let broken: [&[u8]; 11] = [
            b"",
            b"C",
            b"\x001\0",
            b"CC\x001\0Locator\0sync\0",
            b"X\x001\0",
            b"C\x001",
            b"C\x001\0Locator\0",
            b"C\x001\0Locator\0sync",
            b"E\0Nope",
            b"R\x001",
            b"C\0",
        ];
        for text in broken {
            assert_eq!(open(text).unwrap_err().code(), 3, "{text:?}");
        }
    }

    #[test]
    fn congestion_levels_come_with_and_without_nul() {
        let levels: [(&[u8], i64); 8] = [
            (b"", 0),
            (b"\0", 0),
            (b"0\0", 0),
            (b"100\0", 100),
            (b"-100\0", -100),
            (b"-5", -5),
            (b"007", 7),
            (b"-99999999999", -100),
        ];
        for (text, level) in levels {
            let message = [b"F\0", text].concat();
            assert_eq!(open(&message).unwrap(), Header::FlowControl { level });
        }
        for text in ["abc\0", "1\x002\0", "-", "1.5", " 1", "111111111111111111111"] {
            let message = [b"F\0", text.as_bytes()].concat();
            assert_eq!(open(&message).unwrap_err().code(), 3, "{text:?}");
        }
    }

    #[test]
    fn long_fields_are_refused() {
        let limits = WireLimits { token_bytes_max: 3, name_bytes_max: 4, ..WireLimits::default() };
        let code =
            |text: &[u8]| Body::new(text, &[]).open(&limits).map_err(|error| error.code()).err();
        assert_eq!(code(b"C\x00123\0abcd\0abcd\0"), None);
        assert_eq!(code(b"C\x001234\0abcd\0abcd\0"), Some(4));
        assert_eq!(code(b"C\x00123\0abcde\0abcd\0"), Some(4));
        assert_eq!(code(b"C\x00123\0abcd\0abcde\0"), Some(4));
        assert_eq!(code(b"C\x00123\0abcde"), Some(4));
    }

    #[test]
    fn fields_and_arguments_cross_pieces() {
        let whole = b"C\x00123\0Streams\0read\0\"VS0\"\x00100\0";
        let limits = WireLimits::default();
        for at in 0..whole.len() {
            for length in 1..=whole.len() - at {
                let text = [&whole[..at], &whole[at + length..]].concat();
                let blocks = [(at, Bytes::copy_from_slice(&whole[at..at + length]))];
                let body = Body::new(&text, &blocks);
                assert_eq!(body.to_vec(), whole);
                let (header, mut arguments) = body.open(&limits).unwrap();
                assert_eq!(header, open(whole).unwrap());
                assert_eq!(arguments.string().unwrap(), "VS0");
                assert_eq!(arguments.integer().unwrap(), 100);
                arguments.end().unwrap();
            }
        }
    }
}
