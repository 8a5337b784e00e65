//! The core's promises, one by one, with the reader on the stream's own worker and on another.

use std::time::Duration;

use weir::id::Offset;
use weir::stream::{
    AttachOptions, Command, CoreLimits, Direction, From, Payload, Refusal, Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told};
use crate::pair::{Pair, STALL, both, small};

#[test]
fn a_full_stream_parks_its_writes_and_takes_them_in_order() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        pair.connect(stream);
        assert_eq!(pair.write(stream, "0123456"), Some(Ok(())));
        assert_eq!(pair.write(stream, "789abc"), None);
        assert_eq!(pair.write(stream, "def"), None);
        assert_eq!(pair.read(stream), ("0123456".into(), 0, false));
        assert_eq!(pair.answers(), 2);
        assert_eq!(pair.read(stream), ("789abcdef".into(), 0, false));
    });
}

#[test]
fn a_stalled_reader_holds_a_full_stream_for_its_timeout_and_learns_what_it_missed() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::After(STALL)));
        pair.connect(stream);
        assert_eq!(pair.write(stream, "0123456789"), Some(Ok(())));
        pair.wait(10 * STALL);
        assert_eq!(pair.write(stream, "abcd"), None, "the clock starts when the stream is full");
        pair.wait(STALL - Duration::from_millis(1));
        assert_eq!(pair.answers(), 0);
        pair.wait(Duration::from_millis(1));
        assert_eq!(pair.answers(), 1);
        assert_eq!(pair.write(stream, "ef"), Some(Ok(())), "a lagging reader holds nothing");
        assert_eq!(pair.read(stream), ("6789abcdef".into(), 6, false));
        // It has caught up, so it counts again.
        assert_eq!(pair.write(stream, "ABCDEFGHIJ"), Some(Ok(())));
        assert_eq!(pair.write(stream, "K"), None);
        assert_eq!(pair.read(stream), ("ABCDEFGHIJ".into(), 0, false));
        assert_eq!(pair.answers(), 1);
    });
}

#[test]
fn a_reader_that_reads_restarts_its_timeout() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::After(STALL)));
        pair.connect(stream);
        pair.write(stream, "0123456789");
        assert_eq!(pair.write(stream, "abcdefghijklmnop"), None);
        for expected in ["0", "1", "2"] {
            pair.wait(STALL - Duration::from_millis(1));
            let told = pair.run(pair.host, Command::Read { stream, size: 1 });
            let [Told::Reply(_, Reply::Read { data, lost: 0, .. })] = &told[..] else {
                panic!("{told:?}")
            };
            assert_eq!(data.to_vec(), expected.as_bytes());
        }
        assert_eq!(pair.answers(), 0);
    });
}

#[test]
fn a_zero_timeout_never_holds_and_a_null_one_holds_for_ever() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::After(Duration::ZERO)));
        pair.connect(stream);
        for text in ["0123456789", "abcdefghij", "k"] {
            assert_eq!(pair.write(stream, text), Some(Ok(())));
        }
        assert_eq!(pair.read(stream), ("bcdefghijk".into(), 11, false));

        let stream = pair.create(small(StallTimeout::Never));
        pair.connect(stream);
        pair.write(stream, "0123456789");
        assert_eq!(pair.write(stream, "a"), None);
        pair.wait(Duration::from_secs(1_000_000));
        assert_eq!(pair.answers(), 0);
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
        assert_eq!(pair.answers(), 1);
    });
}

#[test]
fn how_long_a_reader_is_behind_is_told_of_lost_bytes_too() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::After(Duration::ZERO)));
        pair.connect(stream);
        let age = |pair: &Pair| {
            let home = &pair.cluster.engines[pair.agent.worker.index()];
            let marks = home.report().marks;
            let (_, marks) = marks.iter().find(|(id, _)| *id == stream).expect("it is there");
            marks.age(pair.cluster.now, Offset(0))
        };
        pair.write(stream, "0123456789");
        for text in ["abcdefghij", "k", "l"] {
            pair.wait(Duration::from_secs(100));
            assert_eq!(pair.write(stream, text), Some(Ok(())));
        }
        assert!(age(&pair) >= Some(Duration::from_secs(300)));
        assert_eq!(pair.read(stream), ("cdefghijkl".into(), 12, false));
        pair.wait(Duration::from_secs(100));
        pair.write(stream, "m");
        assert!(age(&pair) < Some(Duration::from_secs(300)), "nobody needs to know any more");
    });
}

#[test]
fn a_reader_may_ask_for_its_own_timeout() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        let viewer = Some(StallTimeout::After(Duration::ZERO));
        pair.attach(stream, AttachOptions { from: From::Oldest, stall_timeout: viewer });
        assert_eq!(pair.write(stream, "0123456789"), Some(Ok(())));
        assert_eq!(pair.write(stream, "abc"), Some(Ok(())));
        assert_eq!(pair.read(stream), ("3456789abc".into(), 3, false));
    });
}

#[test]
fn history_stays_for_late_hosts_and_hold_keeps_everything_for_the_first() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::default());
        properties.history_bytes = 4;
        let stream = pair.create(properties.clone());
        pair.write(stream, "0123456789");
        pair.write(stream, "ab");
        pair.connect(stream);
        assert_eq!(pair.read(stream), ("89ab".into(), 0, false));

        properties.hold = true;
        let stream = pair.create(properties);
        assert_eq!(pair.write(stream, "0123456789"), Some(Ok(())));
        assert_eq!(pair.write(stream, "ab"), None);
        pair.wait(Duration::from_secs(60));
        assert_eq!(pair.answers(), 0, "Hold wins over StallTimeout");
        pair.connect(stream);
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
        assert_eq!(pair.answers(), 1);
        assert_eq!(pair.read(stream), ("ab".into(), 0, false));
    });
}

#[test]
fn attach_tells_what_is_gone_and_refuses_what_is_not_there_yet() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::default()));
        let mut properties = small(StallTimeout::default());
        properties.history_bytes = 5;
        let kept = pair.create(properties);
        pair.write(kept, "0123456789");
        let at = |offset| AttachOptions { from: From::Offset(Offset(offset)), stall_timeout: None };
        assert_eq!(pair.attach(kept, at(2)), (5, 3));
        assert_eq!(pair.read(kept), ("56789".into(), 0, false), "told by attach, not told again");
        assert_eq!(pair.attach(kept, at(7)), (7, 0), "a second attach moves");
        assert_eq!(pair.read(kept), ("789".into(), 0, false));
        assert_eq!(pair.attach(kept, AttachOptions::default()), (5, 0));
        let latest = AttachOptions { from: From::Latest, stall_timeout: None };
        assert_eq!(pair.attach(kept, latest), (10, 0));
        let told = pair.run(pair.host, Command::Attach(stream, at(1)));
        assert!(
            matches!(told[..], [Told::Reply(_, Reply::Attached(Err(Refusal::InvalidValue(_))))]),
            "{told:?}"
        );
    });
}

#[test]
fn a_disposed_stream_is_drained_and_then_told_disposed_once() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::default()));
        pair.connect(stream);
        pair.write(stream, "0123456789");
        assert_eq!(pair.write(stream, "a"), None);
        let told = pair.run(pair.agent, Command::Dispose(stream));
        let [
            Told::Reply(_, Reply::Done(Err(Refusal::EndOfFile))),
            Told::Disposed(_),
            Told::Reply(_, Reply::Done(Ok(()))),
        ] = told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!(pair.write(stream, "b"), Some(Err(Refusal::EndOfFile)));
        let told = pair.run(pair.host, Command::Read { stream, size: 99 });
        let [Told::Reply(_, Reply::Read { eos: true, .. }), Told::Disposed(_)] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(pair.read(stream), (String::new(), 0, true));
        let told = pair.run(pair.host, Command::Disconnect(stream));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        let told = pair.run(pair.agent, Command::Dispose(stream));
        let [Told::Reply(_, Reply::Done(Err(Refusal::UnknownContext(_))))] = told[..] else {
            panic!("{told:?}")
        };
    });
}

#[test]
fn a_reader_may_move_in_a_disposed_stream_that_it_drains() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::default());
        properties.history_bytes = 10;
        let stream = pair.create(properties);
        pair.connect(stream);
        pair.write(stream, "0123456789");
        pair.run(pair.agent, Command::Dispose(stream));
        let at = AttachOptions { from: From::Offset(Offset(7)), stall_timeout: None };
        assert_eq!(pair.attach(stream, at), (7, 0));
        assert_eq!(pair.read(stream), ("789".into(), 0, true));
    });
}

#[test]
fn a_stop_of_the_broker_is_no_end_of_stream() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::default()));
        pair.connect(stream);
        assert!(pair.run(pair.host, Command::Read { stream, size: 1 }).is_empty());
        for engine in &mut pair.cluster.engines {
            engine.drain();
        }
        pair.cluster.close(pair.agent);
        pair.cluster.rest();
        pair.cluster.finish(pair.host);
        pair.cluster.rest();
        let told = pair.cluster.told(pair.host);
        let [Told::Reply(_, Reply::Read { error: Some(Refusal::Cancelled), .. })] = told[..] else {
            panic!("{told:?}")
        };
    });
}

#[test]
fn a_lingering_stream_is_readable_for_late_hosts_until_its_time() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::default());
        properties.history_bytes = 10;
        properties.linger = STALL;
        let stream = pair.create(properties);
        pair.write(stream, "hello");
        pair.run(pair.agent, Command::Dispose(stream));
        pair.connect(stream);
        assert_eq!(pair.read(stream), ("hello".into(), 0, true));
        pair.wait(STALL);
        pair.run(pair.host, Command::Disconnect(stream));
        let told = pair.run(pair.host, Command::Connect(stream));
        let [Told::Reply(_, Reply::Done(Err(Refusal::UnknownContext(_))))] = told[..] else {
            panic!("{told:?}")
        };
        assert!(pair.cluster.engines[0].report().streams.is_empty());
    });
}

#[test]
fn a_creator_that_breaks_off_ends_its_streams_behind_what_others_wrote() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::Bus;
        let stream = pair.create(properties);
        let other = pair.cluster.open(1);
        pair.run(other, Command::Connect(stream));
        pair.connect(stream);
        pair.write(stream, "0123456789");
        let data = Payload::Borrowed(b"parked");
        assert!(pair.run(other, Command::Write { stream, data }).is_empty());
        pair.cluster.close(pair.agent);
        pair.cluster.rest();
        let read = |pair: &mut Pair, channel| {
            let command = Command::Read { stream, size: u64::MAX };
            match &pair.run(channel, command)[..] {
                [Told::Reply(_, Reply::Read { data, eos, .. }), ..]
                | [
                    Told::Reply(_, Reply::Done(_)),
                    Told::Reply(_, Reply::Read { data, eos, .. }),
                    ..,
                ] => (data.to_vec(), *eos),
                told => panic!("{told:?}"),
            }
        };
        let host = pair.host;
        assert_eq!(read(&mut pair, host), (b"0123456789".to_vec(), false));
        assert_eq!(read(&mut pair, other), (b"0123456789".to_vec(), false));
        let report = pair.cluster.engines[0].report();
        assert!(report.streams[0].cut_off);
        assert_eq!(read(&mut pair, host), (b"parked".to_vec(), true));
        assert_eq!(read(&mut pair, other), (b"parked".to_vec(), true));
    });
}

#[test]
fn disconnect_tells_disposed_then_cancels_then_replies() {
    for worker in [0, 1] {
        let mut cluster = Cluster::new(1, 2, 64, &CoreLimits::default());
        let creator = cluster.open(0);
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::Bus;
        cluster.send(creator, "create", Command::Create(Box::new(properties)));
        cluster.rest();
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(creator)[..] else {
            panic!("no stream")
        };
        let channel = cluster.open(worker);
        let mut pair = Pair { cluster, agent: channel, host: channel };
        pair.connect(stream);
        assert!(pair.write(stream, "0123456789").is_some());
        assert_eq!(pair.write(stream, "parked"), None);
        let told = pair.run(channel, Command::Disconnect(stream));
        let [
            Told::Disposed(_),
            Told::Reply(_, Reply::Done(Err(Refusal::Cancelled))),
            Told::Reply(_, Reply::Done(Ok(()))),
        ] = told[..]
        else {
            panic!("{told:?}")
        };
        let told = pair.run(channel, Command::Disconnect(stream));
        let [Told::Reply(_, Reply::Done(Err(Refusal::NotConnected(_))))] = told[..] else {
            panic!("{told:?}")
        };
    }
}

#[test]
fn a_subscriber_hears_of_live_streams_after_its_reply_oldest_first_and_once() {
    both(|mut pair| {
        let first = pair.create(small(StallTimeout::default()));
        pair.cluster.now = pair.cluster.now.plus(STALL);
        let second = pair.create(small(StallTimeout::default()));
        let told = pair.run(pair.host, Command::Subscribe("log"));
        let [Told::Reply(_, Reply::Done(Ok(()))), Told::Created(one), Told::Created(two)] =
            told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((one, two), (first, second));
        let told = pair.run(pair.host, Command::Subscribe("*"));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        let third = pair.create(small(StallTimeout::default()));
        pair.cluster.rest();
        let told = pair.cluster.told(pair.host);
        assert!(matches!(told[..], [Told::Created(id)] if id == third), "{told:?}");
        pair.write(third, "first byte");
        assert_eq!(pair.read(third), ("first byte".into(), 0, false));
    });
}

#[test]
fn a_thousand_parked_writes_of_one_channel_do_not_starve_one_of_another() {
    let mut cluster = Cluster::new(1, 2, 64, &CoreLimits::default());
    let reader = cluster.open(0);
    let mut properties = small(StallTimeout::Never);
    properties.direction = Direction::In;
    cluster.send(reader, "create", Command::Create(Box::new(properties)));
    cluster.rest();
    let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(reader)[..] else {
        panic!("no stream")
    };
    let greedy = cluster.open(1);
    let modest = cluster.open(0);
    for writer in [greedy, modest] {
        cluster.send(writer, "connect", Command::Connect(stream));
        cluster.rest();
    }
    let data = || Payload::Borrowed(b"0123456789");
    for _ in 0..1000 {
        cluster.send(greedy, "write", Command::Write { stream, data: data() });
        cluster.rest();
    }
    cluster.told(modest);
    cluster.send(modest, "write", Command::Write { stream, data: data() });
    for _ in 0..3 {
        cluster.send(reader, "read", Command::Read { stream, size: 10 });
        cluster.rest();
    }
    assert_eq!(cluster.told(modest).len(), 1, "served after two of the thousand at most");
}

#[test]
fn bounds_hold_at_them_and_refuse_one_past() {
    let limits = CoreLimits {
        streams_max: 2,
        buffer_bytes_max: 100,
        pending_per_channel_max: 3,
        parked_bytes_pause: 20,
        parked_bytes_max: 30,
        attachments_per_channel_max: 2,
        subscriptions_per_channel_max: 1,
        ..CoreLimits::default()
    };
    let mut cluster = Cluster::new(1, 1, 64, &limits);
    let agent = cluster.open(0);
    let host = cluster.open(0);
    let mut pair = Pair { cluster, agent, host };

    let mut properties = small(StallTimeout::Never);
    properties.buffer_bytes = 101;
    let told = pair.run(agent, Command::Create(Box::new(properties.clone())));
    assert!(
        matches!(told[..], [Told::Reply(_, Reply::Stream(Err(Refusal::InvalidValue(_))))]),
        "{told:?}"
    );
    properties.buffer_bytes = 100;
    let stream = pair.create(properties.clone());
    properties.direction = Direction::Bus;
    let bus = pair.create(properties.clone());
    let told = pair.run(agent, Command::Create(Box::new(properties)));
    assert!(
        matches!(told[..], [Told::Reply(_, Reply::Stream(Err(Refusal::Limit(_))))]),
        "{told:?}"
    );

    pair.run(host, Command::Subscribe("log"));
    let told = pair.run(host, Command::Subscribe("other"));
    assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Err(Refusal::Limit(_))))]), "{told:?}");

    for _ in 0..3 {
        assert!(pair.run(host, Command::Read { stream, size: 1 }).is_empty());
    }
    let told = pair.run(host, Command::Read { stream, size: 1 });
    let [Told::Reply(_, Reply::Read { error: Some(Refusal::Limit(_)), eos: false, .. })] = told[..]
    else {
        panic!("{told:?}")
    };

    // A channel that only writes is not listened to while it has much parked.
    pair.write(stream, &"x".repeat(103));
    assert_eq!(pair.write(stream, &"x".repeat(19)), None);
    assert!(!pair.cluster.channels[&agent].waits);
    assert_eq!(pair.write(stream, "x"), None);
    assert!(pair.cluster.channels[&agent].waits);
    while pair.cluster.channels[&agent].waits {
        pair.read(stream);
    }

    // One that could free the space itself is told no instead.
    let writer = pair.cluster.open(0);
    pair.run(writer, Command::Connect(bus));
    let mut write = |text: &str| {
        let data = Payload::Borrowed(text.as_bytes());
        pair.run(writer, Command::Write { stream: bus, data }).pop()
    };
    write(&"x".repeat(100));
    assert!(write(&"x".repeat(30)).is_none());
    assert!(matches!(write("x"), Some(Told::Reply(_, Reply::Done(Err(Refusal::Limit(_)))))));
}
