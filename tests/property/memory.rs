//! The memory of one worker: at its limit and one past it, on the stream's own worker and on
//! another.

use weir::stream::{
    Command, CoreLimits, Direction, Payload, Properties, Refusal, Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told};
use crate::pair::{Pair, small};

/// One worker's share of the memory: nine parts for a first stream, one for a second.
fn tight() -> CoreLimits {
    CoreLimits {
        memory_bytes_max: 1000,
        stream_bytes_min: 100,
        short_bytes: 50,
        ..CoreLimits::default()
    }
}

fn roomy() -> Properties {
    Properties { buffer_bytes: 5000, ..small(StallTimeout::Never) }
}

#[test]
fn memory_holds_at_its_limit_and_parks_one_past() {
    for host_worker in [0, 1] {
        let mut cluster = Cluster::new(7, 2, 64, &tight());
        let agent = cluster.open(0);
        let host = cluster.open(host_worker);
        let mut pair = Pair { cluster, agent, host };
        let stream = pair.create(roomy());
        pair.connect(stream);
        let quiet = pair.create(roomy());
        let told = pair.run(agent, Command::Create(Box::new(roomy())));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Stream(Ok(_)))]), "{told:?}");

        assert_eq!(pair.write(stream, &"a".repeat(800)), Some(Ok(())), "at the limit");
        assert_eq!(pair.cluster.engines[0].report().held_bytes, 1000);
        let told = pair.run(agent, Command::Create(Box::new(roomy())));
        let [Told::Reply(_, Reply::Stream(Err(Refusal::Limit(text))))] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(text.contains("1000 bytes of memory"), "{text}");

        assert_eq!(pair.write(quiet, &"q".repeat(100)), Some(Ok(())), "set aside");
        assert_eq!(pair.write(stream, "b"), None, "one past it");
        assert!(pair.cluster.channels[&agent].waits, "no more is taken from who parks now");
        let (text, lost, _) = pair.read(stream);
        // The reader's worker has a share of its own.
        let size = if host_worker == 0 { 50 } else { 800 };
        assert_eq!((text.len(), lost), (size, 0), "short where the memory is spent");
        assert_eq!(pair.answers(), 1);
        assert!(!pair.cluster.channels[&agent].waits);
        let held = pair.cluster.engines[0].report().held_bytes;
        assert!(held <= 1000, "{held}");
    }
}

#[test]
fn a_stream_that_is_read_goes_on_while_others_hold_the_memory() {
    for host_worker in [0, 1] {
        let mut cluster = Cluster::new(7, 2, 64, &tight());
        let agent = cluster.open(0);
        let host = cluster.open(host_worker);
        let hoarder = cluster.open(0);
        let mut pair = Pair { cluster, agent, host };
        let stream = pair.create(roomy());
        pair.connect(stream);
        let hoard = Properties { hold: true, ..roomy() };
        let told = pair.run(hoarder, Command::Create(Box::new(hoard)));
        let [Told::Reply(_, Reply::Stream(Ok(hoard)))] = told[..] else { panic!("{told:?}") };
        for is_taken in [true, false] {
            let bytes = "h".repeat(800);
            let data = Payload::Borrowed(bytes.as_bytes());
            let told = pair.run(hoarder, Command::Write { stream: hoard, data });
            assert_eq!(told.len(), usize::from(is_taken), "{told:?}");
        }

        let mut sent = String::new();
        let mut got = String::new();
        for round in 0..20 {
            let text = round.to_string().repeat(100);
            assert!(!matches!(pair.write(stream, &text), Some(Err(_))));
            sent.push_str(&text);
            while got.len() < sent.len() {
                let (text, lost, _) = pair.read(stream);
                assert_eq!(lost, 0);
                got.push_str(&text);
            }
        }
        assert_eq!(got, sent);
        assert!(pair.cluster.channels[&hoarder].waits, "its write still waits");
    }
}

#[test]
fn memory_that_comes_free_goes_to_who_waited_for_it() {
    let mut cluster = Cluster::new(7, 1, 64, &tight());
    let agent = cluster.open(0);
    let host = cluster.open(0);
    let mut pair = Pair { cluster, agent, host };
    let holding = pair.create(roomy());
    pair.connect(holding);
    assert_eq!(pair.write(holding, &"a".repeat(900)), Some(Ok(())));
    let other = pair.cluster.open(0);
    let hold = Properties { hold: true, buffer_bytes: 5000, ..roomy() };
    let told = pair.run(other, Command::Create(Box::new(hold)));
    let [Told::Reply(_, Reply::Stream(Ok(waiting)))] = told[..] else { panic!("{told:?}") };
    let bytes = "w".repeat(400);
    let data = Payload::Borrowed(bytes.as_bytes());
    assert!(pair.run(other, Command::Write { stream: waiting, data }).is_empty());
    let mut got = pair.read(holding).0.len();
    assert_eq!(got, 50, "a reply is short while the memory is spent");
    while got < 900 {
        got += pair.read(holding).0.len();
    }
    pair.cluster.rest();
    let told = pair.cluster.told(other);
    assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
}

#[test]
fn who_could_make_memory_free_is_refused_instead_of_kept_waiting() {
    let mut cluster = Cluster::new(7, 1, 64, &tight());
    let agent = cluster.open(0);
    let host = cluster.open(0);
    let mut pair = Pair { cluster, agent, host };
    let mut bus = roomy();
    bus.direction = Direction::Bus;
    let bus = pair.create(bus);
    pair.connect(bus);
    let mut write = |size: usize| {
        let bytes = "x".repeat(size);
        let data = Payload::Borrowed(bytes.as_bytes());
        pair.run(host, Command::Write { stream: bus, data }).pop()
    };
    assert!(matches!(write(1000), Some(Told::Reply(_, Reply::Done(Ok(()))))), "at the limit");
    assert!(matches!(write(51), Some(Told::Reply(_, Reply::Done(Err(Refusal::Limit(_)))))));
    assert!(write(50).is_none(), "a short one is parked");
    assert!(matches!(write(1), Some(Told::Reply(_, Reply::Done(Err(Refusal::Limit(_)))))));
    assert!(!pair.cluster.channels[&host].waits);
    while pair.cluster.engines[0].report().streams[0].parked_writes > 0 {
        assert_eq!(pair.read(bus).1, 0);
    }
}
