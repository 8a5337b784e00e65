//! `weir serve`: starts the broker and tells when it is ready.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::Exit;
use crate::cli::args::ServeArgs;
use crate::cli::logging::{self, Log};
use crate::cli::say;
use crate::config::{self, Settings, Size};
use crate::server::{Addresses, Ended, Server};

/// A broker that runs and has said so.
pub(crate) struct Started {
    pub(crate) server: Server,
    /// Dropped, it sees the last lines out.
    pub(crate) log: Log,
}

/// Runs the broker until a signal ends it.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Exit> {
    let Some(Started { server, log }) = start(args)? else { return Ok(Exit::Ok) };
    if server.wait(|server| reload(args, server, &log))? == Ended::CutShort {
        tracing::warn!("stopped before every channel was closed in good order");
    }
    Ok(Exit::Ok)
}

/// Starts the broker and says where it is. `None`: only the configuration was to be checked.
pub(crate) fn start(args: &ServeArgs) -> anyhow::Result<Option<Started>> {
    let settings = config::load(args.config.as_deref(), |settings| apply(args, settings))?;
    if args.check_config {
        say::line("weir: the configuration is good");
        return Ok(None);
    }
    let log = logging::start(args.log_format, settings.log)?;
    let workers = settings.workers;
    let mut server = Server::start(settings)?;
    server.catch_signals()?;
    let addresses = server.addresses();
    let line = match args.json {
        true => ready_json(addresses, workers),
        false => ready_text(addresses, workers),
    };
    // A broker whose starter has closed the pipe is as ready as any other.
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    drop(stdout);
    Ok(Some(Started { server, log }))
}

/// Reads the configuration again. One that is bad changes nothing.
fn reload(args: &ServeArgs, server: &mut Server, log: &Log) {
    let settings = match config::load(args.config.as_deref(), |settings| apply(args, settings)) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!("configuration not reloaded, the old one stays: {error}");
            return;
        }
    };
    log.set_level(settings.log);
    let changes = server.take_over(settings);
    let list = |keys: &[String]| match keys {
        [] => "nothing".to_owned(),
        _ => keys.join(", "),
    };
    let (taken_over, need_restart) = (list(&changes.taken_over), list(&changes.need_restart));
    tracing::info!(
        "configuration reloaded: {taken_over} taken over; {need_restart} needs a restart"
    );
}

/// What flags and environment say wins over the file.
fn apply(args: &ServeArgs, settings: &mut Settings) {
    if !args.listen.is_empty() {
        settings.listen.clone_from(&args.listen);
    }
    if let Some(http) = &args.http {
        settings.http = http.clone();
    }
    if let Some(workers) = args.workers {
        settings.workers = workers;
    }
    if let Some(bytes) = args.memory_limit {
        settings.limits.memory = Some(Size(bytes));
    }
}

fn ready_text(addresses: &Addresses, workers: u16) -> String {
    let tcf: Vec<String> = addresses.tcf.iter().map(|address| format!("TCP:{address}")).collect();
    let http = match addresses.http {
        Some(address) => format!("dashboard http://{address}/"),
        None => "HTTP off".to_owned(),
    };
    format!("ready: {} ({http}) workers={workers}", tcf.join(" "))
}

/// The ready line as JSON, its members in this order.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    listen: Vec<String>,
    http: Option<String>,
    workers: u16,
    pid: u32,
}

fn ready_json(addresses: &Addresses, workers: u16) -> String {
    let ready = Ready {
        ready: true,
        listen: addresses.tcf.iter().map(ToString::to_string).collect(),
        http: addresses.http.map(|address| address.to_string()),
        workers,
        pid: std::process::id(),
    };
    serde_json::to_string(&ready).expect("strings and numbers make JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_every_address() {
        let mut addresses = Addresses {
            tcf: vec!["127.0.0.1:1534".parse().unwrap()],
            http: Some("127.0.0.1:9534".parse().unwrap()),
        };
        assert_eq!(
            ready_text(&addresses, 2),
            "ready: TCP:127.0.0.1:1534 (dashboard http://127.0.0.1:9534/) workers=2"
        );
        addresses.tcf.push("[::1]:7".parse().unwrap());
        addresses.http = None;
        assert_eq!(
            ready_text(&addresses, 1),
            "ready: TCP:127.0.0.1:1534 TCP:[::1]:7 (HTTP off) workers=1"
        );
        let pid = std::process::id();
        assert_eq!(
            ready_json(&addresses, 1),
            format!(
                r#"{{"ready":true,"listen":["127.0.0.1:1534","[::1]:7"],"http":null,"workers":1,"pid":{pid}}}"#
            )
        );
    }
}
