//! Runs the actors, each on a thread of its own with a channel of its own.

use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::client::{Address, CallError, ClientError, Connection, Introduction};
use crate::time::Clock;

/// Where the actors play.
#[derive(Debug)]
pub(crate) struct Stage {
    broker: Address,
    actors: Vec<JoinHandle<()>>,
}

impl Stage {
    pub(crate) fn new(broker: Address) -> Stage {
        Stage { broker, actors: Vec::new() }
    }

    /// Connects an actor, lets it `set_up` (before anybody after it), and then `play` on a thread
    /// until its channel ends.
    pub(crate) fn enter<T, S, P>(
        &mut self,
        name: &'static str,
        set_up: S,
        play: P,
    ) -> anyhow::Result<T>
    where
        T: Clone + Send + 'static,
        S: FnOnce(&mut Connection) -> Result<T, ClientError>,
        P: FnOnce(&mut Connection, T) -> Result<(), ClientError> + Send + 'static,
    {
        let mut connection = Connection::connect(&self.broker)?;
        connection.introduce(&Introduction {
            name: Some(name.to_owned()),
            program: Some("weir demo".to_owned()),
            ..Introduction::default()
        });
        let made = set_up(&mut connection)?;
        let given = made.clone();
        let thread = Builder::new().name(format!("demo-{name}")).spawn(move || {
            match play(&mut connection, given) {
                Ok(()) => drop(connection.close()),
                Err(error) if is_farewell(&error) => {}
                Err(error) => tracing::warn!(actor = name, %error, "an actor left early"),
            }
        })?;
        self.actors.push(thread);
        Ok(made)
    }

    /// Waits until all have left; call it when the broker has ended their channels.
    pub(crate) fn leave(self) {
        for actor in self.actors {
            if actor.join().is_err() {
                tracing::error!("an actor panicked");
            }
        }
    }
}

/// Whether the broker ends: it cancels what pends and then closes every channel.
fn is_farewell(error: &ClientError) -> bool {
    match error {
        ClientError::Closed { .. } | ClientError::Disconnected(_) => true,
        _ => error.call_code() == Some(CallError::CANCELLED),
    }
}

/// Waits, and notices the end of the channel meanwhile. What else comes is of no interest.
///
/// # Errors
/// The channel has ended.
pub(crate) fn pause(connection: &mut Connection, time: Duration) -> Result<(), ClientError> {
    let clock = Clock::start();
    let receiver = connection.receiver();
    loop {
        while receiver.buffered()?.is_some() {}
        let passed = clock.now().instant.since(crate::time::Instant::default());
        match time.checked_sub(passed).filter(|left| !left.is_zero()) {
            Some(left) => receiver.fill_within(left)?,
            None => return Ok(()),
        };
    }
}
