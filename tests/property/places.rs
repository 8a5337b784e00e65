//! Places: a reader that goes away and comes back loses nothing and sees nothing twice.

use std::time::Duration;

use rand::Rng;
use weir::id::{ChannelId, Offset, StreamId};
use weir::stream::{
    AttachOptions, Command, CoreLimits, From, Payload, Placing, Properties, ReaderReport, Refusal,
    Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told, seeds};
use crate::pair::{Pair, STALL, both, small};

fn placing(name: &str) -> Placing {
    Placing { name: name.into(), keep_for: 10 * STALL, from: None }
}

fn options(stall_timeout: StallTimeout) -> AttachOptions {
    AttachOptions { stall_timeout: Some(stall_timeout), ..AttachOptions::default() }
}

/// Takes a place for a channel; gives the position and what is gone, or the error.
fn take(
    pair: &mut Pair,
    channel: ChannelId,
    stream: StreamId,
    placing: Placing,
) -> Result<(u64, u64), Refusal> {
    let options = AttachOptions::default();
    match pair.run(channel, Command::TakePlace(stream, options, placing)).pop() {
        Some(Told::Reply(_, Reply::Attached(result))) => {
            result.map(|(position, lost)| (position.0, lost))
        }
        other => panic!("{other:?}"),
    }
}

fn confirm(pair: &mut Pair, stream: StreamId, offset: u64) -> Result<(), Refusal> {
    let command = Command::Confirm(stream, Offset(offset));
    match pair.run(pair.host, command).pop() {
        Some(Told::Reply(_, Reply::Done(result))) => result,
        other => panic!("{other:?}"),
    }
}

/// The host's connection breaks; it comes back on the same worker or on the other.
fn cut(pair: &mut Pair, worker: usize) {
    pair.cluster.close(pair.host);
    pair.cluster.rest();
    pair.host = pair.cluster.open(worker);
}

fn away(pair: &Pair) -> Vec<ReaderReport> {
    let readers = pair.cluster.engines[0].report().readers.into_iter();
    let is_away = |r: &ReaderReport| r.place.as_ref().is_some_and(|p| p.away_until.is_some());
    readers.filter(is_away).collect()
}

#[test]
fn a_place_holds_what_is_not_confirmed_and_is_taken_up_there() {
    for worker in [0, 1] {
        both(|mut pair| {
            let stream = pair.create(small(StallTimeout::Never));
            let host = pair.host;
            assert_eq!(take(&mut pair, host, stream, placing("ci")), Ok((0, 0)));
            pair.write(stream, "0123456789");
            assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
            assert_eq!(pair.write(stream, "abcdef"), None, "nothing is confirmed");
            assert_eq!(confirm(&mut pair, stream, 4), Ok(()));
            pair.cluster.rest();
            assert_eq!(pair.answers(), 0, "four bytes are not enough for six");
            cut(&mut pair, worker);
            let [reader] = &away(&pair)[..] else { panic!("one is away") };
            let place = reader.place.as_ref().expect("a place");
            assert_eq!(
                (&*place.name, place.confirmed, reader.position),
                ("ci", Offset(4), Offset(4))
            );
            pair.wait(9 * STALL);
            let host = pair.host;
            assert_eq!(take(&mut pair, host, stream, placing("ci")), Ok((4, 0)));
            assert!(away(&pair).is_empty());
            assert_eq!(pair.read(stream), ("456789".into(), 0, false));
            assert_eq!(confirm(&mut pair, stream, 10), Ok(()));
            assert_eq!(pair.answers(), 1);
            assert_eq!(pair.read(stream), ("abcdef".into(), 0, false));
        });
    }
}

#[test]
fn a_host_may_name_the_offset_that_it_goes_on_from() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        let host = pair.host;
        take(&mut pair, host, stream, placing("ci")).unwrap();
        pair.write(stream, "0123456789");
        pair.read(stream);
        confirm(&mut pair, stream, 2).unwrap();
        cut(&mut pair, 0);
        let from = Some(From::Offset(Offset(7)));
        let host = pair.host;
        let beyond = Placing { from: Some(From::Offset(Offset(11))), ..placing("ci") };
        let refused = take(&mut pair, host, stream, beyond);
        assert!(matches!(refused, Err(Refusal::InvalidValue(_))), "{refused:?}");
        assert_eq!(away(&pair).len(), 1, "the place is as it was");
        assert_eq!(take(&mut pair, host, stream, Placing { from, ..placing("ci") }), Ok((7, 0)));
        assert_eq!(pair.read(stream), ("789".into(), 0, false));
        assert_eq!(pair.write(stream, "abcdefg"), Some(Ok(())), "seven bytes are free");
    });
}

#[test]
fn confirm_goes_from_what_is_confirmed_to_the_position() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        let host = pair.host;
        assert_eq!(confirm(&mut pair, stream, 0), Err(Refusal::NotConnected(stream)));
        pair.connect(stream);
        let without = confirm(&mut pair, stream, 0);
        assert!(matches!(without, Err(Refusal::InvalidValue(_))), "{without:?}");
        take(&mut pair, host, stream, placing("ci")).unwrap();
        pair.write(stream, "0123456789");
        pair.run(host, Command::Read { stream, size: 6 });
        let is_refused = |result| matches!(result, Err(Refusal::InvalidValue(_)));
        assert!(is_refused(confirm(&mut pair, stream, 7)));
        assert_eq!(confirm(&mut pair, stream, 6), Ok(()));
        assert_eq!(confirm(&mut pair, stream, 6), Ok(()), "nothing new");
        assert!(is_refused(confirm(&mut pair, stream, 5)));
    });
}

#[test]
fn a_disconnect_gives_the_place_up_and_keep_for_ends_it() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        let host = pair.host;
        take(&mut pair, host, stream, placing("ci")).unwrap();
        pair.write(stream, "0123456789");
        assert_eq!(pair.write(stream, "a"), None);
        pair.run(host, Command::Disconnect(stream));
        assert_eq!(pair.answers(), 1);
        assert_eq!(take(&mut pair, host, stream, placing("ci")), Ok((11, 0)), "a new place");
        assert_eq!(pair.write(stream, "0123456789"), Some(Ok(())));
        assert_eq!(pair.write(stream, "a"), None);
        cut(&mut pair, 0);
        pair.wait(10 * STALL - Duration::from_millis(1));
        assert_eq!(pair.answers(), 0);
        pair.wait(Duration::from_millis(1));
        assert_eq!(pair.answers(), 1);
        assert!(away(&pair).is_empty());
        let host = pair.host;
        let none = Placing { keep_for: Duration::ZERO, ..placing("short") };
        take(&mut pair, host, stream, none).unwrap();
        cut(&mut pair, 0);
        assert!(away(&pair).is_empty(), "without KeepFor it goes with its channel");
    });
}

#[test]
fn a_place_that_is_away_stalls_as_a_reader_does_and_its_loss_is_told_when_it_is_back() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::After(STALL)));
        let host = pair.host;
        take(&mut pair, host, stream, placing("ci")).unwrap();
        pair.write(stream, "0123456789");
        pair.read(stream);
        confirm(&mut pair, stream, 3).unwrap();
        cut(&mut pair, 0);
        assert_eq!(pair.write(stream, "abcdef"), None);
        pair.wait(STALL - Duration::from_millis(1));
        assert_eq!(pair.answers(), 0);
        pair.wait(Duration::from_millis(1));
        assert_eq!(pair.answers(), 1);
        assert!(away(&pair)[0].lagging);
        let host = pair.host;
        assert_eq!(take(&mut pair, host, stream, placing("ci")), Ok((6, 3)), "told once");
        assert_eq!(pair.read(stream), ("6789abcdef".into(), 0, false));
    });
}

#[test]
fn a_host_that_is_back_before_its_broken_connection_was_noticed_takes_its_place_over() {
    for worker in [0, 1] {
        both(|mut pair| {
            let stream = pair.create(small(StallTimeout::Never));
            let old = pair.host;
            take(&mut pair, old, stream, placing("ci")).unwrap();
            pair.write(stream, "0123456789");
            pair.read(stream);
            confirm(&mut pair, stream, 5).unwrap();
            assert!(pair.run(old, Command::Read { stream, size: 9 }).is_empty());
            let new = pair.cluster.open(worker);
            assert_eq!(take(&mut pair, new, stream, placing("ci")), Ok((5, 0)));
            let told = pair.cluster.told(old);
            let [
                Told::Disposed(_),
                Told::Reply(_, Reply::Read { error: Some(Refusal::Cancelled), eos: true, .. }),
            ] = &told[..]
            else {
                panic!("{told:?}")
            };
            // The old one says nothing any more, and takes nothing away.
            let late = confirm(&mut pair, stream, 10);
            assert!(matches!(late, Err(Refusal::InvalidValue(_))), "{late:?}");
            let told = pair.run(old, Command::Read { stream, size: 9 });
            let [Told::Reply(_, Reply::Read { error: Some(Refusal::Cancelled), .. })] = &told[..]
            else {
                panic!("{told:?}")
            };
            let told = pair.run(old, Command::Disconnect(stream));
            assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
            pair.cluster.close(old);
            pair.host = new;
            assert_eq!(pair.read(stream), ("56789".into(), 0, false));
            assert_eq!(pair.write(stream, "a"), Some(Ok(())));
            assert_eq!(pair.write(stream, "bcdefg"), None, "its place still holds");
        });
    }
}

#[test]
fn a_place_keeps_a_disposed_stream_until_all_is_confirmed() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        let host = pair.host;
        take(&mut pair, host, stream, placing("ci")).unwrap();
        pair.write(stream, "0123456789");
        pair.run(pair.agent, Command::Dispose(stream));
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, true));
        let streams = |pair: &Pair| pair.cluster.engines[0].report().streams.len();
        assert_eq!(streams(&pair), 1);
        cut(&mut pair, 1);
        let host = pair.host;
        assert_eq!(take(&mut pair, host, stream, placing("ci")), Ok((0, 0)));
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, true));
        assert_eq!(confirm(&mut pair, stream, 10), Ok(()));
        pair.cluster.rest();
        assert_eq!(streams(&pair), 0);
    });
}

#[test]
fn a_place_in_a_disposed_stream_goes_when_its_time_is_over() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::After(STALL)));
        let host = pair.host;
        take(&mut pair, host, stream, placing("ci")).unwrap();
        pair.write(stream, "0123456789");
        cut(&mut pair, 0);
        pair.run(pair.agent, Command::Dispose(stream));
        pair.wait(STALL);
        assert!(pair.cluster.engines[0].report().streams.is_empty());
    });
}

#[test]
fn places_are_bounded_in_number_in_name_and_in_time() {
    let limits =
        CoreLimits { places_per_stream_max: 2, keep_for_max: 10 * STALL, ..CoreLimits::default() };
    for worker in [0, 1] {
        let mut cluster = Cluster::new(7, 2, 64, &limits);
        let (agent, host) = (cluster.open(0), cluster.open(worker));
        let mut pair = Pair { cluster, agent, host };
        let stream = pair.create(small(StallTimeout::Never));
        for name in ["a", "b"] {
            let channel = pair.cluster.open(worker);
            assert_eq!(take(&mut pair, channel, stream, placing(name)), Ok((0, 0)));
        }
        let refused = take(&mut pair, host, stream, placing("c"));
        assert!(matches!(refused, Err(Refusal::Limit(_))), "{refused:?}");
        assert_eq!(take(&mut pair, host, stream, placing("a")), Ok((0, 0)), "it is there");
        for (len, is_taken) in [(0, false), (255, true), (256, false)] {
            let stream = pair.create(small(StallTimeout::Never));
            let result = take(&mut pair, host, stream, placing(&"n".repeat(len)));
            assert_eq!(result.is_ok(), is_taken, "{len}: {result:?}");
        }
        let long = Placing { keep_for: 10 * STALL + Duration::from_millis(1), ..placing("a") };
        let refused = take(&mut pair, host, stream, long);
        assert!(matches!(refused, Err(Refusal::InvalidValue(_))), "{refused:?}");
        let told =
            pair.run(agent, Command::TakePlace(stream, AttachOptions::default(), placing("a")));
        let [Told::Reply(_, Reply::Attached(Err(Refusal::WrongDirection(_))))] = &told[..] else {
            panic!("{told:?}")
        };
    }
}

#[test]
fn whatever_breaks_a_lossless_place_loses_nothing_and_sees_nothing_twice() {
    for seed in seeds(200) {
        let workers = 1 + (seed % 3) as usize;
        let mut cluster = Cluster::new(seed, workers as u16, 3, &CoreLimits::default());
        let agent = cluster.open(0);
        let properties = Properties { buffer_bytes: 60, ..small(StallTimeout::After(STALL)) };
        cluster.send(agent, "create", Command::Create(Box::new(properties)));
        cluster.rest();
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(agent)[..] else {
            panic!("no stream")
        };
        let mut host = Host::new(stream);
        host.step(&mut cluster, workers);
        cluster.rest();
        host.listen(&mut cluster);
        let mut written: Vec<u8> = Vec::new();
        for step in 0..300 {
            if step % 7 == 0 && !cluster.channels[&agent].waits {
                let len = cluster.rng.random_range(0..50);
                let data: Vec<u8> = (0..len).map(|_| cluster.rng.random()).collect();
                written.extend(&data);
                let data = Payload::Borrowed(&data);
                cluster.send(agent, "write", Command::Write { stream, data });
            }
            host.step(&mut cluster, workers);
            cluster.now = cluster.now.plus(Duration::from_millis(cluster.rng.random_range(0..30)));
            cluster.stir();
            host.listen(&mut cluster);
        }
        cluster.rest();
        host.listen(&mut cluster);
        let is_alike = host.confirmed.as_slice() == &written[..host.confirmed.len()];
        assert!(is_alike, "seed {seed}: {} bytes differ", host.confirmed.len());
        assert!(host.confirmed.len() > 50, "seed {seed}: the host got somewhere");
    }
}

/// A host that keeps what it has confirmed, forgets the rest when its connection breaks, and starts
/// from its confirmed offset.
struct Host {
    stream: StreamId,
    channel: Option<ChannelId>,
    /// Broken connections that the broker has not noticed.
    ghosts: Vec<ChannelId>,
    confirmed: Vec<u8>,
    /// Got and not confirmed.
    got: Vec<u8>,
    is_attached: bool,
    breaks: u32,
    /// Bytes to come that it has confirmed already.
    known: usize,
}

impl Host {
    fn new(stream: StreamId) -> Host {
        let (confirmed, got, ghosts) = (Vec::new(), Vec::new(), Vec::new());
        Host {
            stream,
            channel: None,
            ghosts,
            confirmed,
            got,
            is_attached: false,
            breaks: 0,
            known: 0,
        }
    }

    fn step(&mut self, cluster: &mut Cluster, workers: usize) {
        let stream = self.stream;
        let Some(channel) = self.channel else {
            let worker = cluster.rng.random_range(0..workers);
            let channel = cluster.open(worker);
            self.channel = Some(channel);
            let from = cluster.rng.random_bool(0.5);
            let from = from.then_some(From::Offset(Offset(self.confirmed.len() as u64)));
            let placing = Placing { from, keep_for: Duration::from_secs(60), ..placing("ci") };
            let options = options(StallTimeout::Never);
            cluster.send(channel, "attach", Command::TakePlace(stream, options, placing));
            return;
        };
        let dice = cluster.rng.random_range(0..100);
        if dice < 4 {
            self.lose_connection();
        }
        if dice % 3 == 0 && !self.ghosts.is_empty() {
            cluster.close(self.ghosts.remove(0));
        }
        if self.channel.is_none() || cluster.channels[&channel].waits || !self.is_attached {
            return;
        }
        match dice {
            4..60 => {
                let size = cluster.rng.random_range(1..80);
                cluster.send(channel, "read", Command::Read { stream, size });
            }
            60..90 if self.known == 0 => {
                let count = cluster.rng.random_range(0..=self.got.len());
                self.confirmed.extend(self.got.drain(..count));
                let offset = Offset(self.confirmed.len() as u64);
                cluster.send(channel, "confirm", Command::Confirm(stream, offset));
            }
            _ => {}
        }
    }

    fn lose_connection(&mut self) {
        self.got.clear();
        self.is_attached = false;
        self.breaks += 1;
        self.ghosts.extend(self.channel.take());
    }

    fn listen(&mut self, cluster: &mut Cluster) {
        let Some(channel) = self.channel else { return };
        for told in cluster.told(channel) {
            match told {
                Told::Reply(_, Reply::Attached(result)) => {
                    // One that starts from the broker's offset may have confirmed more than had
                    // arrived when its connection broke: it knows those bytes.
                    let (position, lost) = result.expect("the place is there");
                    let known = self.confirmed.len().checked_sub(position.0 as usize);
                    self.known = known.expect("nothing is skipped");
                    assert_eq!(lost, 0);
                    self.is_attached = true;
                }
                Told::Reply(_, Reply::Read { data, error, lost, .. }) => {
                    assert!(error.is_none() && lost == 0, "{error:?}, {lost} lost");
                    let data = data.to_vec();
                    let again = self.known.min(data.len());
                    let at = self.confirmed.len() - self.known;
                    assert_eq!(data[..again], self.confirmed[at..at + again]);
                    self.known -= again;
                    self.got.extend(&data[again..]);
                }
                Told::Reply(_, Reply::Done(result)) => assert_eq!(result, Ok(())),
                // What an older connection had asked for came later, from another worker.
                Told::Disposed(_) if self.breaks > 0 => return self.lose_connection(),
                other => panic!("{other:?}"),
            }
        }
    }
}
