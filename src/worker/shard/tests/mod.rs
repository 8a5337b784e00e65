//! Whole brokers without threads and sockets: bytes of peers in, bytes to peers out.

mod blank;
mod broker;
mod ending;
mod memory;

use std::time::Duration;

use super::*;
use crate::service::transcript::message;
use broker::{Broker, HELLO};

#[test]
fn hello_goes_both_ways_and_opens_the_channel() {
    let mut broker = Broker::new(1, &Limits::default());
    let peer = broker.open(0);
    broker.run();
    let hello = broker.take(peer);
    for service in ["Locator", "Streams", "Diagnostics", "ZeroCopy", "StreamBroker"] {
        assert!(hello.contains(&format!("\"{service}\"")), "{hello}");
    }
    broker.send(peer, HELLO);
    assert_eq!(broker.take(peer), "");
    assert_eq!(broker.ask(peer, "C|1|Locator|sync|"), "R|1||<eom>\n");
}

#[test]
fn commands_before_hello_and_unknown_ones_get_n() {
    let mut broker = Broker::new(1, &Limits::default());
    let peer = broker.open(0);
    broker.run();
    broker.take(peer);
    assert_eq!(broker.ask(peer, "C|1|Locator|sync|"), "N|1|<eom>\n");
    assert_eq!(broker.ask(peer, "C|2|Nope|nope|"), "N|2|<eom>\n");
    broker.send(peer, HELLO);
    assert_eq!(broker.ask(peer, "C|3|Locator|sync|"), "R|3||<eom>\n");
    assert_eq!(broker.ask(peer, "C||Streams|rename|{[|"), "N||<eom>\n");
}

#[test]
fn bad_input_closes_its_channel_with_a_report_and_no_other() {
    let mut broker = Broker::new(1, &Limits::default());
    let (good, bad) = (broker.greet(0), broker.greet(0));
    broker.send(bad, "C|1|Streams|connect|5|");
    broker.send(bad, "C|2|Locator|sync|");
    let end = broker.take(bad);
    assert!(end.starts_with("<eos>{\"Code\":3,\"Time\":5,"), "{end}");
    assert!(end.ends_with("}|<eom>\n") && end.matches("<eom>").count() == 1, "{end}");
    assert!(broker.peers[bad].is_closed);
    assert_eq!(broker.ask(good, "C|1|Locator|sync|"), "R|1||<eom>\n");
    let report = broker.shards[0].report();
    let totals = &report.totals;
    assert_eq!((totals.malformed, report.channels.len(), totals.channels_opened), (1, 1, 2));
}

#[test]
fn what_pends_is_answered_before_a_report_too() {
    let mut broker = Broker::new(1, &Limits::default());
    let peer = broker.greet(0);
    broker.send(peer, "C|1|Diagnostics|createTestStreams|10|10|");
    broker.send(peer, "C|2|Streams|connect|\"VS1\"|");
    assert_eq!(broker.take(peer), "R|1||\"VS0\"|\"VS1\"|<eom>\nR|2||<eom>\n");
    assert_eq!(broker.ask(peer, "C|3|Streams|read|\"VS1\"|10|"), "");
    let end = broker.ask(peer, "X|");
    let cancelled = "R|3|null|{\"Code\":6,\"Time\":5,\"Format\":\"Command canceled\"}|0|true|<eom>";
    assert!(end.starts_with(&format!("{cancelled}\n<eos>{{\"Code\":3,")), "{end}");
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let mut script = message(HELLO);
    for command in [
        "C|1|Locator|sync|",
        "C|2|StreamBroker|create|\"Log\"|{}|",
        "C|3|Streams|write|\"VS0\"|5|\"aGVsbG8=\"|",
        "C|4|Streams|read|\"VS0\"|5|",
        "C|5|Diagnostics|echo|\"x\"|",
    ] {
        script.extend(message(command));
    }
    let mut at_once = Broker::new(1, &Limits::default());
    let peer = at_once.open(0);
    at_once.arrive(peer, &script);
    at_once.run();
    let expected = at_once.take(peer);
    assert!(expected.contains("R|2||\"VS0\"|<eom>\nR|3||<eom>\n"), "{expected}");
    assert!(expected.contains("R|4|null|{\"Code\":23,"), "{expected}");

    let mut bytewise = Broker::new(1, &Limits::default());
    let peer = bytewise.open(0);
    for byte in script {
        bytewise.arrive(peer, &[byte]);
        bytewise.run();
    }
    assert_eq!(bytewise.take(peer), expected);
}

#[test]
fn created_comes_before_the_reply_that_gives_the_id() {
    let mut broker = Broker::new(2, &Limits::default());
    let creator = broker.greet(0);
    assert_eq!(broker.ask(creator, "C|1|Streams|subscribe|\"Log\"|"), "R|1||<eom>\n");
    let answer = broker.ask(creator, "C|2|StreamBroker|create|\"Log\"|{\"Direction\":\"bus\"}|");
    let (event, reply) = answer.split_once('\n').unwrap();
    assert!(event.starts_with("E|Streams|created|\"Log\"|\"VS"), "{answer}");
    assert!(reply.starts_with("R|2||\"VS"), "{answer}");
}

#[test]
fn streams_flow_between_workers() {
    let mut broker = Broker::new(2, &Limits::default());
    let (agent, host) = (broker.greet(0), broker.greet(1));
    let created = broker.ask(agent, "C|1|StreamBroker|create|\"Log\"|{}|");
    let name = created.strip_prefix("R|1||").unwrap().split('|').next().unwrap().to_owned();
    for command in ["connect", "read"] {
        let size = if command == "read" { "100|" } else { "" };
        let bytes = message(&format!("C|{command}|Streams|{command}|{name}|{size}"));
        broker.arrive(host, &bytes);
    }
    broker.run();
    assert_eq!(broker.take(host), "R|connect||<eom>\n");
    let wrote = broker.ask(agent, &format!("C|2|Streams|write|{name}|5|\"aGVsbG8=\"|"));
    assert_eq!(wrote, "R|2||<eom>\n");
    assert_eq!(broker.take(host), "R|read|\"aGVsbG8=\"||0|false|<eom>\n");
    let listed = broker.ask(host, "C|9|StreamBroker|list|\"*\"|");
    assert!(listed.starts_with(&format!("R|9||[{{\"ID\":{name},\"Type\":\"Log\",")), "{listed}");
    assert_eq!(broker.ask(agent, &format!("C|3|Streams|eos|{name}|")), "R|3||<eom>\n");
    let end = broker.ask(host, &format!("C|4|Streams|read|{name}|100|"));
    assert_eq!(end, "R|4|null||0|true|<eom>\n");
}

#[test]
fn commands_before_an_end_are_answered() {
    for end in [&b"\x03\x02"[..], b"\x03\x02\x03\x01", b"C\x001\x00Loc\x03\x02\x03\x01", b""] {
        let mut broker = Broker::new(1, &Limits::default());
        let peer = broker.greet(0);
        broker.arrive(peer, &message("C|1|Locator|sync|"));
        broker.arrive(peer, &message("C|2|Diagnostics|echo|\"x\"|"));
        broker.arrive(peer, end);
        broker.run();
        if end.is_empty() {
            let id = broker.peers[peer].id;
            broker.shards[0].receive_end(broker.now, id);
            broker.run();
        }
        assert_eq!(broker.take(peer), "R|1||<eom>\nR|2|\"x\"|<eom>\n<eos>|<eom>\n");
        assert!(broker.peers[peer].is_closed);
        assert_eq!(broker.shards[0].channel_count(), 0);
    }
}

#[test]
fn large_blocks_are_received_where_they_will_stay() {
    let mut broker = Broker::new(1, &Limits::default());
    let agent = broker.greet(0);
    broker.send(agent, "C|1|StreamBroker|create|\"Log\"|{}|");
    broker.take(agent);
    let id = broker.peers[agent].id;
    let mut bytes = b"C\x002\0Streams\0write\0\"VS0\"\x008000\0(8000)\x03\x03\xc0\x3e".to_vec();
    bytes.extend([7; 1000]);
    let mut input = bytes.as_slice();
    let shard = &mut broker.shards[0];
    assert!(shard.direct(id).is_none());
    shard.receive(broker.now, id, &mut input);
    assert!(input.is_empty());
    let mut missing = 7000;
    while let Some(block) = shard.direct(id) {
        let count = block.len().min(3000);
        assert!(count > 0 && count <= missing);
        block[..count].fill(7);
        shard.filled(broker.now, id, count);
        missing -= count;
    }
    assert_eq!(missing, 0);
    broker.arrive(agent, b"\0\x03\x01");
    broker.run();
    assert_eq!(broker.take(agent), "R|2||<eom>\n");
    let report = broker.shards[0].report();
    assert_eq!(report.totals.engine.accepted_bytes, 8000);
    let hello_and_create =
        message(HELLO).len() + message("C|1|StreamBroker|create|\"Log\"|{}|").len();
    let expected = hello_and_create + bytes.len() + 7000 + 3;
    assert_eq!(report.channels[0].received_bytes, expected as u64);
}

/// Makes a stream with some bytes in it, for `count` reads of 100 bytes.
fn stream_with_bytes(broker: &mut Broker, agent: usize, count: usize) {
    broker.send(agent, "C|1|StreamBroker|create|\"Log\"|{}|");
    let data = "a".repeat(100 * count);
    broker
        .send(agent, &format!("C|2|Streams|write|\"VS0\"|{}|({}){data}|", data.len(), data.len()));
    assert_eq!(broker.take(agent), "R|1||\"VS0\"|<eom>\nR|2||<eom>\n");
}

#[test]
fn reads_before_an_end_get_what_is_there_in_as_many_turns_as_it_takes() {
    let mut limits =
        Limits { unsent_bytes_pause: 400, unsent_bytes_resume: 100, ..Limits::default() };
    limits.stream.served_bytes_per_turn = 250;
    let mut broker = Broker::new(1, &limits);
    let (agent, host) = (broker.greet(0), broker.greet(0));
    stream_with_bytes(&mut broker, agent, 20);
    broker.peers[host].reads = false;
    broker.arrive(host, &message("C|c|Streams|connect|\"VS0\"|"));
    for token in 0..21 {
        broker.arrive(host, &message(&format!("C|{token}|Streams|read|\"VS0\"|100|")));
    }
    broker.arrive(host, b"\x03\x02\x03\x01");
    broker.run();
    assert!(!broker.peers[host].is_closed, "it has not got its answers");
    broker.peers[host].reads = true;
    let Broker { shards, peers, now } = &mut broker;
    peers[host].flush(&mut shards[0], *now);
    broker.run();
    let replies = broker.take(host);
    assert_eq!(replies.matches("||0|false|<eom>").count(), 20, "{replies}");
    assert!(replies.contains("R|20|null|{\"Code\":6,"), "{replies}");
    assert!(replies.ends_with("|0|true|<eom>\n<eos>|<eom>\n"), "{replies}");
}

#[test]
fn drain_waits_for_no_peer_that_does_not_read() {
    let limits = Limits { unsent_bytes_pause: 400, ..Limits::default() };
    let mut broker = Broker::new(1, &limits);
    let (agent, host) = (broker.greet(0), broker.greet(0));
    stream_with_bytes(&mut broker, agent, 20);
    broker.peers[host].reads = false;
    broker.send(host, "C|c|Streams|connect|\"VS0\"|");
    for token in 0..20 {
        broker.send(host, &format!("C|{token}|Streams|read|\"VS0\"|100|"));
    }
    broker.arrive(host, b"\x03\x02\x03\x01");
    broker.run();
    assert!(!broker.peers[host].is_closed);
    broker.shards[0].drain(broker.now);
    broker.run();
    assert!(broker.peers[host].is_closed);
}

#[test]
fn a_peer_that_does_not_read_is_paused_and_goes_on_when_it_reads() {
    let limits = Limits { unsent_bytes_pause: 1000, unsent_bytes_resume: 100, ..Limits::default() };
    let mut broker = Broker::new(1, &limits);
    let peer = broker.greet(0);
    broker.peers[peer].reads = false;
    let id = broker.peers[peer].id;
    for token in 0..1000 {
        broker.arrive(peer, &message(&format!("C|{token}|Diagnostics|echo|\"0123456789\"|")));
    }
    broker.run();
    assert!(!broker.shards[0].wants_input(id));
    let unsent = broker.shards[0].output(id).len();
    assert!((1001..1100).contains(&unsent), "{unsent}");
    assert!(!broker.peers[peer].input.is_empty(), "the rest stays with the driver");

    broker.peers[peer].reads = true;
    let Broker { shards, peers, now } = &mut broker;
    peers[peer].flush(&mut shards[0], *now);
    assert!(shards[0].wants_input(id));
    assert_eq!(shards[0].poll_ready(), Some(id), "named, so that it is read again");
    broker.run();
    assert_eq!(broker.take(peer).lines().count(), 1000);
}

#[test]
fn reads_are_not_served_to_a_paused_peer() {
    let limits = Limits { unsent_bytes_pause: 100, unsent_bytes_resume: 50, ..Limits::default() };
    let mut broker = Broker::new(1, &limits);
    let (agent, host) = (broker.greet(0), broker.greet(0));
    broker.send(agent, "C|1|StreamBroker|create|\"Log\"|{}|");
    broker.send(host, "C|1|Streams|connect|\"VS0\"|");
    for token in 0..20 {
        broker.send(host, &format!("C|{token}|Streams|read|\"VS0\"|100|"));
    }
    broker.take(host);
    broker.peers[host].reads = false;
    for token in 0..20 {
        broker.send(agent, &format!("C|{token}|Streams|write|\"VS0\"|3|\"YWJj\"|"));
    }
    let id = broker.peers[host].id;
    let unsent = broker.shards[0].output(id).len();
    assert!((101..200).contains(&unsent), "{unsent}");

    broker.peers[host].reads = true;
    let Broker { shards, peers, now } = &mut broker;
    peers[host].flush(&mut shards[0], *now);
    broker.run();
    let replies = broker.take(host);
    let got: usize = replies.matches("YWJj").count();
    assert_eq!(got, 20, "{replies}");
}

#[test]
fn a_fat_agent_gets_no_more_than_its_turn() {
    let limits = Limits { commands_per_turn: 10, ..Limits::default() };
    let mut broker = Broker::new(1, &limits);
    let peer = broker.greet(0);
    let id = broker.peers[peer].id;
    let mut script = Vec::new();
    for token in 0..25 {
        script.extend(message(&format!("C|{token}|Locator|sync|")));
    }
    let mut input = script.as_slice();
    let shard = &mut broker.shards[0];
    for commands in [10, 20, 25] {
        shard.receive(broker.now, id, &mut input);
        let before = input.len();
        shard.receive(broker.now, id, &mut input);
        assert_eq!(input.len(), before, "nothing more in the same turn");
        assert_eq!(shard.totals().commands, commands);
        assert!(shard.wants_input(id));
        shard.settle(broker.now);
        assert_eq!(shard.poll_ready(), Some(id));
    }
    assert!(input.is_empty());
    assert_eq!(shard.poll_ready(), None, "named once");
}

#[test]
fn a_peer_that_says_no_hello_is_closed_in_time() {
    let limits = Limits { hello_timeout: Duration::from_secs(15), ..Limits::default() };
    let mut broker = Broker::new(1, &limits);
    let (silent, polite) = (broker.open(0), broker.greet(0));
    assert_eq!(broker.shards[0].next_deadline(), Some(Instant(15_000_000_001)));
    broker.pass(Duration::from_secs(14));
    assert!(!broker.peers[silent].is_closed);
    broker.pass(Duration::from_secs(1));
    assert!(broker.peers[silent].is_closed && !broker.peers[polite].is_closed);
    let end = broker.take(silent);
    assert!(
        end.contains("<eos>{\"Code\":3,\"Time\":5,\"Format\":\"No Hello within 15s\"}"),
        "{end}"
    );
    assert_eq!(broker.shards[0].totals().malformed, 0);
}

#[test]
fn drain_answers_what_pends_and_refuses_newcomers() {
    let mut broker = Broker::new(1, &Limits::default());
    let peer = broker.greet(0);
    let idle = broker.open(0);
    broker.send(peer, "C|1|Diagnostics|createTestStreams|10|10|");
    broker.send(peer, "C|2|Streams|connect|\"VS1\"|");
    broker.send(peer, "C|3|Streams|read|\"VS1\"|10|");
    broker.take(peer);
    broker.shards[0].drain(broker.now);
    let late = broker.open(0);
    broker.run();
    let end = broker.take(peer);
    assert!(end.starts_with("R|3|null|{\"Code\":6,"), "{end}");
    assert!(end.ends_with("|0|true|<eom>\n<eos>|<eom>\n"), "{end}");
    assert!(broker.take(idle).ends_with("<eos>|<eom>\n"));
    let refused = broker.take(late);
    assert!(refused.starts_with("E|Locator|Hello|"), "{refused}");
    assert!(refused.contains("<eos>{\"Code\":5,"), "{refused}");
    assert!(broker.peers.iter().all(|peer| peer.is_closed));
    assert_eq!((broker.shards[0].channel_count(), broker.shards[0].next_deadline()), (0, None));
}

#[test]
fn an_aborted_channel_is_forgotten_at_once() {
    let mut broker = Broker::new(1, &Limits::default());
    let peer = broker.greet(0);
    let id = broker.peers[peer].id;
    broker.peers[peer].is_closed = true;
    let shard = &mut broker.shards[0];
    shard.abort(broker.now, id);
    shard.settle(broker.now);
    assert_eq!((shard.channel_count(), shard.wants_input(id)), (0, false));
    assert!(shard.poll_closed().is_none() && shard.poll_ready().is_none());
    assert_eq!(shard.next_deadline(), None);

    let next = broker.greet(0);
    let next_id = broker.peers[next].id;
    assert_eq!((next_id.slot, next_id.generation), (id.slot, id.generation + 1));
    let shard = &mut broker.shards[0];
    let mut input = &b"C\0"[..];
    shard.receive(broker.now, id, &mut input);
    assert!(input.is_empty(), "input of a channel that is gone counts no more");
    assert!(shard.output(id).is_empty() && shard.direct(id).is_none());
    assert_eq!(shard.report().channels[0].id, next_id);
}

#[test]
fn bytes_are_counted_in_both_directions() {
    let mut broker = Broker::new(1, &Limits::default());
    let peer = broker.greet(0);
    let before = broker.shards[0].report().channels.remove(0);
    broker.send(peer, "C|1|Locator|sync|");
    broker.peers[peer].reads = false;
    broker.send(peer, "C|2|Locator|sync|");
    let after = broker.shards[0].report().channels.remove(0);
    assert_eq!(after.commands, 2);
    let command = message("C|1|Locator|sync|").len() as u64;
    assert_eq!(after.received_bytes - before.received_bytes, 2 * command);
    assert_eq!((after.sent_bytes - before.sent_bytes, after.unsent_bytes), (7, 7));
}

#[test]
fn a_channel_counts_as_a_writer_as_long_as_it_writes() {
    let mut broker = Broker::new(1, &Limits::default());
    let peer = broker.greet(0);
    let id = broker.peers[peer].id;
    let made = broker.ask(peer, "C|1|StreamBroker|create|\"T\"|{\"Direction\":\"bus\"}|");
    assert!(made.contains("\"VS0\""), "{made}");
    assert!(!broker.shards[0].writes(id));
    let write = b"C\x002\0Streams\0write\0\"VS0\"\x002\0(2)\x03\x03\x02ab\0\x03\x01";
    broker.arrive(peer, write);
    broker.run();
    assert!(broker.shards[0].writes(id));
    broker.send(peer, "C|3|Streams|read|\"VS0\"|9|");
    broker.send(peer, "C|4|Streams|read|\"VS0\"|9|");
    assert!(!broker.shards[0].writes(id));
    // One too large to be taken in one look.
    let mut write = b"C\x005\0Streams\0write\0\"VS0\"\x008000\0(8000)\x03\x03\xc0\x3e".to_vec();
    write.extend([7; 8000]);
    broker.arrive(peer, &write);
    broker.arrive(peer, b"\0\x03\x01");
    broker.run();
    assert!(broker.shards[0].writes(id));
}
