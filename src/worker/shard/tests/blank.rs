//! Channels that move from one shard to another.

use std::time::Duration;

use super::*;
use crate::worker::shard::tests::broker::{Broker, HELLO};

/// Moves a peer; false where its channel stays.
fn move_to(broker: &mut Broker, peer: usize, shard: usize) -> bool {
    let from = broker.peers[peer].shard;
    let id = broker.peers[peer].id;
    let Some(blank) = broker.shards[from].take_blank(id) else { return false };
    assert_eq!(broker.shards[from].channel_count(), 0);
    assert_eq!(broker.shards[from].next_deadline(), None, "nothing of it is left behind");
    broker.peers[peer].id = broker.shards[shard].put(broker.now, blank);
    broker.peers[peer].shard = shard;
    assert_eq!(broker.peers[peer].id.worker, WorkerId(shard as u16));
    true
}

#[test]
fn a_blank_channel_goes_on_elsewhere_wherever_it_is_cut() {
    let mut script = message(HELLO);
    let hello = script.len();
    for command in ["C|1|Locator|sync|", "C|2|Diagnostics|echo|\"x\"|", "C|3|Nope|nope|"] {
        script.extend(message(command));
    }
    let expected = {
        let mut broker = Broker::new(1, &Limits::default());
        let peer = broker.open(0);
        broker.arrive(peer, &script);
        broker.run();
        broker.take(peer)
    };
    assert!(expected.ends_with("R|1||<eom>\nR|2|\"x\"|<eom>\nN|3|<eom>\n"), "{expected}");
    // Before Hello, within it, between messages, within a message.
    for cut in 0..=script.len() {
        let mut broker = Broker::new(2, &Limits::default());
        let peer = broker.open(0);
        broker.arrive(peer, &script[..cut]);
        broker.run();
        assert!(move_to(&mut broker, peer, 1), "{cut}");
        broker.arrive(peer, &script[cut..]);
        broker.run();
        assert_eq!(broker.take(peer), expected, "{cut}, Hello ends at {hello}");
        let report = broker.shards[1].report();
        let channel = &report.channels[0];
        assert_eq!((channel.commands, channel.errors), (3, 1), "{cut}");
        assert_eq!(channel.received_bytes, script.len() as u64, "{cut}");
        assert_eq!((report.totals.errors, broker.shards[0].totals().errors), (1, 0), "{cut}");
    }
}

#[test]
fn what_was_not_sent_and_what_was_not_taken_in_moves_too() {
    let mut broker = Broker::new(2, &Limits { commands_per_turn: 1, ..Limits::default() });
    let peer = broker.open(0);
    broker.peers[peer].reads = false;
    for part in [HELLO, "C|1|Locator|sync|", "C|2|Locator|sync|"] {
        let bytes = message(part);
        broker.arrive(peer, &bytes);
    }
    broker.turn(0);
    assert!(!broker.peers[peer].input.is_empty(), "one command a turn");
    assert!(move_to(&mut broker, peer, 1));
    broker.peers[peer].reads = true;
    broker.run();
    let said = broker.take(peer);
    assert!(said.starts_with("E|Locator|Hello|["), "{said}");
    assert!(said.ends_with("R|1||<eom>\nR|2||<eom>\n"), "{said}");
}

#[test]
fn the_time_for_hello_goes_on_and_zero_copy_is_remembered() {
    let mut broker = Broker::new(2, &Limits::default());
    let peer = broker.open(0);
    broker.run();
    let half = Limits::default().hello_timeout / 2;
    broker.pass(half);
    assert!(move_to(&mut broker, peer, 1));
    broker.pass(half - Duration::from_nanos(1));
    assert!(!broker.peers[peer].is_closed);
    broker.pass(Duration::from_nanos(2));
    assert!(broker.peers[peer].is_closed);
    assert_eq!(broker.shards[1].totals().without_hello, 1);

    let peer = broker.open(0);
    broker.send(peer, "E|Locator|Hello|[\"ZeroCopy\"]|");
    broker.take(peer);
    let from = broker.peers[peer].shard;
    let blank = broker.shards[from].take_blank(broker.peers[peer].id).unwrap();
    broker.peers[peer].id = broker.shards[1].put(broker.now, blank);
    broker.peers[peer].shard = 1;
    assert_eq!(broker.shards[1].report().channels[0].services.as_ref(), "ZeroCopy");
    let created = broker.ask(peer, "C|1|StreamBroker|create|\"Log\"|{\"Direction\":\"bus\"}|");
    let name = created.strip_prefix("R|1||").unwrap().split('|').next().unwrap().to_owned();
    broker.send(peer, &format!("C|2|Streams|write|{name}|2|\"aGk=\"|"));
    broker.take(peer);
    broker.send(peer, &format!("C|3|Streams|read|{name}|2|"));
    let read = std::mem::take(&mut broker.peers[peer].output);
    assert!(read.starts_with(b"R\x003\0(2)\x03\x03\x02hi"), "{}", read.escape_ascii());
}

#[test]
fn a_channel_with_something_in_the_core_stays() {
    for (first, then) in [
        ("C|1|Streams|subscribe|\"Log\"|", "C|2|Streams|unsubscribe|\"Log\"|"),
        ("C|1|StreamBroker|create|\"Log\"|{}|", ""),
        ("C|1|Diagnostics|createTestStreams|10|10|", "C|2|Streams|connect|\"VS0\"|"),
    ] {
        let mut broker = Broker::new(1, &Limits::default());
        let peer = broker.greet(0);
        broker.send(peer, first);
        let id = broker.peers[peer].id;
        let is_test_pair = first.contains("createTestStreams");
        if is_test_pair {
            broker.send(peer, then);
        }
        assert!(broker.shards[0].take_blank(id).is_none(), "{first}");
        assert_eq!(broker.shards[0].channel_count(), 1);
        if then.contains("unsubscribe") {
            broker.send(peer, then);
            assert!(broker.shards[0].take_blank(id).is_some(), "{then}");
        }
    }
}

#[test]
fn a_channel_at_its_end_and_one_that_is_not_read_stay() {
    let mut broker = Broker::new(2, &Limits::default());
    let ended = broker.greet(0);
    let id = broker.peers[ended].id;
    broker.shards[0].receive_end(broker.now, id);
    assert!(broker.shards[0].take_blank(id).is_none());

    let (leaving, waiting) = (broker.greet(0), broker.greet(0));
    let id = broker.peers[leaving].id;
    broker.shards[0].expect_end(broker.now, id);
    assert!(broker.shards[0].take_blank(id).is_none(), "its FIN is on its way");
    let id = broker.peers[waiting].id;
    let command = message("C|1|StreamBroker|list|\"*\"|");
    broker.shards[0].receive(broker.now, id, &mut command.as_slice());
    assert!(!broker.shards[0].wants_input(id));
    assert!(broker.shards[0].take_blank(id).is_none(), "it waits for the other worker");
    assert!(broker.shards[0].take_blank(ChannelId { slot: 99, ..id }).is_none());
}

#[test]
fn a_shard_that_drains_refuses_what_comes_from_elsewhere() {
    let mut broker = Broker::new(2, &Limits::default());
    let peer = broker.greet(0);
    broker.shards[1].drain(broker.now);
    assert!(move_to(&mut broker, peer, 1));
    broker.run();
    assert!(broker.take(peer).starts_with("<eos>{\"Code\":5,"));
    assert!(broker.peers[peer].is_closed);
}

#[test]
fn memory_held_for_a_channel_is_counted_where_it_is() {
    let mut broker = Broker::new(2, &Limits::default());
    let peer = broker.greet(0);
    let held = |broker: &Broker, shard: usize| broker.shards[shard].report().engine.held_bytes;
    let empty = held(&broker, 0);
    let part = message(&format!("C|1|Diagnostics|echo|\"{}\"|", "x".repeat(50_000)));
    broker.arrive(peer, &part[..40_000]);
    broker.run();
    assert!(held(&broker, 0) >= empty + 40_000);
    assert!(move_to(&mut broker, peer, 1));
    assert_eq!(held(&broker, 0), empty);
    assert!(held(&broker, 1) >= 40_000);
}
