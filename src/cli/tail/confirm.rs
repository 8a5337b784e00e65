//! When to tell the broker what it need not hold for us any more.

use std::time::Duration;

use crate::time::Instant;

/// A confirm leaves at once when so many bytes are new: little enough not to slow a small buffer
/// down...
const BYTES_MIN: u64 = 16 << 10;
/// ... and otherwise this long after the last one, so that many small reads share one.
const EVERY: Duration = Duration::from_millis(50);

/// What was confirmed last, and when.
#[derive(Debug, Default)]
pub(super) struct Confirm {
    confirmed: u64,
    at: Instant,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Confirm now; it has been noted.
    Now,
    /// Ask again after this time.
    In(Duration),
    /// Nothing is new.
    Nothing,
}

impl Confirm {
    /// A place whose confirmed offset is `offset`.
    pub(super) fn from(offset: u64, now: Instant) -> Confirm {
        Confirm { confirmed: offset, at: now }
    }

    /// Everything before `offset` is safe.
    pub(super) fn due(&mut self, offset: u64, now: Instant) -> Due {
        let new = offset.saturating_sub(self.confirmed);
        let left = EVERY.saturating_sub(now.since(self.at));
        match new {
            0 => Due::Nothing,
            _ if new >= BYTES_MIN || left.is_zero() => {
                *self = Confirm { confirmed: offset, at: now };
                Due::Now
            }
            _ => Due::In(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_reads_share_a_confirm_and_large_ones_do_not_wait() {
        let at = |ms| Instant::default().plus(Duration::from_millis(ms));
        let mut confirm = Confirm::from(100, at(0));
        assert_eq!(confirm.due(100, at(1000)), Due::Nothing);
        assert_eq!(confirm.due(101, at(1000)), Due::Now);
        assert_eq!(confirm.due(102, at(1010)), Due::In(Duration::from_millis(40)));
        assert_eq!(confirm.due(103, at(1050)), Due::Now);
        assert_eq!(confirm.due(103 + BYTES_MIN - 1, at(1051)), Due::In(Duration::from_millis(49)));
        assert_eq!(confirm.due(103 + BYTES_MIN, at(1052)), Due::Now);
        // A reader that has been moved back confirms nothing twice.
        assert_eq!(confirm.due(50, at(2000)), Due::Nothing);
    }
}
