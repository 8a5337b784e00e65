//! `weir demo`: a broker with fake agents and hosts on it, so that a newcomer sees everything in a
//! minute.
//!
//! The broker is that of `weir serve`. The agents and hosts are threads of this process that speak
//! to it over loopback, as strangers would: nothing here reaches into the broker. `stage` runs
//! them, each other file is one kind of actor.

mod boot_log;
mod console;
mod keyboard;
mod readers;
mod sensor;
mod stage;
mod trace;

use signal_hook::consts::SIGTERM;
use signal_hook::low_level;

use crate::cli::Exit;
use crate::cli::args::ServeArgs;
use crate::cli::serve::{self, Started};
use crate::client::{Address, DEFAULT_PORT};
use crate::server::{Addresses, Ended};

use stage::Stage;

/// Runs the broker with everything on it until a signal ends it.
pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Exit> {
    let Some(Started { server, log: _log }) = serve::start(args)? else { return Ok(Exit::Ok) };
    let addresses = server.addresses().clone();
    let broker: Address = reachable(&addresses).to_string().parse()?;
    let mut stage = Stage::new(broker);
    let cast = Cast::enter(&mut stage)?;
    eprint!("{}", guide(&addresses, &cast));
    // SIGHUP says that the terminal is gone, and with it who looks.
    let ended = server.wait(|_| drop(low_level::raise(SIGTERM)))?;
    // Their channels are closed, which each of them notices.
    stage.leave();
    if ended == Ended::CutShort {
        tracing::warn!("stopped before every channel was closed in good order");
    }
    Ok(Exit::Ok)
}

/// The streams that play, by ID.
#[derive(Debug, Default)]
struct Cast {
    boot_log: String,
    sensor: String,
    trace: String,
    console: String,
    console_in: String,
}

impl Cast {
    /// Lets all of them enter: the agents with their streams first, then who reads them.
    fn enter(stage: &mut Stage) -> anyhow::Result<Cast> {
        let boot_log = boot_log::enter(stage)?;
        let sensor = sensor::enter(stage)?;
        let trace = trace::enter(stage)?;
        let (console, console_in) = console::enter(stage)?;
        readers::enter_recorder(stage, &trace)?;
        readers::enter_slow_reader(stage, &trace)?;
        readers::enter_viewer(stage, &sensor)?;
        console::enter_operator(stage, &console_in)?;
        keyboard::enter(stage, &console, &console_in)?;
        Ok(Cast { boot_log, sensor, trace, console, console_in })
    }
}

/// An address that this process can connect to: the first, on loopback where it is all interfaces.
fn reachable(addresses: &Addresses) -> std::net::SocketAddr {
    let mut address = addresses.tcf[0];
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// What runs, and what to try.
fn guide(addresses: &Addresses, cast: &Cast) -> String {
    let broker = reachable(addresses);
    let flag = match broker.port() == DEFAULT_PORT && broker.ip().is_loopback() {
        true => String::new(),
        false => format!(" --broker {broker}"),
    };
    let Cast { boot_log, sensor, trace, console, console_in } = cast;
    let mut text = format!(
        "
Four fake agents write, and four hosts are there:
  {boot_log:<6} boot         a boot log, kept for whoever comes later
  {sensor:<6} sensor       20 readings a second
  {trace:<6} trace        10 MB/s; a recorder takes all of it, a slow reader stops now and then:
                      the stream waits 2 s for it, then goes on, and the reader is told its loss
  {console:<6} console      a shell; what is typed into {console_in} (console-in) is answered here

Try, in another terminal:
  weir ls{flag}
  weir tail{flag} --type boot
  weir tail{flag} --type trace > /dev/null       # stop it with Ctrl-Z: the others go on
"
    );
    if let Some(http) = addresses.http {
        let stats = match http.port() == 9534 && http.ip().is_loopback() {
            true => String::new(),
            false => format!(" --http {http}"),
        };
        text.push_str(&format!(
            "  weir top{stats}
  curl -N http://{http}/streams/{sensor}/tail
and in a browser:
  http://{http}/
"
        ));
    }
    text.push_str("\nType here to talk to the console (try: help). Ctrl-C ends everything.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast() -> Cast {
        Cast { sensor: "VS1".to_owned(), ..Cast::default() }
    }

    #[test]
    fn the_guide_gives_commands_that_work_where_the_broker_is() {
        let addresses = Addresses {
            tcf: vec!["0.0.0.0:1534".parse().unwrap()],
            http: Some("127.0.0.1:9534".parse().unwrap()),
        };
        let text = guide(&addresses, &cast());
        assert!(text.contains("  weir ls\n") && text.contains("  weir top\n"), "{text}");
        assert!(text.contains("http://127.0.0.1:9534/streams/VS1/tail"), "{text}");

        let elsewhere =
            Addresses { tcf: vec!["[::]:77".parse().unwrap()], http: "127.0.0.1:78".parse().ok() };
        let text = guide(&elsewhere, &cast());
        assert!(text.contains("  weir ls --broker [::1]:77\n"), "{text}");
        assert!(text.contains("  weir top --http 127.0.0.1:78\n"), "{text}");

        let text = guide(&Addresses { http: None, ..elsewhere }, &cast());
        assert!(!text.contains("http"), "{text}");
    }
}
