//! One whole message, its header fields, and the walk over its pieces.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memchr;

use crate::wire::{Arguments, Header, Limits, WireError};

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
    pub fn open(self, limits: &'a Limits) -> Result<(Header<'a>, Arguments<'a>), WireError> {
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
