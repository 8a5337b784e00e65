//! Coming back after a connection broke: when to try again, and when to give up.

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use crate::cli::connect::Caller;
use crate::cli::say;
use crate::client::{ClientError, ConnectOptions, Connection};
use crate::time::{Clock, Instant};

/// The first wait, about; each further one is twice as long, up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long one attempt may take to reach the broker, and again to hear its Hello.
const ATTEMPT_PATIENCE: Duration = Duration::from_secs(10);

/// No connection came about in the time that there was, or none that helps.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Interrupted(pub(crate) String);

/// How long to keep trying after a connection broke.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    caller: Caller,
    patience: Duration,
    /// The verb that speaks.
    speaker: &'static str,
}

impl Retry {
    /// `patience` is for one outage, from the moment it was noticed; zero never tries again.
    pub(crate) fn new(speaker: &'static str, caller: Caller, patience: Duration) -> Retry {
        Retry { caller, patience, speaker }
    }

    /// Whether another connection could mend this error, and may be tried.
    pub(crate) fn may_mend(&self, error: &ClientError) -> bool {
        !self.patience.is_zero() && is_breakage(error)
    }

    /// Connects until `take_up` has done its work on a connection. `breakage` is told to the user,
    /// once.
    ///
    /// # Errors
    /// [`Interrupted`] where the time is over; what `take_up` said where that is final.
    pub(crate) fn until_connected<T>(
        &self,
        breakage: &ClientError,
        mut take_up: impl FnMut(&mut Connection) -> Result<T, ClientError>,
    ) -> anyhow::Result<(Connection, T)> {
        let Retry { caller, patience, speaker } = self;
        let broker = caller.broker();
        let seconds = patience.as_secs_f64();
        say::lines(&format!("weir {speaker}: {breakage}; trying again for {seconds} s"));
        let clock = Clock::start();
        let mut waits = Waits::new();
        let mut last = None;
        loop {
            let passed = clock.now().instant.since(Instant::default());
            let Some(left) = patience.checked_sub(passed).filter(|left| !left.is_zero()) else {
                let why = last.map(|error: ClientError| format!(": {}", first_line(&error)));
                return Err(Interrupted(format!(
                    "no connection to {broker} for {seconds} s{}",
                    why.unwrap_or_default()
                ))
                .into());
            };
            thread::sleep(waits.next_wait().min(left));
            let options =
                ConnectOptions { timeout: left.min(ATTEMPT_PATIENCE), ..ConnectOptions::default() };
            let attempt = caller.connect_with(options).and_then(|mut connection| {
                let taken = take_up(&mut connection)?;
                Ok((connection, taken))
            });
            match attempt {
                Ok(taken) => return Ok(taken),
                Err(error) if is_breakage(&error) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether the connection is gone or did not come about, as opposed to: the broker said no.
fn is_breakage(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::NotTcf { .. }
        | ClientError::Closed { .. }
        | ClientError::Disconnected(_) => true,
        ClientError::Misbehaved(_) | ClientError::Call(_) => false,
    }
}

/// What to do about it is said elsewhere.
fn first_line(error: &ClientError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Growing waits, each off by up to a half, so that many who lost the same broker do not all come
/// back at once.
#[derive(Debug)]
struct Waits {
    next: Duration,
    /// The system's randomness; quality enough for this.
    random: RandomState,
    count: u64,
}

impl Waits {
    fn new() -> Waits {
        Waits { next: FIRST_WAIT, random: RandomState::new(), count: 0 }
    }

    fn next_wait(&mut self) -> Duration {
        self.count += 1;
        let share = self.random.hash_one(self.count) as u32;
        let jitter = self.next.mul_f64(f64::from(share) / f64::from(u32::MAX));
        let wait = self.next / 2 + jitter;
        self.next = (self.next * 2).min(LONGEST_WAIT);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{BrokerArgs, CallerArgs};

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut waits = Waits::new();
        let mut middle = FIRST_WAIT;
        let mut all = Vec::new();
        for _ in 0..20 {
            let wait = waits.next_wait();
            assert!(wait >= middle / 2 && wait <= middle / 2 + middle, "{wait:?} about {middle:?}");
            middle = (middle * 2).min(LONGEST_WAIT);
            all.push(wait);
        }
        assert_eq!(middle, LONGEST_WAIT);
        assert!(all[10..].windows(2).any(|pair| pair[0] != pair[1]), "{all:?}");
    }

    #[test]
    fn no_patience_mends_nothing_and_a_refusal_is_final() {
        let args = BrokerArgs {
            broker: "127.0.0.1:1".parse().unwrap(),
            caller: CallerArgs { introduced_as: None },
        };
        let caller = Caller::new("pub", &args);
        let broken = ClientError::Closed { report: None };
        let refused = ClientError::Call(crate::client::CallError {
            command: "StreamBroker.adopt",
            code: 16,
            text: "no".to_owned(),
        });
        let retry = Retry::new("pub", caller.clone(), Duration::from_secs(1));
        assert!(retry.may_mend(&broken) && !retry.may_mend(&refused));
        assert!(!Retry::new("pub", caller, Duration::ZERO).may_mend(&broken));
    }
}
