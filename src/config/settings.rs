//! Validated settings: built once, never changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admin::Timeouts;
use crate::config::form::{self, duration, whole_number};
use crate::config::{Address, Error, HttpAddress, LogLevel, Size};
use crate::worker::{self, cores};

/// What the server runs with. A field's name is the key in a file, and nothing else spells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Settings {
    /// TCF addresses to listen on, at least one.
    #[serde(deserialize_with = "form::addresses")]
    pub listen: Vec<Address>,
    /// HTTP address, or off.
    pub http: HttpAddress,
    /// Worker threads, 1 to [`Settings::WORKERS_MAX`].
    #[serde(deserialize_with = "whole_number")]
    pub workers: u16,
    /// Whether each worker is bound to a core of its own, where there are as many workers as
    /// cores. Off by default: a bound thread waits while other work has its core, which costs
    /// latency wherever the machine does anything else.
    pub pin: bool,
    /// The broker's name, for people.
    pub name: String,
    /// Which log lines are written, where `RUST_LOG` does not say.
    pub log: LogLevel,
    /// Bounds. All of them can change while the server runs.
    pub limits: LimitSettings,
}

/// The bounds that an operator may move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct LimitSettings {
    /// Open connections on all workers; more are closed as they come.
    #[serde(deserialize_with = "whole_number")]
    pub channels_max: usize,
    /// Streams of one worker.
    #[serde(deserialize_with = "whole_number")]
    pub streams_max: usize,
    /// Largest `BufferSize` of a stream.
    pub buffer_size_max: Size,
    /// Largest TCF message.
    pub message_size: Size,
    /// Unsent bytes of a channel above which it is not served.
    pub unsent: Size,
    /// Parked bytes of a channel above which its writes are refused.
    pub parked: Size,
    /// Bytes that streams and channels may hold on all workers; each gets an even share. Left out,
    /// it is what the machine has room for: [`Settings::memory_bytes_max`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Longest `KeepFor` of a stream or of a place.
    #[serde(with = "duration")]
    pub keep_for: Duration,
    /// Longest `Linger` of a stream.
    #[serde(with = "duration")]
    pub linger: Duration,
    /// Time for a peer's Hello.
    #[serde(with = "duration")]
    pub hello_timeout: Duration,
    /// Time for a peer to take in what ends its channel, and to close.
    #[serde(with = "duration")]
    pub linger_timeout: Duration,
    /// Time for the head of an HTTP request, and for which an HTTP connection may be idle.
    #[serde(with = "duration")]
    pub http_head_timeout: Duration,
    /// Time for which the body of an HTTP request that has a length may be silent.
    #[serde(with = "duration")]
    pub http_body_timeout: Duration,
    /// Time for all channels to close at shutdown.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
}

impl Default for LimitSettings {
    fn default() -> LimitSettings {
        let (worker, http) = (worker::Limits::default(), Timeouts::default());
        LimitSettings {
            // Ten thousand quiet hosts and room beside.
            channels_max: 16_384,
            streams_max: worker.stream.streams_max,
            buffer_size_max: Size(worker.stream.buffer_bytes_max),
            message_size: Size(worker.wire.message_bytes_max as u64),
            unsent: Size(worker.unsent_bytes_pause as u64),
            parked: Size(worker.stream.parked_bytes_max),
            memory: None,
            keep_for: worker.stream.keep_for_max,
            linger: worker.stream.linger_max,
            hello_timeout: worker.hello_timeout,
            linger_timeout: worker.linger_timeout,
            http_head_timeout: http.head,
            http_body_timeout: http.body,
            // Shorter than the ten seconds that container runtimes wait before they kill.
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// The key of a setting, as a file spells it.
macro_rules! key {
    ($key:ident) => {
        stringify!($key)
    };
    ($table:ident . $key:ident) => {
        concat!(stringify!($table), ".", stringify!($key))
    };
}

/// A setting's key and its value.
macro_rules! entry {
    ($settings:expr, $($key:ident).+) => {
        (key!($($key).+), &$settings.$($key).+)
    };
}

impl Settings {
    /// More workers than any machine has cores for; bounds the tables.
    pub const WORKERS_MAX: u16 = 1024;
    /// Most that `limits.memory` is by default: as much as 4096 full buffers of the default size.
    /// Who wants a broker to take more of a big machine says so.
    pub const MEMORY_BYTES_MAX: u64 = 4 << 30;
    /// Least of `limits.memory` for each worker: a few buffers of the default size.
    pub const MEMORY_BYTES_MIN: u64 = 4 << 20;

    /// The defaults.
    pub(crate) fn unchecked() -> Settings {
        Settings {
            listen: vec![Address::loopback(Address::TCF_PORT)],
            http: HttpAddress::At(Address::loopback(Address::HTTP_PORT)),
            workers: default_workers(),
            pin: false,
            name: "Weir".to_owned(),
            log: LogLevel::default(),
            limits: LimitSettings::default(),
        }
    }

    /// The same settings, if they can be used.
    ///
    /// # Errors
    /// [`Error::Value`] for a value that is out of range.
    pub fn checked(mut self) -> Result<Settings, Error> {
        self.limits.memory = Some(Size(self.memory_bytes_max()));
        let refuse = |key, message: String| Err(Error::Value { key, message });
        let (key, listen) = entry!(self, listen);
        if listen.is_empty() {
            return refuse(key, "give at least one address, such as 127.0.0.1:1534".to_owned());
        }
        let (key, &workers) = entry!(self, workers);
        if workers == 0 || workers > Settings::WORKERS_MAX {
            let most = Settings::WORKERS_MAX;
            return refuse(key, format!("{workers} is out of range: give 1 to {most}"));
        }
        let (key, &channels_max) = entry!(self, limits.channels_max);
        let (streams_key, &streams_max) = entry!(self, limits.streams_max);
        for (key, value) in [(key, channels_max), (streams_key, streams_max)] {
            if value < 1 {
                return refuse(key, "too small: give at least 1".to_owned());
            }
        }
        let memory = (key!(limits.memory), &Size(self.memory_bytes_max()));
        for ((key, value), least) in [
            (memory, Settings::MEMORY_BYTES_MIN * u64::from(self.workers)),
            (entry!(self, limits.buffer_size_max), 4 << 10),
            // Clients send their data in packets of up to 64 KiB.
            (entry!(self, limits.message_size), 128 << 10),
            (entry!(self, limits.unsent), 16 << 10),
            (entry!(self, limits.parked), 128 << 10),
        ] {
            if value.0 < least {
                return refuse(key, format!("too small: give at least {}", Size(least)));
            }
        }
        for ((key, timeout), who, usual) in [
            (entry!(self, limits.hello_timeout), "peer could connect", "15s"),
            (entry!(self, limits.http_head_timeout), "HTTP request could come", "30s"),
            (entry!(self, limits.http_body_timeout), "HTTP body could come", "30s"),
        ] {
            if timeout.is_zero() {
                return refuse(key, format!("no {who}: give {usual}"));
            }
        }
        Ok(self)
    }

    /// Bytes that streams and channels may hold on all workers.
    pub fn memory_bytes_max(&self) -> u64 {
        self.limits.memory.map_or_else(|| default_memory(self.workers), |memory| memory.0)
    }

    /// The bounds of one worker.
    pub fn worker_limits(&self) -> worker::Limits {
        let given = &self.limits;
        let mut limits = worker::Limits::default();
        limits.stream.streams_max = given.streams_max;
        limits.stream.buffer_bytes_max = given.buffer_size_max.0;
        limits.stream.parked_bytes_max = given.parked.0;
        limits.stream.keep_for_max = given.keep_for;
        limits.stream.linger_max = given.linger;
        // A channel pauses well before its writes are refused.
        let pause = &mut limits.stream.parked_bytes_pause;
        *pause = (*pause).min(given.parked.0 / 2);
        limits.stream.memory_bytes_max = self.memory_bytes_max() / u64::from(self.workers.max(1));
        limits.wire.message_bytes_max = saturated(given.message_size);
        limits.unsent_bytes_pause = saturated(given.unsent);
        // Far enough below, that a slow peer does not stop and go with every packet.
        limits.unsent_bytes_resume = limits.unsent_bytes_pause / 4;
        limits.hello_timeout = given.hello_timeout;
        limits.linger_timeout = given.linger_timeout;
        limits
    }

    /// How long HTTP clients may be silent.
    pub fn http_timeouts(&self) -> Timeouts {
        Timeouts { head: self.limits.http_head_timeout, body: self.limits.http_body_timeout }
    }

    /// Takes over from `new` what can change while the server runs: the log level and all of
    /// `[limits]`. The rest stays as it is.
    pub fn take_over(&mut self, new: Settings) -> Changes {
        let mut changes = Changes::default();
        let (old_text, new_text) = (self.to_toml(), new.to_toml());
        let mut is_limit = false;
        for (old, new) in old_text.lines().zip(new_text.lines()) {
            is_limit |= old == "[limits]";
            let key = new.split(" = ").next().unwrap_or(new);
            if old == new {
                continue;
            }
            if is_limit {
                changes.taken_over.push(format!("limits.{key}"));
            } else if key == "log" {
                changes.taken_over.push(key.to_owned());
            } else {
                changes.need_restart.push(key.to_owned());
            }
        }
        self.log = new.log;
        self.limits = new.limits;
        changes
    }

    /// The settings as a configuration file that says the same.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings make TOML")
    }
}

/// What came of new settings for a server that runs: the keys that differed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that count from now on.
    pub taken_over: Vec<String>,
    /// Those that count after a restart.
    pub need_restart: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::unchecked()
    }
}

fn saturated(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

/// A quarter of the machine, so that the broker is a good neighbour of what it serves, and the
/// kernel has room for the sockets' own buffers; at most [`Settings::MEMORY_BYTES_MAX`].
fn default_memory(workers: u16) -> u64 {
    let most = Settings::MEMORY_BYTES_MAX;
    let quarter = machine_memory().map_or(most, |bytes| bytes / 4);
    quarter.min(most).max(Settings::MEMORY_BYTES_MIN * u64::from(workers))
}

/// Bytes of memory that this process may use, as far as the system tells: the machine's, or those
/// of its container.
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let machine = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max");
    let container = container.ok().and_then(|text| text.trim().parse::<u64>().ok());
    Some(container.map_or(machine, |container| container.min(machine)))
}

fn default_workers() -> u16 {
    u16::try_from(cores::allowed().len()).unwrap_or(u16::MAX).clamp(1, Settings::WORKERS_MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file;

    #[test]
    fn defaults_listen_on_this_machine_only() {
        let settings = Settings::default().checked().unwrap();
        assert_eq!(settings.listen, [Address::loopback(1534)]);
        assert_eq!(settings.http, HttpAddress::At(Address::loopback(9534)));
        assert!(settings.workers >= 1);
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        let settings = Settings {
            listen: vec!["[::1]:0".parse().unwrap(), "TCP::7".parse().unwrap()],
            http: HttpAddress::Off,
            workers: 7,
            pin: true,
            name: "a \"b\" \\ \n ü".to_owned(),
            log: LogLevel::Warn,
            limits: LimitSettings {
                unsent: Size(123_456),
                keep_for: Duration::from_secs(7200),
                drain_timeout: Duration::from_millis(1),
                ..LimitSettings::default()
            },
        };
        let settings = settings.checked().unwrap();
        let again = file::parse(Path::new("again.toml"), &settings.to_toml()).unwrap();
        assert_eq!(again, settings);
    }

    #[test]
    fn what_is_not_given_is_as_the_worker_has_it() {
        let settings = Settings { workers: 2, ..Settings::default() };
        let (limits, usual) = (settings.worker_limits(), worker::Limits::default());
        assert_eq!(limits.unsent_bytes_resume, usual.unsent_bytes_resume);
        assert_eq!(limits.stream.parked_bytes_pause, usual.stream.parked_bytes_pause);
        assert_eq!(limits.stream.memory_bytes_max, settings.memory_bytes_max() / 2);
        let given = LimitSettings { parked: Size(128 << 10), ..settings.limits };
        let limits = Settings { limits: given, ..Settings::default() }.worker_limits();
        assert_eq!(limits.stream.parked_bytes_pause, 64 << 10);
    }

    #[test]
    fn a_server_that_runs_takes_over_its_limits_and_its_log_level() {
        let checked = |workers, log, limits| {
            Settings { workers, log, limits, ..Settings::default() }.checked().unwrap()
        };
        let mut settings = checked(2, LogLevel::Info, LimitSettings::default());
        let limits = LimitSettings {
            channels_max: 5,
            memory: Some(Size(64 << 20)),
            ..LimitSettings::default()
        };
        let new = checked(4, LogLevel::Debug, limits);
        let changes = settings.take_over(new.clone());
        assert_eq!(changes.taken_over, ["log", "limits.channels_max", "limits.memory"]);
        assert_eq!(changes.need_restart, ["workers"]);
        assert_eq!((settings.workers, settings.limits.channels_max), (2, 5));
        assert_eq!(settings.worker_limits().stream.memory_bytes_max, 32 << 20);
        let again = settings.take_over(new);
        assert_eq!((again.taken_over.len(), again.need_restart.len()), (0, 1));
    }

    #[test]
    fn values_out_of_range_are_told_the_range() {
        let refused = |settings: Settings| settings.checked().unwrap_err().to_string();
        let workers = |workers| Settings { workers, ..Settings::default() };
        assert_eq!(refused(workers(0)), "`workers`: 0 is out of range: give 1 to 1024");
        assert_eq!(refused(workers(1025)), "`workers`: 1025 is out of range: give 1 to 1024");
        assert!(workers(1024).checked().is_ok());
        assert_eq!(
            refused(Settings { listen: Vec::new(), ..Settings::default() }),
            "`listen`: give at least one address, such as 127.0.0.1:1534"
        );
        let memory = |bytes| {
            let limits = LimitSettings { memory: Some(Size(bytes)), ..LimitSettings::default() };
            Settings { workers: 2, limits, ..Settings::default() }
        };
        let least = 2 * Settings::MEMORY_BYTES_MIN;
        assert_eq!(refused(memory(least - 1)), "`limits.memory`: too small: give at least 8MiB");
        let settings = memory(least).checked().unwrap();
        assert_eq!(settings.worker_limits().stream.memory_bytes_max, least / 2);
        let limits = |limits| Settings { limits, ..Settings::default() };
        let usual = LimitSettings::default;
        for (limits, message) in [
            (
                LimitSettings { unsent: Size(16_383), ..usual() },
                "`limits.unsent`: too small: give at least 16KiB",
            ),
            (
                LimitSettings { channels_max: 0, ..usual() },
                "`limits.channels_max`: too small: give at least 1",
            ),
            (
                LimitSettings { streams_max: 0, ..usual() },
                "`limits.streams_max`: too small: give at least 1",
            ),
            (
                LimitSettings { hello_timeout: Duration::ZERO, ..usual() },
                "`limits.hello_timeout`: no peer could connect: give 15s",
            ),
            (
                LimitSettings { http_head_timeout: Duration::ZERO, ..usual() },
                "`limits.http_head_timeout`: no HTTP request could come: give 30s",
            ),
            (
                LimitSettings { http_body_timeout: Duration::ZERO, ..usual() },
                "`limits.http_body_timeout`: no HTTP body could come: give 30s",
            ),
        ]
        .map(|(given, message)| (limits(given), message))
        {
            assert_eq!(refused(limits), message);
        }
    }
}
