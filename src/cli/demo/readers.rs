//! Hosts that read: a recorder that takes everything, a viewer, and one that is slow on purpose.

use std::time::Duration;

use crate::cli::demo::stage::{Stage, pause};
use crate::client::{AttachOptions, ClientError, Connection, Position, StallTimeout};
use crate::time::{Clock, Instant};

const READ_BYTES: u64 = 256 << 10;

/// How long the slow reader reads, and then does not.
const AWAKE: Duration = Duration::from_secs(5);
const ASLEEP: Duration = Duration::from_secs(7);

/// A recorder: it loses nothing, the stream waits for it as long as it takes.
pub(crate) fn enter_recorder(stage: &mut Stage, stream: &str) -> anyhow::Result<()> {
    enter_reader(stage, "recorder", stream, StallTimeout::Never)
}

/// A viewer: nobody waits for it.
pub(crate) fn enter_viewer(stage: &mut Stage, stream: &str) -> anyhow::Result<()> {
    enter_reader(stage, "viewer", stream, StallTimeout::AfterMs(0))
}

fn enter_reader(
    stage: &mut Stage,
    name: &'static str,
    stream: &str,
    stall_timeout: StallTimeout,
) -> anyhow::Result<()> {
    let options = AttachOptions { stall_timeout: Some(stall_timeout), ..AttachOptions::default() };
    let stream = stream.to_owned();
    stage.enter(name, |connection| connection.attach(&stream, &options), {
        let stream = stream.clone();
        move |connection, _| while_reading(connection, &stream, |_| Ok(()))
    })?;
    Ok(())
}

/// A reader that stops now and then, for longer than the stream waits for it.
pub(crate) fn enter_slow_reader(stage: &mut Stage, stream: &str) -> anyhow::Result<()> {
    let options = AttachOptions { from: Some(Position::Latest), ..AttachOptions::default() };
    let stream = stream.to_owned();
    stage.enter("slow-reader", |connection| connection.attach(&stream, &options), {
        let stream = stream.clone();
        move |connection, _| {
            let mut clock = Clock::start();
            while_reading(connection, &stream, |connection| {
                if clock.now().instant.since(Instant::default()) > AWAKE {
                    pause(connection, ASLEEP)?;
                    clock = Clock::start();
                }
                Ok(())
            })
        }
    })?;
    Ok(())
}

/// Reads to the end, and does something `between` two reads.
fn while_reading(
    connection: &mut Connection,
    stream: &str,
    mut between: impl FnMut(&mut Connection) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    while !connection.read(stream, READ_BYTES)?.eos {
        between(connection)?;
    }
    Ok(())
}
