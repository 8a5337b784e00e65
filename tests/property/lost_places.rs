//! A host whose place another takes while it has writes parked.

use weir::stream::{
    AttachOptions, Command, Direction, Payload, Placing, Refusal, Reply, StallTimeout,
};

use crate::cluster::Told;
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
