//! JSON values as TCF peers write them: more lenient than the standard in strings and numbers, and
//! bounded in depth and length.

use serde_json::{Map, Number, Value};

use crate::wire::WireError;
use crate::wire::scanner::Scanner;

impl Scanner<'_> {
    /// Any value.
    pub(crate) fn value(&mut self) -> Result<Value, WireError> {
        let length = self.rest.len();
        let value = self.nested_value(0)?;
        self.check_value_length(length)?;
        Ok(value)
    }

    /// An object, or an empty one for `null`.
    pub(crate) fn object(&mut self) -> Result<Map<String, Value>, WireError> {
        match self.peek_value() {
            Some(b'n') => self.word("null").map(|()| Map::new()),
            Some(b'{') => {
                let length = self.rest.len();
                let members = self.members(1)?;
                self.check_value_length(length)?;
                Ok(members)
            }
            _ => Err(WireError::Protocol("An argument is not an object".into())),
        }
    }

    fn nested_value(&mut self, depth: usize) -> Result<Value, WireError> {
        match self.peek_value() {
            Some(b'"') => Ok(Value::String(self.quoted()?.into_owned())),
            Some(b'{') => Ok(Value::Object(self.members(depth + 1)?)),
            Some(b'[') => Ok(Value::Array(self.elements(depth + 1)?)),
            Some(b'n') => self.word("null").map(|()| Value::Null),
            Some(b't' | b'f') => self.boolean().map(Value::Bool),
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => self.number(),
            _ => Err(self.expected("a value")),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Map<String, Value>, WireError> {
        self.check_depth(depth)?;
        let mut members = Map::new();
        let start = self.begin();
        if self.is_empty_until(b'}') {
            return Ok(members);
        }
        loop {
            if self.peek_value() != Some(b'"') {
                return Err(self.expected("'\"'"));
            }
            let name = self.quoted()?.into_owned();
            self.skip_blanks();
            self.expect(b':', "':'")?;
            members.insert(name, self.nested_value(depth)?);
            self.check_value_length(start)?;
            if self.is_last(b'}', "'}'")? {
                return Ok(members);
            }
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Value>, WireError> {
        self.check_depth(depth)?;
        let mut elements = Vec::new();
        let start = self.begin();
        if self.is_empty_until(b']') {
            return Ok(elements);
        }
        loop {
            elements.push(self.nested_value(depth)?);
            self.check_value_length(start)?;
            if self.is_last(b']', "']'")? {
                return Ok(elements);
            }
        }
    }

    /// Takes the bracket that was seen, and says how much was left before it.
    fn begin(&mut self) -> usize {
        let length = self.rest.len();
        self.rest = &self.rest[1..];
        length
    }

    fn is_empty_until(&mut self, end: u8) -> bool {
        let is_empty = self.peek_value() == Some(end);
        if is_empty {
            self.rest = &self.rest[1..];
        }
        is_empty
    }

    /// Takes a comma, or the `end`, for which it answers true.
    fn is_last(&mut self, end: u8, what: &str) -> Result<bool, WireError> {
        self.skip_blanks();
        if self.rest.first() == Some(&b',') {
            self.rest = &self.rest[1..];
            return Ok(false);
        }
        self.expect(end, what).map(|()| true)
    }

    /// An integer where it is one that fits; otherwise a double, and `null` for what no double
    /// holds.
    fn number(&mut self) -> Result<Value, WireError> {
        let at = self.rest;
        let text = self.number_text()?;
        if let Ok(number) = text.parse::<u64>() {
            return Ok(number.into());
        }
        if let Ok(number) = text.parse::<i64>() {
            return Ok(number.into());
        }
        let Ok(number) = text.parse::<f64>() else {
            self.rest = at;
            return Err(self.expected("a number"));
        };
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn check_depth(&self, depth: usize) -> Result<(), WireError> {
        if depth > self.limits.json_depth_max {
            return Err(WireError::Limit("Argument nested too deeply".into()));
        }
        Ok(())
    }

    /// Checks what was taken since `length` bytes were left. Asked within arrays and objects as
    /// well, so that no more is built than the bound allows.
    fn check_value_length(&self, length: usize) -> Result<(), WireError> {
        if length - self.rest.len() > self.limits.argument_bytes_max {
            return Err(WireError::Limit("Argument too long".into()));
        }
        Ok(())
    }
}
