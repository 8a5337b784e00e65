//! The time that a worker goes by. It stands still while the worker does not run, or is late, so
//! that nobody is blamed for what the broker could not take in.

use std::time::Duration;

use crate::time::{Instant, Now};

/// The longest sleep while anything has a deadline. How late a worker was shows only when it wakes
/// later than it asked to, so this is what a stop of the process can cost a peer.
pub(crate) const SLEEP_MAX: Duration = Duration::from_millis(100);

/// What a sleep may take longer than asked for and still count as time: kernels round to their
/// ticks.
const SLEEP_SLACK: Duration = Duration::from_millis(10);

/// What one turn counts as time, at most. Turns are cut to less; a longer one was interrupted.
const TURN_COUNTED_MAX: Duration = Duration::from_millis(50);

/// Real time less the time in which the worker was late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunningClock {
    late: Duration,
    /// The real time when a turn last began or ended.
    looked_at: Instant,
}

impl RunningClock {
    /// Starts with the real time.
    pub(crate) fn new(real: Now) -> RunningClock {
        RunningClock { late: Duration::ZERO, looked_at: real.instant }
    }

    /// Begins a turn at `real`, before which the worker was to sleep for `allowed` at most. Says
    /// what time it is.
    pub(crate) fn begin_turn(&mut self, real: Now, allowed: Option<Duration>) -> Now {
        if let Some(allowed) = allowed {
            let slept = real.instant.since(self.looked_at);
            if slept > allowed + SLEEP_SLACK {
                self.late += slept - allowed;
            }
        }
        self.looked_at = real.instant;
        Now { instant: self.running(real.instant), unix_ms: real.unix_ms }
    }

    /// Ends the turn at `real`: what time it is, and how long the turn really took.
    pub(crate) fn end_turn(&mut self, real: Instant) -> (Instant, Duration) {
        let took = real.since(self.looked_at);
        self.late += took.saturating_sub(TURN_COUNTED_MAX);
        self.looked_at = real;
        (self.running(real), took)
    }

    /// How long the turn has really taken until `real`.
    pub(crate) fn turn_time(&self, real: Instant) -> Duration {
        real.since(self.looked_at)
    }

    /// Time that did not count, ever.
    pub(crate) fn late(&self) -> Duration {
        self.late
    }

    fn running(&self, real: Instant) -> Instant {
        Instant::default().plus(real.since(Instant::default()).saturating_sub(self.late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Now {
        Now { instant: Instant(ms * MS), unix_ms: 7 }
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_sleep_as_long_as_asked_for_counts_and_what_goes_beyond_does_not() {
        let mut clock = RunningClock::new(at(0));
        assert_eq!(clock.begin_turn(at(100), Some(ms(100))), at(100));
        clock.end_turn(at(100).instant);
        assert_eq!(clock.begin_turn(at(210), Some(ms(100))), at(210), "within the slack");
        clock.end_turn(at(210).instant);
        assert_eq!(clock.begin_turn(at(6210), Some(ms(100))).instant, at(310).instant);
        assert_eq!(clock.late(), ms(5900));
        clock.end_turn(at(6210).instant);
        // The worker was woken early.
        assert_eq!(clock.begin_turn(at(6215), Some(ms(100))).instant, at(315).instant);
    }

    #[test]
    fn a_sleep_without_an_end_is_not_late() {
        let mut clock = RunningClock::new(at(0));
        assert_eq!(clock.begin_turn(at(60_000), None), at(60_000));
    }

    #[test]
    fn a_turn_counts_up_to_its_bound() {
        let mut clock = RunningClock::new(at(0));
        clock.begin_turn(at(0), None);
        assert_eq!(clock.end_turn(at(50).instant), (at(50).instant, ms(50)));
        clock.begin_turn(at(50), Some(Duration::ZERO));
        assert_eq!(clock.end_turn(at(3050).instant), (at(100).instant, ms(3000)));
        assert_eq!(clock.begin_turn(at(3050), Some(Duration::ZERO)).instant, at(100).instant);
    }

    #[test]
    fn people_are_told_the_real_time() {
        let mut clock = RunningClock::new(at(0));
        let now = clock.begin_turn(Now { unix_ms: 9000, ..at(9000) }, Some(Duration::ZERO));
        assert_eq!((now.instant, now.unix_ms), (at(0).instant, 9000));
    }
}
