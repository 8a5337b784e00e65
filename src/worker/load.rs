//! How busy a worker has been lately.

use std::time::Duration;

use crate::time::Instant;

/// Over which time the ratio is measured, at least.
const WINDOW: Duration = Duration::from_secs(1);

/// The share of the time that was spent on something other than waiting, in the last whole window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    began_at: Instant,
    busy_before: Duration,
    ratio: f64,
}

impl Load {
    /// Looks whether a window is over. `busy` is the busy time since the start.
    pub(crate) fn note(&mut self, now: Instant, busy: Duration) {
        let elapsed = now.since(self.began_at);
        if elapsed < WINDOW {
            return;
        }
        let ratio = (busy - self.busy_before).as_secs_f64() / elapsed.as_secs_f64();
        *self = Load { began_at: now, busy_before: busy, ratio: ratio.min(1.0) };
    }

    /// 0 to 1.
    pub(crate) fn ratio(&self) -> f64 {
        self.ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_the_last_window() {
        let at = |ms: u64| Instant(ms * 1_000_000);
        let mut load = Load::default();
        load.note(at(500), Duration::from_millis(400));
        assert_eq!(load.ratio(), 0.0);
        load.note(at(1000), Duration::from_millis(500));
        assert_eq!(load.ratio(), 0.5);
        load.note(at(1900), Duration::from_millis(600));
        assert_eq!(load.ratio(), 0.5);
        load.note(at(3000), Duration::from_millis(700));
        assert_eq!(load.ratio(), 0.1);
    }
}
