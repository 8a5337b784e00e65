//! What one source of configuration says; the rest is left to the sources behind it.

use std::time::Duration;

use crate::config::{Address, HttpAddress, LogLevel};

/// What flags and environment, or a file, say. `None` leaves the matter to the next source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// TCF addresses to listen on (`listen`, `--listen`, `WEIR_LISTEN`).
    pub listen: Option<Vec<Address>>,
    /// HTTP address, or off (`http`).
    pub http: Option<HttpAddress>,
    /// Worker threads (`workers`).
    pub workers: Option<u16>,
    /// Whether each worker stays on a core of its own, where there are as many workers as cores
    /// (`pin`).
    pub pin: Option<bool>,
    /// The broker's name, for people (`name`).
    pub name: Option<String>,
    /// Which log lines are written (`log`).
    pub log: Option<LogLevel>,
    /// Bounds (`[limits]`).
    pub limits: LimitOverrides,
}

/// The bounds that an operator may move, all of them in `[limits]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitOverrides {
    /// Open connections (`channels_max`).
    pub channels_max: Option<usize>,
    /// Streams of one worker (`streams_max`).
    pub streams_max: Option<usize>,
    /// Largest `BufferSize` of a stream, bytes (`buffer_size_max`).
    pub buffer_size_max: Option<u64>,
    /// Largest TCF message, bytes (`message_size`).
    pub message_size: Option<u64>,
    /// Unsent bytes of a channel above which it is not served (`unsent`).
    pub unsent: Option<u64>,
    /// Parked bytes of a channel above which writes are refused (`parked`).
    pub parked: Option<u64>,
    /// Bytes that streams and channels may hold in total (`memory`, `--memory-limit`).
    pub memory: Option<u64>,
    /// Time for a peer's Hello (`hello_timeout`).
    pub hello_timeout: Option<Duration>,
    /// Time for a peer to close after our end (`linger_timeout`).
    pub linger_timeout: Option<Duration>,
    /// Time for all channels to close at shutdown (`drain_timeout`).
    pub drain_timeout: Option<Duration>,
}

impl Overrides {
    /// This, and where it is silent, `behind`.
    pub fn over(self, behind: Overrides) -> Overrides {
        Overrides {
            listen: self.listen.or(behind.listen),
            http: self.http.or(behind.http),
            workers: self.workers.or(behind.workers),
            pin: self.pin.or(behind.pin),
            name: self.name.or(behind.name),
            log: self.log.or(behind.log),
            limits: self.limits.over(behind.limits),
        }
    }
}

impl LimitOverrides {
    fn over(self, behind: LimitOverrides) -> LimitOverrides {
        LimitOverrides {
            channels_max: self.channels_max.or(behind.channels_max),
            streams_max: self.streams_max.or(behind.streams_max),
            buffer_size_max: self.buffer_size_max.or(behind.buffer_size_max),
            message_size: self.message_size.or(behind.message_size),
            unsent: self.unsent.or(behind.unsent),
            parked: self.parked.or(behind.parked),
            memory: self.memory.or(behind.memory),
            hello_timeout: self.hello_timeout.or(behind.hello_timeout),
            linger_timeout: self.linger_timeout.or(behind.linger_timeout),
            drain_timeout: self.drain_timeout.or(behind.drain_timeout),
        }
    }
}
