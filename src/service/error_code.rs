//! The codes of error reports (TCF specification, "Error Reports"), and the only mapping to them.

use crate::stream::Refusal;

/// Anything that has no code of its own; the text says what.
pub const OTHER: u16 = 1;
/// A message that is none.
pub const PROTOCOL: u16 = 3;
/// A bound is reached.
pub const BUFFER_OVERFLOW: u16 = 4;
/// The channel cannot go on.
pub const CHANNEL_CLOSED: u16 = 5;
/// A command was pending when its stream or channel went away.
pub const COMMAND_CANCELLED: u16 = 6;
/// A peer that is not known.
pub const UNKNOWN_PEER: u16 = 7;
/// A write after the end.
pub const EOF: u16 = 9;
/// A size that does not match its data.
pub const INV_DATA_SIZE: u16 = 15;
/// A stream, subscription, test or key that does not exist.
pub const INV_CONTEXT: u16 = 16;
/// A value out of range, or a property that does not exist.
pub const INV_NUMBER: u16 = 20;
/// Against the direction of the stream, or beyond what this broker does.
pub const UNSUPPORTED: u16 = 23;

/// The code of a refusal.
pub fn of(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::NotConnected(_) | Refusal::Denied(_) | Refusal::AlreadySubscribed => OTHER,
        Refusal::UnknownContext(_) | Refusal::WrongKey(_) => INV_CONTEXT,
        Refusal::WrongDirection(_) => UNSUPPORTED,
        Refusal::EndOfFile | Refusal::EndOfFileAfter { .. } => EOF,
        Refusal::Cancelled | Refusal::CancelledAfter { .. } => COMMAND_CANCELLED,
        Refusal::InvalidValue(_) => INV_NUMBER,
        Refusal::Limit(_) => BUFFER_OVERFLOW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Right;
    use crate::id::StreamId;

    #[test]
    fn refusals_have_the_codes_of_the_reference() {
        for (refusal, code) in [
            (Refusal::NotConnected(StreamId(7)), 1),
            (Refusal::AlreadySubscribed, 1),
            (Refusal::Denied(Right::Read), 1),
            (Refusal::Limit("streams".to_owned()), 4),
            (Refusal::Cancelled, 6),
            (Refusal::CancelledAfter { taken: 3, size: 7 }, 6),
            (Refusal::EndOfFile, 9),
            (Refusal::EndOfFileAfter { taken: 3, size: 7 }, 9),
            (Refusal::UnknownContext("VS7".to_owned()), 16),
            (Refusal::WrongKey(StreamId(7)), 16),
            (Refusal::InvalidValue("From".to_owned()), 20),
            (Refusal::WrongDirection("read"), 23),
        ] {
            assert_eq!(of(&refusal), code, "{refusal}");
        }
    }
}
