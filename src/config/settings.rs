//! Validated settings: built once, never changed.

use std::fmt::Write;
use std::time::Duration;

use crate::config::units::{show_duration, show_size};
use crate::config::{Address, Error, HttpAddress, LogLevel, Overrides};
use crate::worker::{self, cores};

/// What the server runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TCF addresses to listen on, at least one.
    pub listen: Vec<Address>,
    /// HTTP address, or off.
    pub http: HttpAddress,
    /// Worker threads, 1 to [`Settings::WORKERS_MAX`].
    pub workers: u16,
    /// Whether each worker stays on a core of its own, where there are as many workers as cores.
    pub pin: bool,
    /// The broker's name, for people.
    pub name: String,
    /// Which log lines are written, where `RUST_LOG` does not say.
    pub log: LogLevel,
    /// Bounds of one worker.
    pub limits: worker::Limits,
    /// Bytes that streams and channels may hold on all workers; each gets an even share, which is
    /// in `limits` too.
    pub memory_bytes_max: u64,
    /// Open connections on all workers; more are closed as they come.
    pub channels_max: usize,
    /// How long all channels may take to close at shutdown.
    pub drain_timeout: Duration,
}

impl Settings {
    /// More workers than any machine has cores for; bounds the tables.
    pub const WORKERS_MAX: u16 = 1024;
    /// Most that `memory_bytes_max` is by default: as much as 4096 full buffers of the default
    /// size. Who wants a broker to take more of a big machine says so.
    pub const MEMORY_BYTES_MAX: u64 = 4 << 30;
    /// Least of `memory_bytes_max` for each worker: a few buffers of the default size.
    pub const MEMORY_BYTES_MIN: u64 = 4 << 20;
    /// Default of `channels_max`: ten thousand quiet hosts and room beside.
    pub const CHANNELS_MAX: usize = 16_384;
    /// Default of `drain_timeout`: shorter than the ten seconds that container runtimes wait before
    /// they kill.
    pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

    /// Fills `overrides` up with the defaults.
    ///
    /// # Errors
    /// [`Error::Value`] for a value that is out of range.
    pub fn new(overrides: Overrides) -> Result<Settings, Error> {
        let given = overrides.limits;
        let mut limits = worker::Limits::default();
        set(&mut limits.stream.streams_max, given.streams_max);
        set(&mut limits.stream.buffer_bytes_max, given.buffer_size_max);
        set(&mut limits.stream.parked_bytes_max, given.parked);
        // A channel pauses well before its writes are refused.
        let parked_max = limits.stream.parked_bytes_max;
        limits.stream.parked_bytes_pause = limits.stream.parked_bytes_pause.min(parked_max / 2);
        set(&mut limits.wire.message_bytes_max, given.message_size.map(saturated));
        if let Some(unsent) = given.unsent {
            limits.unsent_bytes_pause = saturated(unsent);
            // Far enough below, that a slow peer does not stop and go with every packet.
            limits.unsent_bytes_resume = limits.unsent_bytes_pause / 4;
        }
        set(&mut limits.hello_timeout, given.hello_timeout);
        set(&mut limits.linger_timeout, given.linger_timeout);

        let workers = overrides.workers.unwrap_or_else(default_workers);
        let memory_bytes_max = given.memory.unwrap_or_else(|| default_memory(workers));
        limits.stream.memory_bytes_max = memory_bytes_max / u64::from(workers.max(1));

        let settings = Settings {
            listen: overrides.listen.unwrap_or_else(|| vec![Address::loopback(Address::TCF_PORT)]),
            http: overrides
                .http
                .unwrap_or_else(|| HttpAddress::At(Address::loopback(Address::HTTP_PORT))),
            workers,
            pin: overrides.pin.unwrap_or(true),
            name: overrides.name.unwrap_or_else(|| "Weir".to_owned()),
            log: overrides.log.unwrap_or_default(),
            limits,
            memory_bytes_max,
            channels_max: given.channels_max.unwrap_or(Settings::CHANNELS_MAX),
            drain_timeout: given.drain_timeout.unwrap_or(Settings::DRAIN_TIMEOUT),
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |key, message: String| Err(Error::Value { key, message });
        if self.listen.is_empty() {
            return refuse(
                "listen",
                "give at least one address, such as 127.0.0.1:1534".to_owned(),
            );
        }
        if self.workers == 0 || self.workers > Settings::WORKERS_MAX {
            let (asked, most) = (self.workers, Settings::WORKERS_MAX);
            return refuse("workers", format!("{asked} is out of range: give 1 to {most}"));
        }
        let memory_min = Settings::MEMORY_BYTES_MIN * u64::from(self.workers);
        let least: [(&'static str, u64, u64); 7] = [
            ("limits.memory", self.memory_bytes_max, memory_min),
            ("limits.channels_max", self.channels_max as u64, 1),
            ("limits.streams_max", self.limits.stream.streams_max as u64, 1),
            ("limits.buffer_size_max", self.limits.stream.buffer_bytes_max, 4 << 10),
            // Clients send their data in packets of up to 64 KiB.
            ("limits.message_size", self.limits.wire.message_bytes_max as u64, 128 << 10),
            ("limits.unsent", self.limits.unsent_bytes_pause as u64, 16 << 10),
            ("limits.parked", self.limits.stream.parked_bytes_max, 128 << 10),
        ];
        for (key, value, least) in least {
            if value < least {
                let least = if least > 1 { show_size(least) } else { least.to_string() };
                return refuse(key, format!("too small: give at least {least}"));
            }
        }
        if self.limits.hello_timeout.is_zero() {
            return refuse("limits.hello_timeout", "no peer could connect: give 15s".to_owned());
        }
        Ok(())
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
        self.memory_bytes_max = new.memory_bytes_max;
        self.limits.stream.memory_bytes_max = new.memory_bytes_max / u64::from(self.workers);
        self.channels_max = new.channels_max;
        self.drain_timeout = new.drain_timeout;
        changes
    }

    /// The settings as a configuration file that says the same.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let quoted = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let listen: Vec<String> = self.listen.iter().map(|a| quoted(&a.to_string())).collect();
        let limits = &self.limits;
        let lines = [
            format!("listen = [{}]", listen.join(", ")),
            format!("http = {}", quoted(&self.http.to_string())),
            format!("workers = {}", self.workers),
            format!("pin = {}", self.pin),
            format!("name = {}", quoted(&self.name)),
            format!("log = \"{}\"", self.log),
            String::new(),
            "[limits]".to_owned(),
            format!("channels_max = {}", self.channels_max),
            format!("streams_max = {}", limits.stream.streams_max),
            format!("buffer_size_max = \"{}\"", show_size(limits.stream.buffer_bytes_max)),
            format!("message_size = \"{}\"", show_size(limits.wire.message_bytes_max as u64)),
            format!("unsent = \"{}\"", show_size(limits.unsent_bytes_pause as u64)),
            format!("parked = \"{}\"", show_size(limits.stream.parked_bytes_max)),
            format!("memory = \"{}\"", show_size(self.memory_bytes_max)),
            format!("hello_timeout = \"{}\"", show_duration(limits.hello_timeout)),
            format!("linger_timeout = \"{}\"", show_duration(limits.linger_timeout)),
            format!("drain_timeout = \"{}\"", show_duration(self.drain_timeout)),
        ];
        for line in lines {
            writeln!(text, "{line}").expect("a String takes every line");
        }
        text
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
        Settings::new(Overrides::default()).expect("the defaults are in range")
    }
}

fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

fn saturated(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
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
    use crate::config::{LimitOverrides, raw};

    #[test]
    fn defaults_listen_on_this_machine_only() {
        let settings = Settings::default();
        assert_eq!(settings.listen, [Address::loopback(1534)]);
        assert_eq!(settings.http, HttpAddress::At(Address::loopback(9534)));
        assert!(settings.workers >= 1);
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        let overrides = Overrides {
            listen: Some(vec!["[::1]:0".parse().unwrap(), "TCP::7".parse().unwrap()]),
            http: Some(HttpAddress::Off),
            workers: Some(7),
            pin: Some(false),
            name: Some("a \"b\" \\ \n ü".to_owned()),
            log: Some(LogLevel::Warn),
            limits: LimitOverrides {
                unsent: Some(123_456),
                drain_timeout: Some(Duration::from_millis(1)),
                ..LimitOverrides::default()
            },
        };
        let text = Settings::new(overrides).unwrap().to_toml();
        let again = raw::parse(Path::new("again.toml"), &text).unwrap();
        assert_eq!(Settings::new(again).unwrap().to_toml(), text);
    }

    #[test]
    fn a_server_that_runs_takes_over_its_limits_and_its_log_level() {
        let mut settings =
            Settings::new(Overrides { workers: Some(2), ..Overrides::default() }).unwrap();
        let limits = LimitOverrides {
            channels_max: Some(5),
            memory: Some(64 << 20),
            ..LimitOverrides::default()
        };
        let new = Overrides {
            workers: Some(4),
            log: Some(LogLevel::Debug),
            limits,
            ..Overrides::default()
        };
        let new = Settings::new(new).unwrap();
        let changes = settings.take_over(new.clone());
        assert_eq!(changes.taken_over, ["log", "limits.channels_max", "limits.memory"]);
        assert_eq!(changes.need_restart, ["workers"]);
        assert_eq!((settings.workers, settings.channels_max), (2, 5));
        assert_eq!(settings.limits.stream.memory_bytes_max, 32 << 20);
        let again = settings.take_over(new);
        assert_eq!((again.taken_over.len(), again.need_restart.len()), (0, 1));
    }

    #[test]
    fn values_out_of_range_are_told_the_range() {
        let refused = |overrides| Settings::new(overrides).unwrap_err().to_string();
        let workers = |count| Overrides { workers: Some(count), ..Overrides::default() };
        assert_eq!(refused(workers(0)), "`workers`: 0 is out of range: give 1 to 1024");
        assert_eq!(refused(workers(1025)), "`workers`: 1025 is out of range: give 1 to 1024");
        assert!(Settings::new(workers(1024)).is_ok());
        assert_eq!(
            refused(Overrides { listen: Some(Vec::new()), ..Overrides::default() }),
            "`listen`: give at least one address, such as 127.0.0.1:1534"
        );
        let memory = |bytes| Overrides {
            workers: Some(2),
            limits: LimitOverrides { memory: Some(bytes), ..LimitOverrides::default() },
            ..Overrides::default()
        };
        let least = 2 * Settings::MEMORY_BYTES_MIN;
        assert_eq!(refused(memory(least - 1)), "`limits.memory`: too small: give at least 8MiB");
        let settings = Settings::new(memory(least)).unwrap();
        assert_eq!(settings.limits.stream.memory_bytes_max, least / 2);
        let limits = LimitOverrides { unsent: Some(16_383), ..LimitOverrides::default() };
        assert_eq!(
            refused(Overrides { limits, ..Overrides::default() }),
            "`limits.unsent`: too small: give at least 16KiB"
        );
    }
}
