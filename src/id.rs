//! Newtypes for every number and name that travels between rooms.
//!
//! Nothing here knows a socket, a message or a stream's contents; every room may use this one.

use std::fmt;

/// One worker thread, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

impl WorkerId {
    /// The worker's place in a table of all workers.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One TCF channel, unique as long as the process lives: a slot of a worker's table and the
/// generation that tells today's owner of the slot from yesterday's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId {
    /// The worker that carries the channel.
    pub worker: WorkerId,
    /// The channel's slot on that worker.
    pub slot: u32,
    /// How many channels had the slot before.
    pub generation: u32,
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.worker, self.slot, self.generation)
    }
}

/// Through which door a channel came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Door {
    /// A TCF connection.
    #[default]
    Tcf,
    /// An HTTP request; the broker itself speaks TCF for it.
    Http,
}

impl Door {
    /// All of them.
    pub const ALL: [Door; 2] = [Door::Tcf, Door::Http];

    /// Its name in `/stats` and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Door::Tcf => "tcf",
            Door::Http => "http",
        }
    }
}

/// One stream. On the wire it is `VS` and decimal digits, as in the reference agent
/// (`VS<decimal>`), and the number modulo the count of workers is the stream's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

impl StreamId {
    /// Reads exactly what [`fmt::Display`] writes: no leading zero, no sign, no blank.
    pub fn parse(text: &[u8]) -> Option<StreamId> {
        let digits = text.strip_prefix(b"VS")?;
        let canonical = match digits {
            [] => false,
            [b'0'] => true,
            [first, ..] => *first != b'0',
        };
        if !canonical || digits.len() > 20 {
            return None;
        }
        let mut number = 0u64;
        for &digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        }
        Some(StreamId(number))
    }

    /// The worker that owns the stream, where `workers` is the count of workers (at least 1).
    pub fn home(self, workers: u16) -> WorkerId {
        WorkerId((self.0 % u64::from(workers)) as u16)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VS{}", self.0)
    }
}

/// An absolute position in a stream: the count of bytes before it since the stream's birth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub u64);

impl Offset {
    /// The first byte of a stream.
    pub const ZERO: Offset = Offset(0);

    /// The position `bytes` further on.
    pub fn plus(self, bytes: u64) -> Offset {
        Offset(self.0 + bytes)
    }

    /// How many bytes lie between `earlier` and here; 0 where `earlier` is not earlier.
    pub fn since(self, earlier: Offset) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The position `bytes` before here, or 0.
    pub fn back(self, bytes: u64) -> Offset {
        Offset(self.0.saturating_sub(bytes))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The string that ties a reply to its command (TCF specification, "Token"): opaque, echoed byte
/// for byte. Tokens of deployed peers are short decimal counters, so short ones need no allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(TokenBytes);

#[derive(Clone, PartialEq, Eq, Hash)]
enum TokenBytes {
    Inline { len: u8, bytes: [u8; Token::INLINE_BYTES] },
    Heap(Box<[u8]>),
}

impl Token {
    const INLINE_BYTES: usize = 22;

    /// Keeps a copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Token {
        if bytes.len() <= Token::INLINE_BYTES {
            let mut inline = [0; Token::INLINE_BYTES];
            inline[..bytes.len()].copy_from_slice(bytes);
            Token(TokenBytes::Inline { len: bytes.len() as u8, bytes: inline })
        } else {
            Token(TokenBytes::Heap(bytes.into()))
        }
    }

    /// Bytes that it keeps in memory of its own; none where it is short.
    pub fn heap_bytes(&self) -> u64 {
        match &self.0 {
            TokenBytes::Inline { .. } => 0,
            TokenBytes::Heap(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            TokenBytes::Inline { len, bytes } => &bytes[..usize::from(*len)],
            TokenBytes::Heap(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_id_reads_only_what_it_writes() {
        for number in [0, 1, 10, 4_294_967_295, u64::MAX] {
            let text = StreamId(number).to_string();
            assert_eq!(StreamId::parse(text.as_bytes()), Some(StreamId(number)));
        }
        for lax in ["VS", "VS 1", "VS00", "VS-1", "VS+1", "vs1", "1", "VS18446744073709551616", ""]
        {
            assert_eq!(StreamId::parse(lax.as_bytes()), None, "{lax:?}");
        }
    }

    #[test]
    fn token_keeps_every_byte_at_and_past_its_inline_size() {
        for len in [0, 1, Token::INLINE_BYTES, Token::INLINE_BYTES + 1, 300] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 255) as u8 + 1).collect();
            assert_eq!(Token::new(&bytes).as_bytes(), bytes);
        }
    }
}
