//! Objects with named properties, read strictly.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::stream::StallTimeout;
use crate::wire::WireError;

/// Why an object cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum ObjectError {
    /// A property has the wrong JSON type: the channel closes.
    Wire(WireError),
    /// A property has a value out of range, or is not known: error 20 with this text.
    Value(String),
}

/// An object whose properties are taken out one by one; what is left in the end is not known.
#[derive(Debug)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Begins with all properties.
    pub fn new(properties: Map<String, Value>) -> Object {
        Object(properties)
    }

    /// Takes a property out, whatever it is.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Takes a string out.
    pub fn string(&mut self, name: &str) -> Result<Option<String>, ObjectError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// Takes a string out, or `null`, which is as if it were not there.
    pub fn string_or_null(&mut self, name: &str) -> Result<Option<String>, ObjectError> {
        match self.0.get(name) {
            Some(Value::Null) => {
                self.take(name);
                Ok(None)
            }
            _ => self.string(name),
        }
    }

    /// Takes a boolean out.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, ObjectError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }

    /// Takes a number out: an integer that is not negative.
    pub fn integer(&mut self, name: &str) -> Result<Option<u64>, ObjectError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(bad_value(name, "must be an integer and not negative")),
            },
            Some(_) => Err(wrong_type(name, "a number")),
        }
    }

    /// Takes a number of milliseconds out.
    pub fn milliseconds(&mut self, name: &str) -> Result<Option<Duration>, ObjectError> {
        Ok(self.integer(name)?.map(Duration::from_millis))
    }

    /// Takes a stall timeout out: milliseconds, or `null` for ever.
    pub fn stall_timeout(&mut self, name: &str) -> Result<Option<StallTimeout>, ObjectError> {
        if matches!(self.0.get(name), Some(Value::Null)) {
            self.take(name);
            return Ok(Some(StallTimeout::Never));
        }
        Ok(self.milliseconds(name)?.map(StallTimeout::After))
    }

    /// Ends the reading; a property that is left over is an error that names it.
    pub fn end(self) -> Result<(), ObjectError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(ObjectError::Value(format!("Unknown property {name}"))),
        }
    }
}

/// A property of the right type with a value out of range.
pub fn bad_value(name: &str, why: &str) -> ObjectError {
    ObjectError::Value(format!("Invalid value of {name}: {why}"))
}

fn wrong_type(name: &str, expected: &str) -> ObjectError {
    ObjectError::Wire(WireError::Protocol(format!("property {name} must be {expected}")))
}
