//! Places that another takes while their hosts have writes parked, and that a subscription comes
//! upon.

use weir::stream::{
    AttachOptions, Command, CoreLimits, Direction, Payload, Placing, Refusal, Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told};
use crate::pair::{Pair, STALL, both, small};

/// A bus that is full, on which the host has a write parked and has lost its place.
fn lose_place(pair: &mut Pair) -> weir::id::StreamId {
    let mut bus = small(StallTimeout::Never);
    bus.direction = Direction::Bus;
    let stream = pair.create(bus);
    let placing = Placing { name: "ci".into(), keep_for: 10 * STALL, from: None };
    let options = AttachOptions::default();
    pair.run(pair.host, Command::TakePlace(stream, options, placing.clone()));
    for data in [b"0123456789", b"abcdefghij"] {
        let data = Payload::Borrowed(data);
        pair.run(pair.host, Command::Write { stream, data });
    }
    let other = pair.cluster.open(1);
    pair.run(other, Command::TakePlace(stream, options, placing));
    let told = pair.cluster.told(pair.host);
    assert!(matches!(told[..], [Told::Disposed(_)]), "{told:?}");
    assert_eq!(pair.cluster.channels[&pair.host].pending.len(), 1);
    stream
}

#[test]
fn what_it_has_parked_is_answered_at_its_end() {
    both(|mut pair| {
        lose_place(&mut pair);
        pair.cluster.finish(pair.host);
        pair.cluster.rest();
        let told = pair.cluster.told(pair.host);
        let [Told::Reply(_, Reply::Done(Err(Refusal::Cancelled)))] = &told[..] else {
            panic!("{told:?}")
        };
        assert!(pair.cluster.channels[&pair.host].is_finished);
    });
}

#[test]
fn what_it_has_parked_is_answered_before_its_disconnect() {
    both(|mut pair| {
        let stream = lose_place(&mut pair);
        let told = pair.run(pair.host, Command::Disconnect(stream));
        let [
            Told::Reply(_, Reply::Done(Err(Refusal::Cancelled))),
            Told::Reply(_, Reply::Done(Ok(()))),
        ] = &told[..]
        else {
            panic!("{told:?}")
        };
    });
}

#[test]
fn a_subscription_that_comes_upon_a_finished_stream_with_a_place_leaves_the_place() {
    for host_worker in [0, 1] {
        let mut cluster = Cluster::new(7, 3, 64, &CoreLimits::default());
        let (agent, host) = (cluster.open(0), cluster.open(host_worker));
        let mut pair = Pair { cluster, agent, host };
        let stream = pair.create(small(StallTimeout::After(STALL)));
        let placing = Placing { name: "ci".into(), keep_for: STALL, from: None };
        let lossless =
            AttachOptions { stall_timeout: Some(StallTimeout::Never), ..AttachOptions::default() };
        pair.run(host, Command::TakePlace(stream, lossless, placing));
        pair.write(stream, "0123456789");
        pair.run(agent, Command::Dispose(stream));
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, true));
        pair.cluster.told(host);
        pair.cluster.send(host, "subscribe", Command::Subscribe("*"));
        // The third worker answers late: by then the reader that the subscription made is let go.
        for _ in 0..4 {
            for _ in 0..10 {
                pair.cluster.turn(0, usize::MAX);
                pair.cluster.turn(1, usize::MAX);
            }
            pair.cluster.now = pair.cluster.now.plus(STALL);
        }
        pair.cluster.rest();
        assert_eq!(pair.cluster.engines[0].report().streams.len(), 1, "the place keeps it");
        pair.cluster.close(host);
        pair.cluster.rest();
        pair.wait(2 * STALL);
        assert!(pair.cluster.engines[0].report().streams.is_empty(), "the place is gone");
    }
}
