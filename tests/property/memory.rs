//! The memory of one worker: at its limit and one past it, on the stream's own worker and on
//! another.

use weir::stream::{
    Command, CoreLimits, Direction, Payload, Properties, Refusal, Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told};
use crate::pair::{Pair, small};

const MAX: usize = 1 << 20;
/// What is set aside for a stream.
const LEAST: usize = 4 << 10;

/// One worker's share of the memory.
fn tight() -> CoreLimits {
    CoreLimits {
        memory_bytes_max: MAX as u64,
        stream_bytes_min: LEAST as u64,
        short_bytes: 2 << 10,
        ..CoreLimits::default()
    }
}

fn roomy() -> Properties {
    Properties { buffer_bytes: 5 << 20, ..small(StallTimeout::Never) }
}

fn held(pair: &Pair) -> usize {
    pair.cluster.engines[0].report().held_bytes as usize
}

/// What a first stream that has nothing yet may grow to: all but the last eighth.
fn room(pair: &Pair) -> usize {
    MAX - MAX / 8 - held(pair) + LEAST
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

        let size = room(&pair);
        assert_eq!(pair.write(stream, &"a".repeat(size)), Some(Ok(())), "at the limit");
        assert_eq!(held(&pair), MAX - MAX / 8);
        let late = pair.create(roomy());
        assert_eq!(pair.write(late, &"l".repeat(LEAST)), Some(Ok(())), "the last eighth is theirs");
        assert_eq!(pair.write(quiet, &"q".repeat(LEAST)), Some(Ok(())), "set aside");
        assert_eq!(pair.write(stream, "b"), None, "one past it");
        assert!(pair.cluster.channels[&agent].waits || held(&pair) < MAX);
        let (text, lost, _) = pair.read(stream);
        // The reader's worker has a share of its own.
        let is_short = text.len() == LEAST;
        assert_eq!((is_short, lost), (host_worker == 0, 0), "short where the memory is spent");
        assert_eq!(pair.answers(), 1);
        assert!(held(&pair) <= MAX, "{}", held(&pair));
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
            let bytes = "h".repeat(room(&pair).max(MAX / 2));
            let data = Payload::Borrowed(bytes.as_bytes());
            let told = pair.run(hoarder, Command::Write { stream: hoard, data });
            assert_eq!(told.len(), usize::from(is_taken), "{told:?}");
        }

        let mut sent = String::new();
        let mut got = String::new();
        for round in 0..20 {
            let text = round.to_string().repeat(LEAST / 2);
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
    let size = room(&pair);
    assert_eq!(pair.write(holding, &"a".repeat(size)), Some(Ok(())));
    let other = pair.cluster.open(0);
    let hold = Properties { hold: true, ..roomy() };
    let waiting = pair.create(hold);
    pair.run(other, Command::Connect(waiting));
    let bytes = "w".repeat(MAX / 2);
    let data = Payload::Borrowed(bytes.as_bytes());
    assert!(pair.run(agent, Command::Write { stream: waiting, data }).is_empty());
    let mut got = pair.read(holding).0.len();
    assert_eq!(got, LEAST, "a reply is short while the memory is spent");
    while got < size {
        got += pair.read(holding).0.len();
    }
    assert_eq!(pair.answers(), 1);
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
    let size = room(&pair);
    let mut write = |size: usize| {
        let bytes = "x".repeat(size);
        let data = Payload::Borrowed(bytes.as_bytes());
        pair.run(host, Command::Write { stream: bus, data }).pop()
    };
    assert!(matches!(write(size), Some(Told::Reply(_, Reply::Done(Ok(()))))), "at the limit");
    // An eighth is free: parked writes may take half of it, and one write more than that none.
    let refused = |told| matches!(told, Some(Told::Reply(_, Reply::Done(Err(Refusal::Limit(_))))));
    assert!(refused(write(MAX / 16)));
    assert!(write(MAX / 32).is_none(), "one that the account has room for is parked");
    assert!(refused(write(MAX / 32)));
    assert!(!pair.cluster.channels[&host].waits);
    while pair.cluster.engines[0].report().streams[0].parked_writes > 0 {
        assert_eq!(pair.read(bus).1, 0);
    }
}
