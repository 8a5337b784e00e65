//! Sets up the log of a server.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::cli::args::LogFormat;
use crate::cli::log_writer::{FlushGuard, LogWriter};

/// Logs to standard error what `RUST_LOG` says, by default weir's own lines from `info` up. The guard
/// sees the last lines out.
pub(crate) fn start(format: LogFormat) -> io::Result<FlushGuard> {
    let (writer, guard) = LogWriter::start(io::stderr())?;
    let filter = EnvFilter::builder()
        .with_default_directive("weir=info".parse().expect("the default directive is well formed"))
        .from_env_lossy();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // The second of two servers in one process logs with the first.
    let _ = match format {
        LogFormat::Text => {
            let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && io::IsTerminal::is_terminal(&io::stderr());
            builder.with_ansi(colour).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(guard)
}
