//! The arguments of a message: JSON values, each with its NUL behind it, and binary data.

use std::borrow::Cow;

use bytes::{Buf, Bytes};
use serde_json::{Map, Value};

use crate::wire::body::Pieces;
use crate::wire::scanner::Scanner;
use crate::wire::{WireError, WireLimits};

/// Reads the arguments of one message in order. A wrong type, a missing or an extra argument is a
/// [`WireError`] with the code that the reference agent gives. After an error it is of no further
/// use.
///
/// A value nearly always lies in one piece of the message with its NUL, and is read there. When one
/// does not, all that is left is copied into one piece, once.
#[derive(Debug)]
pub struct Arguments<'a> {
    pieces: Pieces<'a>,
    /// What is left, in one piece of our own; then `pieces` is empty.
    joined: Option<Bytes>,
    limits: &'a WireLimits,
}

/// Binary data in any of its three forms: `"base64"`, `(N)raw`, `null`.
#[derive(Debug, PartialEq, Eq)]
pub enum Binary<'a> {
    /// Lies in the receive buffer, or is a small part of a large block.
    Borrowed(&'a [u8]),
    /// Has its own memory.
    Owned(Bytes),
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(pieces: Pieces<'a>, limits: &'a WireLimits) -> Arguments<'a> {
        Arguments { pieces, joined: None, limits }
    }

    /// A string. `null` is the empty string, as in the reference. Invalid UTF-8 is replaced.
    pub fn string(&mut self) -> Result<Cow<'a, str>, WireError> {
        self.optional_string().map(Option::unwrap_or_default)
    }

    /// A string, or `None` for `null`.
    pub fn optional_string(&mut self) -> Result<Option<Cow<'a, str>>, WireError> {
        self.text(|scanner| scanner.string())
    }

    /// A string that must be there: `null` is an error too.
    pub fn required_string(&mut self) -> Result<Cow<'a, str>, WireError> {
        // Code 2, not 3: the reference takes the null, and then misses a string.
        self.optional_string()?.ok_or_else(|| WireError::Json("Expected a string, got null".into()))
    }

    /// The same as bytes, whatever they are: for what is to come back as it was.
    pub fn required_bytes(&mut self) -> Result<Vec<u8>, WireError> {
        self.value(|scanner| scanner.byte_string())?
            .ok_or_else(|| WireError::Json("Expected a string, got null".into()))
    }

    /// An integer as the reference reads it: `-?[0-9]+`, wrapping modulo 2^64; seen as unsigned, so
    /// -1 is `u64::MAX`.
    pub fn integer(&mut self) -> Result<u64, WireError> {
        self.value(|scanner| scanner.integer())
    }

    /// `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, WireError> {
        self.value(|scanner| scanner.boolean())
    }

    /// A number as text, characters `0-9 + - . e E`, or `null`.
    pub fn number_text(&mut self) -> Result<Cow<'a, str>, WireError> {
        self.text(|scanner| scanner.number_text().map(Some)).map(Option::unwrap_or_default)
    }

    /// Binary data. Raw data is owned, without a copy, where it fills at least half of a large BIN
    /// block; less than that would keep too much memory alive for what it is.
    pub fn binary(&mut self) -> Result<Binary<'a>, WireError> {
        let head = self.value_without_end(|scanner| match scanner.peek_value() {
            Some(b'(') => scanner.count().map(Head::Raw),
            Some(b'"') => scanner.base64().map(Head::Decoded),
            Some(b'n') => scanner.word("null").map(|()| Head::Null),
            _ => Err(WireError::Protocol("An argument is not binary data".into())),
        })?;
        let binary = match head {
            Head::Null => Binary::Borrowed(&[]),
            Head::Decoded(bytes) => Binary::Owned(bytes.into()),
            Head::Raw(count) => self.raw(usize::try_from(count).unwrap_or(usize::MAX))?,
        };
        self.value(|_| Ok(()))?;
        Ok(binary)
    }

    /// Any JSON value. An empty argument is `Null`.
    pub fn json(&mut self) -> Result<Value, WireError> {
        self.value(|scanner| match scanner.peek_value() {
            Some(0) => Ok(Value::Null),
            _ => scanner.value(),
        })
    }

    /// A JSON object, or an empty one for `null`.
    pub fn object(&mut self) -> Result<Map<String, Value>, WireError> {
        self.value(|scanner| scanner.object())
    }

    /// Whether no argument is left.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.joined.as_ref().is_none_or(Bytes::is_empty)
    }

    /// Ends the reading; an argument that is left over is an error.
    pub fn end(mut self) -> Result<(), WireError> {
        if self.is_empty() {
            return Ok(());
        }
        self.join();
        Err(Scanner::new(self.left(), self.limits).expected("<eom>"))
    }

    /// Reads a value that keeps nothing of the message, and its NUL.
    fn value<T>(
        &mut self,
        read: impl Fn(&mut Scanner<'_>) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        self.value_without_end(|scanner| {
            let value = read(scanner)?;
            scanner.end_argument().map(|()| value)
        })
    }

    fn value_without_end<T>(
        &mut self,
        read: impl Fn(&mut Scanner<'_>) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        self.settle();
        loop {
            let mut scanner = Scanner::new(self.left(), self.limits);
            let result = read(&mut scanner);
            let taken = self.left().len() - scanner.rest.len();
            match result {
                Ok(value) => {
                    self.skip(taken);
                    return Ok(value);
                }
                Err(error) if self.pieces.is_last() => return Err(error),
                Err(_) => self.join(),
            }
        }
    }

    /// Reads text and its NUL; it is borrowed unless it had to be joined.
    fn text(
        &mut self,
        read: impl for<'b> Fn(&mut Scanner<'b>) -> Result<Option<Cow<'b, str>>, WireError>,
    ) -> Result<Option<Cow<'a, str>>, WireError> {
        self.settle();
        if self.joined.is_none() {
            let mut scanner = Scanner::new(self.pieces.here, self.limits);
            match read(&mut scanner).and_then(|text| scanner.end_argument().map(|()| text)) {
                Ok(text) => {
                    self.pieces.here = scanner.rest;
                    return Ok(text);
                }
                Err(error) if self.pieces.is_last() => return Err(error),
                Err(_) => self.join(),
            }
        }
        self.value(|scanner| {
            let text = read(scanner)?;
            Ok(text.map(|text| Cow::Owned(text.into_owned())))
        })
    }

    /// Takes `count` raw bytes.
    fn raw(&mut self, count: usize) -> Result<Binary<'a>, WireError> {
        let too_short = || WireError::Json("Binary data is shorter than its size".into());
        if let Some(joined) = &mut self.joined {
            if count > joined.len() {
                return Err(too_short());
            }
            let data = Bytes::copy_from_slice(&joined[..count]);
            joined.advance(count);
            return Ok(Binary::Owned(data));
        }
        self.settle();
        if count > self.pieces.here.len() {
            return self
                .pieces
                .copy(count)
                .map(|copy| Binary::Owned(copy.into()))
                .ok_or_else(too_short);
        }
        let (data, rest) = self.pieces.here.split_at(count);
        self.pieces.here = rest;
        Ok(match self.pieces.block {
            Some(block) if count >= block.len() / 2 => Binary::Owned(block.slice_ref(data)),
            _ => Binary::Borrowed(data),
        })
    }

    /// Leaves a piece that is used up.
    fn settle(&mut self) {
        if self.pieces.here.is_empty() {
            self.pieces.advance();
        }
    }

    /// What is left of the piece under way.
    fn left(&self) -> &[u8] {
        self.joined.as_deref().unwrap_or(self.pieces.here)
    }

    fn skip(&mut self, count: usize) {
        match &mut self.joined {
            Some(joined) => joined.advance(count),
            None => self.pieces.here = &self.pieces.here[count..],
        }
    }

    fn join(&mut self) {
        if self.joined.is_none() && !self.pieces.is_last() {
            self.joined = Some(self.pieces.join().into_owned().into());
        }
    }
}

/// What stands in front of binary data, or all of it.
enum Head {
    Null,
    Decoded(Vec<u8>),
    Raw(u64),
}

impl Binary<'_> {
    /// The bytes, wherever they lie.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Binary::Borrowed(bytes) => bytes,
            Binary::Owned(bytes) => bytes,
        }
    }

    /// The bytes with their own memory: copied if they lie in the receive buffer.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Binary::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Binary::Owned(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests;
