//! What can be typed on the command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::cli::bench::{BenchArgs, LOADS};
use crate::cli::units::{
    key, milliseconds, name, position, size, some_milliseconds, stall_timeout, stream_id, workers,
};
use crate::client::{self, Key, Position, StallTimeout};
use crate::config::{Address, HttpAddress};

const EXAMPLES: &str = "\
Examples:
  weir demo                             see everything at work in a minute
  weir                                  start the broker on 127.0.0.1:1534
  dmesg -w | weir pub --type kernel     write standard input into a new stream
  weir tail --type kernel               read it, as often and as late as you like
  weir tail --follow > console.log      record the newest stream, then those that come after it
";

static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!(
        "{}\nservices: Locator, Streams, Diagnostics, ZeroCopy, StreamBroker\nfeatures: tcp, http\n\
         build: {build}, {}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
});

/// A stream relay that speaks TCF: agents write byte streams into it, many hosts read them.
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    long_version = LONG_VERSION.as_str(),
    before_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub struct Args {
    /// What to do; the broker is started where nothing is said.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// How to start the broker.
    #[command(flatten)]
    pub serve: ServeArgs,
}

impl Args {
    /// The arguments of this process and its environment. Ends the process where they are wrong,
    /// or where only help is wanted.
    pub fn of_process() -> Args {
        let words: Vec<OsString> = std::env::args_os().collect();
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let parsed = Args::parse_with(words, is_empty);
        parsed.unwrap_or_else(|error| error.exit())
    }

    /// Takes from the environment only what is of the verb that is asked for, so that what is wrong
    /// for the broker stops nobody who lists its streams. A variable that `is_empty` is as good as
    /// none.
    fn parse_with(
        words: Vec<OsString>,
        is_empty: impl Fn(&OsStr) -> bool,
    ) -> Result<Args, clap::Error> {
        let mut command = Args::command();
        let has_verb = words.get(1).is_some_and(|word| command.find_subcommand(word).is_some());
        let without = |arg: Arg, is_unset: &dyn Fn(&OsStr) -> bool| match arg.get_env() {
            Some(name) if is_unset(name) => arg.env(Resettable::Reset),
            _ => arg,
        };
        command = command.mut_args(|arg| without(arg, &|name| has_verb || is_empty(name)));
        command = command.mut_subcommands(|verb| verb.mut_args(|arg| without(arg, &is_empty)));
        Args::from_arg_matches(&command.try_get_matches_from(words)?)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the broker (also what a bare `weir` does)
    #[command(after_long_help = SIGNALS, after_help = SIGNALS)]
    Serve(ServeArgs),
    /// Write standard input or a file into a new stream
    Pub(PubArgs),
    /// Copy one stream to standard output until it ends
    Tail(TailArgs),
    /// List the streams
    Ls(LsArgs),
    /// Print the broker's numbers: who is full, who is slow, by how much
    Stats(StatsArgs),
    /// Watch the broker's numbers in the terminal
    Top(TopArgs),
    /// Start a broker with fake agents and readers, to look around
    Demo(ServeArgs),
    /// Put a load on a TCF peer with Streams, and say how it did
    #[command(after_long_help = LOADS, after_help = LOADS)]
    Bench(BenchArgs),
}

const SIGNALS: &str = "\
Signals:
  SIGTERM, SIGINT   end every channel in good order, then exit; a second one exits at once
  SIGHUP            read the configuration file again: `log` and everything in [limits] counts from
                    then on, the rest after a restart; a file with an error changes nothing
";

/// How to start the broker.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Broker")]
pub struct ServeArgs {
    /// Listen for TCF peers here; may be given several times [default: 127.0.0.1:1534]
    ///
    /// Port 0 takes any free port; the ready line tells which. TCP::1534 listens on all interfaces:
    /// anybody who can reach the port can then read and write streams.
    #[arg(long, value_name = "[TCP:]HOST:PORT", env = "WEIR_LISTEN", value_delimiter = ',')]
    pub listen: Vec<Address>,
    /// Serve health and statistics over HTTP here, or `off` [default: 127.0.0.1:9534]
    #[arg(long, value_name = "HOST:PORT", env = "WEIR_HTTP")]
    pub http: Option<HttpAddress>,
    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N", env = "WEIR_WORKERS", value_parser = workers)]
    pub workers: Option<u16>,
    /// Most memory that streams and channels hold in total, such as 512MiB [default: a quarter of
    /// the machine's, at most 4GiB]
    ///
    /// Each worker has an even share. Over it a stream's buffer does not grow, so that its writes
    /// wait for its readers; a new stream is refused.
    #[arg(long, value_name = "SIZE", env = "WEIR_MEMORY_LIMIT", value_parser = size)]
    pub memory_limit: Option<u64>,
    /// Configuration file [default: ~/.config/weir/weir.toml, else /etc/weir/weir.toml]
    #[arg(long, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the ready line as JSON
    #[arg(long)]
    pub json: bool,
    /// Form of the log lines on standard error; RUST_LOG says which
    #[arg(long, value_name = "FORM", env = "WEIR_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Check the configuration and end
    #[arg(long)]
    pub check_config: bool,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which broker.
#[derive(Debug, clap::Args)]
pub struct BrokerArgs {
    /// The broker
    #[arg(long, value_name = "HOST:PORT", env = "WEIR_BROKER", default_value = "127.0.0.1:1534")]
    pub broker: client::Address,
    /// Who is calling.
    #[command(flatten)]
    pub caller: CallerArgs,
}

/// Who is calling.
#[derive(Debug, clap::Args)]
pub struct CallerArgs {
    /// Who is calling, for people: shown beside the address [default: this machine's name]
    #[arg(long = "as", value_name = "NAME", env = "WEIR_NAME", value_parser = name)]
    pub introduced_as: Option<String>,
}

/// What to publish, and as what.
#[derive(Debug, clap::Args)]
pub struct PubArgs {
    /// File to copy; standard input where there is none or `-`
    pub file: Option<PathBuf>,
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Type of the new stream, by which readers find it
    #[arg(long, default_value = "log")]
    pub r#type: String,
    /// Context ID that the stream belongs to
    #[arg(long, value_name = "ID")]
    pub context: Option<String>,
    /// Name of the stream, for people
    #[arg(long)]
    pub name: Option<String>,
    /// Most bytes that the broker keeps [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub buffer: Option<u64>,
    /// Bytes kept for late readers after everyone has read them [default: 64KiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub history: Option<u64>,
    /// How long the full stream waits for a reader that does not read: 0, a time, or `never` to
    /// wait for ever [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = stall_timeout)]
    pub stall_timeout: Option<StallTimeout>,
    /// Keep everything until the first reader comes; a full buffer then stops this program
    #[arg(long)]
    pub hold: bool,
    /// How long the stream stays readable after its end, read or not
    #[arg(long, value_name = "TIME", value_parser = milliseconds, default_value = "10s")]
    pub linger: u64,
    /// How long the stream waits for this program when their connection breaks; meanwhile this
    /// program tries to come back and goes on at the byte where it stopped [default: 60s with
    /// --key, else 0]
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    pub keep_for: Option<u64>,
    /// The secret by which the stream knows its writer, who may then adopt it [default: with
    /// --keep-for a random one]
    ///
    /// Other users of the machine can see arguments; they cannot see the environment.
    #[arg(long, value_name = "KEY", env = "WEIR_KEY", hide_env_values = true, value_parser = key)]
    pub key: Option<Key>,
}

/// Which stream to copy, and how.
#[derive(Debug, clap::Args)]
pub struct TailArgs {
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// This stream, as `weir ls` shows it [default: the newest]
    #[arg(long, value_name = "STREAM", conflicts_with = "follow")]
    pub id: Option<String>,
    /// The newest stream of this type; with --id, the type that it must have
    #[arg(long)]
    pub r#type: Option<String>,
    /// Where to start: oldest (byte kept), latest, or an offset in bytes. A stream that was waited
    /// for is always read from its first byte
    #[arg(long, value_name = "POSITION", value_parser = position, default_value = "oldest",
          allow_negative_numbers = true)]
    pub from: Position,
    /// After the end go on with the next stream
    #[arg(long, short)]
    pub follow: bool,
    /// Do not wait where there is no stream yet, but end with code 1
    #[arg(long, conflicts_with = "follow")]
    pub no_wait: bool,
    /// How long the full stream waits for this reader: 0, a time, or `never` to lose nothing, ever
    /// [default: what the stream's owner chose]
    #[arg(long, value_name = "TIME", value_parser = stall_timeout)]
    pub stall_timeout: Option<StallTimeout>,
    /// How long to try to come back when the connection breaks; the stream is then read on from the
    /// byte where it stopped, and what is gone by then is told. 0 does not try
    #[arg(long, value_name = "TIME", value_parser = milliseconds, default_value = "60s")]
    pub retry_for: u64,
    /// Keep the offset in this file, and go on there in the next run. It never claims bytes that
    /// are not in the output: use it with >>
    #[arg(long, value_name = "FILE", conflicts_with = "follow")]
    pub state: Option<PathBuf>,
    /// Name of this reader's place in the stream, which holds what has not been written while the
    /// reader is away; another run with the same name takes it up [default: one that goes with
    /// this run]
    #[arg(long, value_name = "NAME", conflicts_with = "no_place", value_parser = name)]
    pub place: Option<String>,
    /// How long the place waits for this reader, within what --stall-timeout allows [default: 30s,
    /// no longer than --retry-for]
    #[arg(long, value_name = "TIME", value_parser = milliseconds, conflicts_with = "no_place")]
    pub keep_for: Option<u64>,
    /// Take no place: what is gone when a broken connection is back is lost
    #[arg(long)]
    pub no_place: bool,
}

/// What to list.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// Which broker.
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Only streams of this type
    #[arg(long)]
    pub r#type: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Where the broker answers HTTP.
#[derive(Debug, clap::Args)]
pub struct HttpArgs {
    /// Where the broker answers HTTP
    #[arg(long, value_name = "HOST:PORT", env = "WEIR_HTTP", default_value = "127.0.0.1:9534")]
    pub http: HttpAddress,
}

/// Which numbers to print.
#[derive(Debug, clap::Args)]
pub struct StatsArgs {
    /// Which broker.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Print the JSON of GET /stats, which has more
    #[arg(long)]
    pub json: bool,
    /// Order of streams and readers, the largest first
    #[arg(long, value_enum, default_value_t = StatsSort::Age)]
    pub sort: StatsSort,
    /// At most so many streams, and readers of each
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Only this stream, with its readers
    #[arg(long, value_name = "STREAM", value_parser = stream_id)]
    pub stream: Option<String>,
}

/// Orders that `/stats` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsSort {
    /// The oldest stream first.
    Age,
    /// By the lag of the slowest reader.
    Lag,
    /// By bytes that come in.
    Rate,
    /// By how full the buffer is.
    Fill,
    /// By bytes lost.
    Lost,
}

impl std::fmt::Display for StatsSort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().expect("no order is hidden");
        f.write_str(value.get_name())
    }
}

/// What to watch.
#[derive(Debug, clap::Args)]
pub struct TopArgs {
    /// Which broker.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Time between two looks
    #[arg(long, value_name = "TIME", value_parser = some_milliseconds, default_value = "1s")]
    pub every: u64,
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_environment_counts_for_the_verb_that_is_asked_for_and_where_it_says_something() {
        let with = |line: &str, empty: bool| {
            let words = line.split(' ').map(OsString::from).collect();
            let command = Args::parse_with(words, |_| empty);
            command.map_err(|error| error.to_string())
        };
        for line in ["weir", "weir serve", "weir ls", "weir tail", "weir stats", "weir bench"] {
            assert!(with(line, true).is_ok(), "{line}");
        }
        let error = with("weir serve --workers many", true).unwrap_err();
        assert!(
            error.contains("`many` is not a number of threads: write one such as 4"),
            "{error}"
        );
        assert!(with("weir help", true).unwrap_err().contains("Usage: weir"));
        assert!(with("weir help tail", true).unwrap_err().contains("Copy one stream"));
        let error = with("weir tail --from -5", true).unwrap_err();
        assert!(error.contains("write oldest, latest or an offset in bytes"), "{error}");
        assert!(with("weir top --every 0s", true).unwrap_err().contains("at least 1ms"));
    }

    #[test]
    fn the_command_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn bare_weir_and_serve_take_the_same_flags() {
        let flags = "--listen TCP:127.0.0.1:0 --listen [::1]:7 --http off --workers 3 --json";
        let bare = parse(&format!("weir {flags}")).unwrap();
        assert!(bare.verb.is_none());
        let Some(Verb::Serve(serve)) = parse(&format!("weir serve {flags}")).unwrap().verb else {
            panic!("serve is a verb");
        };
        for args in [&bare.serve, &serve] {
            assert_eq!(args.listen.len(), 2);
            assert_eq!(args.http, Some(HttpAddress::Off));
            assert_eq!(args.workers, Some(3));
            assert!(args.json);
        }
    }

    #[test]
    fn a_tail_says_where_to_start_and_how_long_to_be_waited_for() {
        let Some(Verb::Tail(tail)) =
            parse("weir tail --type a --from 17 --stall-timeout never -f").unwrap().verb
        else {
            panic!("tail is a verb");
        };
        assert_eq!(tail.r#type.as_deref(), Some("a"));
        assert_eq!(tail.from, Position::Offset(17));
        assert_eq!(tail.stall_timeout, Some(StallTimeout::Never));
        assert!(tail.follow);
    }

    #[test]
    fn a_pub_has_the_documented_defaults() {
        let Some(Verb::Pub(publish)) = parse("weir pub").unwrap().verb else {
            panic!("pub is a verb");
        };
        assert_eq!(publish.r#type, "log");
        assert_eq!(publish.linger, 10_000);
        assert_eq!(publish.buffer, None);
        assert_eq!(publish.broker.broker.port(), client::DEFAULT_PORT);
    }

    #[test]
    fn a_key_is_in_no_text() {
        let args = parse("weir pub --key s3cret --keep-for 9s").unwrap();
        assert!(!format!("{args:?}").contains("s3cret"));
        let Some(Verb::Pub(publish)) = args.verb else { panic!("pub is a verb") };
        assert_eq!(publish.key, Some(Key::new("s3cret")));
        assert_eq!(publish.keep_for, Some(9000));
    }

    #[test]
    fn wrong_arguments_are_usage_errors() {
        for line in [
            "weir --bogus",
            "weir tial",
            "weir --workers many",
            "weir --listen 1534",
            "weir --workers 2 tail",
            "weir tail --id VS1 --follow",
            "weir pub --key=",
            "weir tail --from tomorrow",
            "weir pub --buffer huge",
            "weir pub a b",
            "weir ls --broker lab:port",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}: {error}");
        }
    }

    #[test]
    fn help_and_version_are_no_failures() {
        let long = parse("weir --help").unwrap_err();
        assert_eq!(long.kind(), ErrorKind::DisplayHelp);
        assert!(long.to_string().starts_with("Examples:\n"));
        let short = parse("weir -h").unwrap_err();
        assert!(!short.to_string().contains("Examples:"));
        let version = parse("weir --version").unwrap_err();
        assert_eq!((version.kind(), version.exit_code()), (ErrorKind::DisplayVersion, 0));
        assert!(version.to_string().contains("features:"));
    }
}
