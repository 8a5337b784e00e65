//! The syntax of argument values, in one contiguous piece of a message.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::wire::{WireError, WireLimits, base64_text};

/// What an escape stands for.
enum Escape {
    Char(char),
    /// Half of a surrogate pair without the other, which no UTF-8 has.
    Half([u8; 3]),
}

/// Text with every fault replaced by one mark, a surrogate half too.
fn replace_invalid(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Err(error) = std::str::from_utf8(rest) else { break };
        let (valid, faulty) = rest.split_at(error.valid_up_to());
        text.push_str(&String::from_utf8_lossy(valid));
        text.push(char::REPLACEMENT_CHARACTER);
        let is_half = matches!(faulty, [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..]);
        let len = if is_half { 3 } else { error.error_len().unwrap_or(faulty.len()) };
        rest = &faulty[len..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

/// Reads values from the front of `rest`.
#[derive(Debug)]
pub(crate) struct Scanner<'b> {
    pub(crate) rest: &'b [u8],
    pub(crate) limits: &'b WireLimits,
}

impl<'b> Scanner<'b> {
    pub(crate) fn new(rest: &'b [u8], limits: &'b WireLimits) -> Scanner<'b> {
        Scanner { rest, limits }
    }

    pub(crate) fn skip_blanks(&mut self) {
        while let Some((b' ' | b'\t' | b'\r' | b'\n', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    /// The first byte of the next value.
    pub(crate) fn peek_value(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.rest.first().copied()
    }

    /// Takes `byte`, or says that `what` was expected.
    pub(crate) fn expect(&mut self, byte: u8, what: &str) -> Result<(), WireError> {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes the NUL behind a value.
    pub(crate) fn end_argument(&mut self) -> Result<(), WireError> {
        self.skip_blanks();
        self.expect(0, "<eoa>")
    }

    /// What the reference says about the byte in front.
    pub(crate) fn expected(&self, what: &str) -> WireError {
        let found = match self.rest.first() {
            None => "<eom>".to_owned(),
            Some(0) => "<eoa>".to_owned(),
            Some(byte @ b' '..=b'~') => format!("'{}'", char::from(*byte)),
            Some(byte) => format!("'\\{byte:03o}'"),
        };
        WireError::Json(format!("Expected {what}, got {found}"))
    }

    /// Takes `word`, of which the first byte was seen.
    pub(crate) fn word(&mut self, word: &str) -> Result<(), WireError> {
        for byte in word.bytes() {
            self.expect(byte, word)?;
        }
        Ok(())
    }

    /// A string, or `None` for `null`.
    pub(crate) fn string(&mut self) -> Result<Option<Cow<'b, str>>, WireError> {
        match self.peek_value() {
            Some(b'"') => self.quoted().map(Some),
            Some(b'n') => self.word("null").map(|()| None),
            _ => Err(WireError::Protocol("An argument is not a string".into())),
        }
    }

    /// A string's bytes as they are, or `None` for `null`: what is no UTF-8 stays, and so does a
    /// half of a surrogate pair, in the three bytes that an encoder without a care gives it.
    pub(crate) fn byte_string(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        match self.peek_value() {
            Some(b'"') => {
                self.rest = &self.rest[1..];
                self.unescape(Vec::new()).map(Some)
            }
            Some(b'n') => self.word("null").map(|()| None),
            _ => Err(WireError::Protocol("An argument is not a string".into())),
        }
    }

    /// A string in its quotes, of which the first was seen.
    pub(crate) fn quoted(&mut self) -> Result<Cow<'b, str>, WireError> {
        let text = &self.rest[1..];
        let end = memchr2(b'"', b'\\', text);
        self.check_length(end.unwrap_or(text.len()))?;
        let Some(end) = end else {
            self.rest = &[];
            return Err(self.expected("'\"'"));
        };
        if text[end] == b'"' {
            self.rest = &text[end + 1..];
            return Ok(String::from_utf8_lossy(&text[..end]));
        }
        self.rest = &text[end..];
        let bytes = self.unescape(text[..end].to_vec())?;
        Ok(Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => replace_invalid(error.as_bytes()),
        }))
    }

    /// The rest of a string from its first escape on, behind the bytes that are `done`.
    fn unescape(&mut self, mut done: Vec<u8>) -> Result<Vec<u8>, WireError> {
        loop {
            let Some(at) = memchr2(b'"', b'\\', self.rest) else {
                self.rest = &[];
                return Err(self.expected("'\"'"));
            };
            self.check_length(done.len() + at)?;
            done.extend_from_slice(&self.rest[..at]);
            let is_end = self.rest[at] == b'"';
            self.rest = &self.rest[at + 1..];
            if is_end {
                return Ok(done);
            }
            match self.escape()? {
                Escape::Char(char) => {
                    done.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Escape::Half(bytes) => done.extend_from_slice(&bytes),
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Result<Escape, WireError> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return Err(self.expected("an escape"));
        };
        let char = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.rest = rest;
                return self.unicode_escape();
            }
            _ => return Err(self.expected("an escape")),
        };
        self.rest = rest;
        Ok(Escape::Char(char))
    }

    /// What stands behind `\u`: four digits, or the two halves of a surrogate pair.
    fn unicode_escape(&mut self) -> Result<Escape, WireError> {
        let high = self.four_digits()?;
        if let 0xd800..=0xdbff = high
            && self.rest.starts_with(b"\\u")
        {
            let behind_high = self.rest;
            self.rest = &self.rest[2..];
            if let low @ 0xdc00..=0xdfff = self.four_digits()? {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(Escape::Char(char::from_u32(code).unwrap_or_default()));
            }
            self.rest = behind_high;
        }
        Ok(match char::from_u32(high) {
            Some(char) => Escape::Char(char),
            None => {
                let low_bits = |shift: u32| 0x80 | (high >> shift & 0x3f) as u8;
                Escape::Half([0xe0 | (high >> 12) as u8, low_bits(6), low_bits(0)])
            }
        })
    }

    fn four_digits(&mut self) -> Result<u32, WireError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.rest.first().and_then(|byte| char::from(*byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.expected("a hexadecimal digit"))?;
            self.rest = &self.rest[1..];
        }
        Ok(code)
    }

    /// `-?[0-9]+`, wrapping modulo 2^64.
    pub(crate) fn integer(&mut self) -> Result<u64, WireError> {
        self.skip_blanks();
        let is_negative = self.rest.first() == Some(&b'-');
        if is_negative {
            self.rest = &self.rest[1..];
        }
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.expected("an integer"));
        }
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let size = text
            .iter()
            .fold(0_u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
        Ok(if is_negative { size.wrapping_neg() } else { size })
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, WireError> {
        match self.peek_value() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.expected("true or false")),
        }
    }

    /// The characters of a number, whatever their order, or `null`.
    pub(crate) fn number_text(&mut self) -> Result<Cow<'b, str>, WireError> {
        if self.peek_value() == Some(b'n') {
            return self.word("null").map(|()| Cow::Borrowed("null"));
        }
        let is_part = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let (text, rest) = self.rest.split_at(self.rest.iter().take_while(is_part).count());
        if text.is_empty() {
            return Err(self.expected("a number"));
        }
        if text.len() > NUMBER_BYTES_MAX {
            return Err(WireError::Limit("Number too long".into()));
        }
        self.rest = rest;
        Ok(String::from_utf8_lossy(text))
    }

    /// A base64 string in its quotes, of which the first was seen.
    pub(crate) fn base64(&mut self) -> Result<Vec<u8>, WireError> {
        let text = &self.rest[1..];
        let end = memchr(b'"', text).unwrap_or(text.len());
        let decoded = base64_text::decode(&text[..end]);
        self.rest = &text[decoded.as_ref().map_or_else(|stop| stop.position, |_| end)..];
        match decoded {
            Ok(bytes) => self.expect(b'"', "'\"'").map(|()| bytes),
            Err(stop) if stop.is_between_groups => Err(self.expected("'\"'")),
            Err(_) => Err(WireError::Base64),
        }
    }

    /// `(N)`, of which the parenthesis was seen: the number of raw bytes that follow.
    pub(crate) fn count(&mut self) -> Result<u64, WireError> {
        self.rest = &self.rest[1..];
        self.skip_blanks();
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Err(self.expected("a byte count"));
        }
        let mut count = 0_u64;
        while let Some((digit @ b'0'..=b'9', rest)) = self.rest.split_first() {
            count = count.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.rest = rest;
        }
        self.skip_blanks();
        self.expect(b')', "')'")?;
        Ok(count)
    }

    fn check_length(&self, bytes: usize) -> Result<(), WireError> {
        if bytes > self.limits.argument_bytes_max {
            return Err(WireError::Limit("Argument too long".into()));
        }
        Ok(())
    }
}

/// Characters of a number at most, as in the reference.
const NUMBER_BYTES_MAX: usize = 255;
