//! Our own clock reading, so that time is a parameter everywhere else.
//!
//! Only [`Clock`] asks the operating system, once a turn; the core gets [`Now`] handed in.

use std::time::Duration;

/// Nanoseconds since the broker started, by a clock that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// The moment `duration` later; the end of time where that is out of range.
    pub fn plus(self, duration: Duration) -> Instant {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanoseconds))
    }

    /// The time that passed since `earlier`; zero where `earlier` is not earlier.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and ages.
    pub instant: Instant,
    /// For people and error reports: milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
}

/// The real clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
    origin_unix: Duration,
}

impl Clock {
    /// Starts at zero now. All workers share copies of one clock, so their instants compare.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn start() -> Clock {
        let origin_unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Clock { origin: std::time::Instant::now(), origin_unix }
    }

    /// Reads the clock.
    pub fn now(&self) -> Now {
        let elapsed = self.origin.elapsed();
        Now {
            instant: Instant::default().plus(elapsed),
            unix_ms: (self.origin_unix + elapsed).as_millis() as u64,
        }
    }
}
