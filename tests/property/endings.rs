//! Ends that cross each other: of streams, of channels, and of what they had asked for.

use std::time::Duration;

use weir::stream::{
    AttachOptions, Command, CoreLimits, Direction, Payload, Refusal, Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told};
use crate::pair::{Pair, STALL, both, small};

#[test]
fn a_stream_whose_creator_is_gone_ends_also_when_another_takes_its_end_back() {
    for leaves_by_disconnect in [false, true] {
        both(|mut pair| {
            let mut properties = small(StallTimeout::Never);
            properties.direction = Direction::Bus;
            let stream = pair.create(properties);
            let reader = pair.cluster.open(0);
            pair.run(reader, Command::Connect(stream));
            pair.connect(stream);
            // Another writer's bytes park, and the end that a third asks for waits behind them.
            let data = Payload::Borrowed(b"0123456789abcdef");
            pair.run(reader, Command::Write { stream, data });
            assert!(pair.run(pair.host, Command::Eos(stream)).is_empty());
            pair.cluster.close(pair.agent);
            pair.cluster.rest();
            if leaves_by_disconnect {
                pair.run(pair.host, Command::Disconnect(stream));
            } else {
                pair.cluster.close(pair.host);
            }
            pair.cluster.rest();
            for _ in 0..2 {
                pair.run(reader, Command::Read { stream, size: 99 });
            }
            let told = pair.run(reader, Command::Read { stream, size: 99 });
            let is_over = matches!(told[..], [Told::Reply(_, Reply::Read { eos: true, .. })]);
            assert!(is_over, "{told:?}");
            assert!(pair.cluster.engines[0].report().streams.is_empty());
        });
    }
}

#[test]
fn who_cannot_read_a_disposed_stream_cannot_come_late_to_it() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::In;
        properties.linger = 10 * STALL;
        let stream = pair.create(properties);
        pair.connect(stream);
        pair.run(pair.agent, Command::Dispose(stream));
        pair.cluster.rest();
        assert!(matches!(pair.cluster.told(pair.host)[..], [Told::Disposed(_)]));
        let told = pair.run(pair.host, Command::Attach(stream, AttachOptions::default()));
        let [Told::Reply(_, Reply::Attached(Err(Refusal::UnknownContext(_))))] = told[..] else {
            panic!("{told:?}")
        };
        let told = pair.run(pair.host, Command::Subscribe("log"));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        let told = pair.run(pair.host, Command::Disconnect(stream));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
    });
}

#[test]
fn a_stream_that_goes_before_its_announcement_is_never_told_of() {
    for connects_before in [false, true] {
        let mut cluster = Cluster::new(7, 3, 64, &CoreLimits::default());
        let (creator, host) = (cluster.open(0), cluster.open(1));
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::In;
        cluster.send(creator, "create", Command::Create(Box::new(properties)));
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(creator)[..] else {
            panic!("no stream")
        };
        if connects_before {
            cluster.send(host, "connect", Command::Connect(stream));
        }
        cluster.rest();
        cluster.told(host);
        cluster.send(host, "subscribe", Command::Subscribe("log"));
        // The stream's worker answers; the third one, for which the subscription waits, does not
        // yet.
        for _ in 0..2 {
            cluster.turn(1, usize::MAX);
            cluster.turn(0, usize::MAX);
        }
        cluster.send(creator, "dispose", Command::Dispose(stream));
        cluster.turn(0, usize::MAX);
        cluster.turn(1, usize::MAX);
        let before = cluster.told(host);
        match connects_before {
            true => assert!(matches!(before[..], [Told::Disposed(_)]), "{before:?}"),
            false => assert!(before.is_empty(), "{before:?}"),
        }
        cluster.rest();
        let told = cluster.told(host);
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
    }
}

#[test]
fn a_creator_that_goes_before_its_adopt_is_answered_ends_the_stream() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.key = Some("secret".into());
        properties.keep_for = STALL;
        let stream = pair.create(properties);
        pair.cluster.close(pair.agent);
        pair.cluster.rest();
        pair.cluster.send(pair.host, "adopt", Command::Adopt { stream, key: "secret" });
        pair.cluster.turn(pair.host.worker.index(), 0);
        pair.cluster.turn(0, usize::MAX);
        pair.cluster.close(pair.host);
        pair.cluster.rest();
        pair.wait(STALL);
        assert!(pair.cluster.engines[0].report().streams.is_empty());
    });
}

#[test]
fn a_write_that_crosses_the_end_is_answered_before_its_channel_ends() {
    for disconnects in [false, true] {
        let mut cluster = Cluster::new(7, 2, 64, &CoreLimits::default());
        let (creator, host) = (cluster.open(0), cluster.open(1));
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::Bus;
        cluster.send(creator, "create", Command::Create(Box::new(properties)));
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(creator)[..] else {
            panic!("no stream")
        };
        cluster.send(host, "connect", Command::Connect(stream));
        cluster.rest();
        cluster.send(host, "read", Command::Read { stream, size: 9 });
        cluster.turn(1, 0);
        cluster.send(creator, "dispose", Command::Dispose(stream));
        cluster.turn(0, usize::MAX);
        let data = Payload::Borrowed(b"late");
        cluster.send(host, "write", Command::Write { stream, data });
        cluster.turn(1, usize::MAX);
        let told = cluster.told(host);
        assert!(matches!(told.last(), Some(Told::Disposed(_))), "{told:?}");
        if disconnects {
            cluster.send(host, "disconnect", Command::Disconnect(stream));
        }
        cluster.finish(host);
        let state = &cluster.channels[&host];
        assert!(!state.is_finished, "nobody would hear the answers that are under way");
        cluster.rest();
        let state = &cluster.channels[&host];
        assert!(state.is_finished && state.pending.is_empty(), "{:?}", state.pending);
    }
}

#[test]
fn a_reader_that_adopts_a_bus_reads_it_to_its_end() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::Bus;
        properties.key = Some("secret".into());
        let stream = pair.create(properties);
        pair.connect(stream);
        pair.write(stream, "hello");
        pair.run(pair.host, Command::Adopt { stream, key: "secret" });
        pair.run(pair.agent, Command::Dispose(stream));
        assert!(pair.cluster.told(pair.host).is_empty(), "there is something to read");
        assert_eq!(pair.read(stream), ("hello".into(), 0, true));
        assert!(pair.cluster.engines[0].report().streams.is_empty());
    });
}

#[test]
fn a_channel_that_connected_and_then_adopts_keeps_its_reading_position() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::Bus;
        properties.history_bytes = 10;
        properties.key = Some("secret".into());
        let stream = pair.create(properties);
        pair.connect(stream);
        pair.write(stream, "read");
        assert_eq!(pair.read(stream), ("read".into(), 0, false));
        pair.write(stream, "next");
        pair.run(pair.host, Command::Adopt { stream, key: "secret" });
        assert_eq!(pair.read(stream), ("next".into(), 0, false), "nothing twice, no gap");
    });
}

#[test]
fn whether_a_disposed_stream_can_be_connected_to_depends_on_no_neighbour() {
    let mut results = Vec::new();
    for linger in [Duration::ZERO, 10 * STALL] {
        for (reader_worker, host_worker) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut cluster = Cluster::new(7, 2, 64, &CoreLimits::default());
            let (agent, reader) = (cluster.open(0), cluster.open(reader_worker));
            // Somebody has yet to read it, so it is still there.
            let mut pair = Pair { cluster, agent, host: reader };
            let mut properties = small(StallTimeout::Never);
            properties.linger = linger;
            let stream = pair.create(properties);
            pair.connect(stream);
            pair.write(stream, "unread");
            pair.run(agent, Command::Dispose(stream));
            let host = pair.cluster.open(host_worker);
            let told = pair.run(host, Command::Connect(stream));
            let [Told::Reply(_, Reply::Done(result))] = &told[..] else { panic!("{told:?}") };
            results.push((linger, result.is_ok()));
        }
    }
    let kept = |linger| results.iter().filter(move |(l, _)| *l == linger).map(|(_, ok)| *ok);
    for linger in [Duration::ZERO, 10 * STALL] {
        let first = kept(linger).next().expect("four each");
        assert!(kept(linger).all(|ok| ok == first), "{results:?}");
    }
    assert!(kept(10 * STALL).all(|ok| ok), "it lingers for late hosts: {results:?}");
}

#[test]
fn a_creator_that_reads_reads_no_more_once_another_has_taken_its_place() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::In;
        properties.key = Some("secret".into());
        let stream = pair.create(properties);
        // The host becomes the creator, and the agent again after it.
        pair.run(pair.host, Command::Adopt { stream, key: "secret" });
        pair.cluster.told(pair.agent);
        assert!(pair.run(pair.host, Command::Read { stream, size: 9 }).is_empty());
        pair.run(pair.agent, Command::Adopt { stream, key: "secret" });
        pair.cluster.rest();
        let told = pair.cluster.told(pair.host);
        let [Told::Reply(_, Reply::Read { error: Some(Refusal::Cancelled), eos: true, .. })] =
            &told[..]
        else {
            panic!("{told:?}")
        };
        let told = pair.run(pair.host, Command::Read { stream, size: 9 });
        let [Told::Reply(_, Reply::Read { error: Some(Refusal::WrongDirection(_)), .. })] =
            &told[..]
        else {
            panic!("{told:?}")
        };
        // It writes now, and nothing is held for it.
        let data = Payload::Borrowed(b"0123456789");
        for _ in 0..3 {
            let told = pair.run(
                pair.host,
                Command::Write { stream, data: Payload::Borrowed(data.as_slice()) },
            );
            assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
            let told = pair.run(pair.agent, Command::Read { stream, size: 99 });
            let [Told::Reply(_, Reply::Read { data, lost: 0, .. })] = &told[..] else {
                panic!("{told:?}")
            };
            assert_eq!(data.len(), 10);
        }
        pair.run(pair.host, Command::Attach(stream, AttachOptions::default()));
        pair.run(pair.agent, Command::Dispose(stream));
        pair.run(pair.agent, Command::Read { stream, size: 9 });
        assert!(matches!(pair.cluster.told(pair.host)[..], [Told::Disposed(_)]));
        assert!(pair.cluster.engines[0].report().streams.is_empty());
    });
}
