//! Channels that do nothing.

use std::net::SocketAddr;

use serde::Serialize;

use crate::bench::tcf::Setup;
use crate::bench::{BenchError, ProcessSample, raise_open_files};
use crate::time::Clock;

/// Files that a process needs beside its connections.
const OTHER_FILES: u64 = 64;

/// What idle channels cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IdleReport {
    /// Channels that were open at the same time.
    pub channels: usize,
    /// Time that opening them took, one after the other, in seconds.
    pub seconds: f64,
    /// Memory of the peer in RAM before, if its process was named.
    pub server_resident_bytes_before: Option<u64>,
    /// And with all channels open.
    pub server_resident_bytes: Option<u64>,
    /// The difference for each channel.
    pub server_bytes_per_channel: Option<f64>,
}

/// Opens channels, and measures the peer while all are open.
///
/// # Errors
/// What went wrong.
pub fn hold_idle(
    address: SocketAddr,
    channels: usize,
    pid: Option<u32>,
) -> Result<IdleReport, BenchError> {
    let most = raise_open_files().saturating_sub(OTHER_FILES);
    if channels as u64 > most {
        return Err(BenchError::Plan(format!(
            "{channels} channels are more than this process may open: {most} (see ulimit -n)"
        )));
    }
    let resident = || pid.and_then(ProcessSample::take).map(|sample| sample.resident_bytes);
    let clock = Clock::start();
    // One channel before, so that what the first one costs alone is not dealt out to all.
    let mut first = Setup::open(address, true)?;
    let before = resident();
    let from = clock.now().instant;
    let mut open = Vec::with_capacity(channels);
    for _ in 0..channels {
        open.push(Setup::open(address, true)?);
    }
    let seconds = clock.now().instant.since(from).as_secs_f64();
    first.call("Locator", "sync", |message| message)?;
    let after = resident();
    let per_channel = before
        .zip(after)
        .map(|(before, after)| (after as f64 - before as f64) / channels.max(1) as f64);
    for channel in open {
        channel.end();
    }
    first.end();
    Ok(IdleReport {
        channels,
        seconds,
        server_resident_bytes_before: before,
        server_resident_bytes: after,
        server_bytes_per_channel: per_channel,
    })
}
