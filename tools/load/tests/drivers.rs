//! Every server gets every byte to every reader, by the driver that is to measure it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use weir::bench::{self, BenchError, Check, Plan, Span, TcfOptions};
use weir_load::Raw;
use weir_load::compare::{Contender, Programs, Server};
use weir_load::fanout::Fanout;

fn plan(streams: usize, readers: usize, write_bytes: usize, window_bytes: usize) -> Plan {
    Plan {
        streams,
        readers,
        write_bytes,
        window_bytes,
        span: Span::Writes(100),
        check: Check::Full,
        pid: None,
    }
}

/// Enough at once that readers skip what they need not look at.
fn sampled(readers: usize, write_bytes: usize) -> Plan {
    let span = Span::Writes((64 << 20) / write_bytes as u64);
    Plan { span, check: Check::Sampled, ..plan(1, readers, write_bytes, 2 << 20) }
}

/// So long that a server which asks for signs of life does it in between.
fn long() -> Plan {
    let span = Span::Time { warm_up: Duration::ZERO, measured: Duration::from_millis(3500) };
    Plan { span, check: Check::Sampled, ..plan(1, 2, 16 << 10, 512 << 10) }
}

fn plans() -> [Plan; 9] {
    [
        plan(1, 1, 16 << 10, 512 << 10),
        plan(1, 8, 64, 64 << 10),
        plan(20, 2, 256, 4 << 10),
        plan(1, 3, 256, 256),
        plan(1, 3, 100_000, 900_000),
        plan(1, 2, 300_000, 900_000),
        sampled(1, 16 << 10),
        sampled(2, 1000),
        sampled(1, 300_000),
    ]
}

/// Puts these plans on a server; `false` where it is not installed.
fn deliver(contender: Contender, plans: &[Plan]) -> bool {
    let mut programs = Programs::beside_this().expect("this program lies in a folder");
    let fanout = env!("CARGO_BIN_EXE_fanout");
    programs.fanout = fanout.into();
    let program = match contender {
        Contender::Nats => &programs.nats,
        Contender::Redis => &programs.redis,
        Contender::Mosquitto => &programs.mosquitto,
        _ => Path::new(fanout),
    };
    if Command::new(program).arg("-h").output().is_err() {
        return false;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(contender, &programs, folder.path()).expect("it starts");
    for plan in plans {
        let mut protocol = server.protocol(TcfOptions::default());
        let report = bench::run(protocol.as_mut(), plan)
            .unwrap_or_else(|error| panic!("{}: {plan:?}: {error}", contender.name()));
        assert!(report.writes_total >= 100 * plan.streams as u64, "{report:?}");
        // Of a load by time, what is under way at its ends is not counted.
        if matches!(plan.span, Span::Writes(_)) {
            assert_eq!(report.deliveries, report.writes_total * plan.readers as u64, "{report:?}");
        }
    }
    true
}

#[test]
fn fanout_delivers_every_byte() {
    assert!(deliver(Contender::Fanout, &plans()));
}

/// Fails only where the caller says that the server is there: `tools/check` does, when it could be
/// installed.
fn deliver_if_installed(contender: Contender, plans: &[Plan]) {
    if !deliver(contender, plans) {
        assert!(
            std::env::var_os("WEIR_TEST_BROKERS").is_none(),
            "{} is not installed",
            contender.name()
        );
        eprintln!("NOT TESTED: {} is not installed", contender.name());
    }
}

#[test]
fn nats_delivers_every_byte() {
    deliver_if_installed(Contender::Nats, &plans());
}

#[test]
fn what_nats_asks_in_between_is_not_taken_for_data() {
    deliver_if_installed(Contender::Nats, &[long()]);
}

#[test]
fn redis_delivers_every_byte() {
    deliver_if_installed(Contender::Redis, &plans());
}

#[test]
fn mosquitto_delivers_every_byte() {
    deliver_if_installed(Contender::Mosquitto, &plans());
}

#[test]
fn a_fanout_in_this_process_serves_one_load_after_the_other() {
    let mut server = Fanout::listen(1000).expect("loopback has free ports");
    let (publishers, subscribers) = server.addresses().expect("it listens");
    // It ends with the process: nobody can ask it to.
    std::thread::spawn(move || server.serve());
    for plan in plans() {
        let mut raw = Raw { publishers, subscribers };
        let report = bench::run(&mut raw, &plan).expect("every byte is delivered");
        assert_eq!(report.deliveries, report.writes_total * plan.readers as u64, "{report:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let address = ([127, 0, 0, 1], 1).into();
    let mut raw = Raw { publishers: address, subscribers: address };
    let error = bench::run(&mut raw, &plan(1, 1, 1, 1)).expect_err("nobody listens there");
    assert!(matches!(error, BenchError::Unreachable { .. }), "{error}");
}
