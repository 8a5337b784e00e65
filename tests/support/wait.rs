//! The one place where a test waits.

use std::time::{Duration, Instant};

/// How long anything may take that should be immediate: generous, since a loaded machine is slow
/// and a passing test does not wait.
pub const PATIENCE: Duration = Duration::from_secs(30);

const POLL_EVERY: Duration = Duration::from_millis(2);

/// Waits until `condition` holds. `what` completes the sentence "waited ... until".
///
/// # Panics
///
/// When it does not hold within `patience`.
pub fn wait_until(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = now();
    while !condition() {
        assert!(start.elapsed() < patience, "waited {patience:?} in vain until {what}");
        std::thread::sleep(POLL_EVERY);
    }
}

/// Waits until `look` finds something, and gives it.
pub fn wait_for<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_until(patience, what, || {
        found = look();
        found.is_some()
    });
    found.expect("wait_until returned because it was found")
}

/// The clock, for deadlines of tests.
#[allow(clippy::disallowed_methods, reason = "tests of the whole program live in real time")]
pub fn now() -> Instant {
    Instant::now()
}
