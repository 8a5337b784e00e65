//! The bounds of a shard.

use std::time::Duration;

use crate::{stream, wire};

/// Bounds of one shard and its channels, each with its default and why.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bounds on what peers may send.
    pub wire: wire::WireLimits,
    /// Bounds of the core.
    pub stream: stream::CoreLimits,
    /// Unsent bytes of a channel above which its reads are not served and its commands not taken.
    pub unsent_bytes_pause: usize,
    /// Unsent bytes below which it goes on.
    pub unsent_bytes_resume: usize,
    /// Commands taken from one channel in one turn, so that a fat agent does not starve quiet
    /// hosts.
    pub commands_per_turn: usize,
    /// How long a peer may take to say Hello.
    pub hello_timeout: Duration,
    /// How long the end of a channel waits for its peer: to take in anything of what waits for it,
    /// and after our own EOS to say its own.
    pub linger_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            wire: wire::WireLimits::default(),
            stream: stream::CoreLimits::default(),
            unsent_bytes_pause: 1 << 20,
            unsent_bytes_resume: 256 << 10,
            commands_per_turn: 4096,
            hello_timeout: Duration::from_secs(15),
            linger_timeout: Duration::from_secs(5),
        }
    }
}
