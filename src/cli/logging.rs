//! Sets up the log of a server.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::cli::args::LogFormat;
use crate::cli::log_writer::{FlushGuard, LineForm, LogWriter};
use crate::config::LogLevel;

/// The running log. Dropped, it sees the last lines out.
pub(crate) struct Log {
    set_filter: Box<dyn Fn(EnvFilter)>,
    _flush: FlushGuard,
}

impl Log {
    /// Writes other lines from now on, unless `RUST_LOG` says which.
    pub(crate) fn set_level(&self, level: LogLevel) {
        (self.set_filter)(filter(level));
    }
}

/// What `RUST_LOG` says, or else weir's own lines from `level` up.
fn filter(level: LogLevel) -> EnvFilter {
    let directive = format!("weir={level}").parse().expect("the directive is well formed");
    EnvFilter::builder().with_default_directive(directive).from_env_lossy()
}

/// Logs to standard error.
pub(crate) fn start(format: LogFormat, level: LogLevel) -> io::Result<Log> {
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && io::IsTerminal::is_terminal(&io::stderr());
    let form = match (format, colour) {
        (LogFormat::Json, _) => LineForm::Json,
        (LogFormat::Text, true) => LineForm::Coloured,
        (LogFormat::Text, false) => LineForm::Plain,
    };
    let (writer, flush) = LogWriter::start(form, io::stderr())?;
    let builder = tracing_subscriber::fmt().with_writer(writer);
    // The second of two servers in one process logs with the first.
    let set_filter: Box<dyn Fn(EnvFilter)> = match format {
        LogFormat::Text => {
            let builder = builder.with_ansi(colour).with_target(false);
            let builder = builder.with_env_filter(filter(level)).with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true);
            let builder = builder.with_env_filter(filter(level)).with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    };
    Ok(Log { set_filter, _flush: flush })
}
