//! The arguments of a message: JSON values, each with its NUL behind it, and binary data.

use std::borrow::Cow;
use std::marker::PhantomData;

use bytes::Bytes;
use serde_json::Value;

use crate::wire::WireError;

/// Reads the arguments of one message in order. A wrong type, a missing or an extra argument is a
/// [`WireError`] with the code that the reference agent gives.
#[derive(Debug)]
pub struct Arguments<'a> {
    marker: PhantomData<&'a ()>,
}

/// Binary data in any of its three forms: `"base64"`, `(N)raw`, `null`.
#[derive(Debug, PartialEq, Eq)]
pub enum Binary<'a> {
    /// Lies in the receive buffer.
    Borrowed(&'a [u8]),
    /// Has its own memory.
    Owned(Bytes),
}

impl<'a> Arguments<'a> {
    /// A string. `null` is the empty string, as in the reference. Invalid UTF-8 is replaced.
    pub fn string(&mut self) -> Result<Cow<'a, str>, WireError> {
        unimplemented!()
    }

    /// A string, or `None` for `null`.
    pub fn optional_string(&mut self) -> Result<Option<Cow<'a, str>>, WireError> {
        unimplemented!()
    }

    /// A string that must be there: `null` is an error too.
    pub fn required_string(&mut self) -> Result<Cow<'a, str>, WireError> {
        unimplemented!()
    }

    /// An integer as the reference reads it: `-?[0-9]+`, wrapping modulo 2^64; seen as unsigned, so -1 is
    /// `u64::MAX`.
    pub fn integer(&mut self) -> Result<u64, WireError> {
        unimplemented!()
    }

    /// `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, WireError> {
        unimplemented!()
    }

    /// A number as text, characters `0-9 + - . e E`, or `null`.
    pub fn number_text(&mut self) -> Result<Cow<'a, str>, WireError> {
        unimplemented!()
    }

    /// Binary data.
    pub fn binary(&mut self) -> Result<Binary<'a>, WireError> {
        unimplemented!()
    }

    /// Any JSON value. An empty argument is `Null`.
    pub fn json(&mut self) -> Result<Value, WireError> {
        unimplemented!()
    }

    /// A JSON object, or an empty one for `null`.
    pub fn object(&mut self) -> Result<serde_json::Map<String, Value>, WireError> {
        unimplemented!()
    }

    /// Whether no argument is left.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }

    /// Ends the reading; an argument that is left over is an error.
    pub fn end(self) -> Result<(), WireError> {
        unimplemented!()
    }
}
