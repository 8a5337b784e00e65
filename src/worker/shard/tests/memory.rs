//! What messages under way and unsent bytes may hold.

use super::broker::Broker;
use super::*;

const MIB: usize = 1 << 20;

fn broker() -> Broker {
    let mut limits = Limits::default();
    limits.stream.memory_bytes_max = MIB as u64;
    Broker::new(1, &limits)
}

/// A peer with a stream of its own that keeps what it is sent.
fn writer(broker: &mut Broker, stream: usize) -> usize {
    writer_of(broker, stream, 64 << 10)
}

fn writer_of(broker: &mut Broker, stream: usize, buffer_bytes: usize) -> usize {
    let peer = broker.open(0);
    broker.send(peer, "E|Locator|Hello|[\"ZeroCopy\"]|");
    broker.take(peer);
    let properties =
        format!("{{\"BufferSize\":{buffer_bytes},\"Hold\":true,\"StallTimeout\":null}}");
    let created = broker.ask(peer, &format!("C|1|StreamBroker|create|\"T\"|{properties}|"));
    assert_eq!(created, format!("R|1||\"VS{stream}\"|<eom>\n"));
    peer
}

/// One write of a MiB, in a BIN block.
fn long_write(stream: usize) -> Vec<u8> {
    write_of(stream, MIB, &[0x80, 0x80, 0x40])
}

/// One write of `size` bytes, in a BIN block whose head tells that size.
fn write_of(stream: usize, size: usize, head: &[u8]) -> Vec<u8> {
    let text = format!("C|2|Streams|write|\"VS{stream}\"|{size}|({size})").replace('|', "\0");
    let mut bytes = text.into_bytes();
    bytes.extend([3, 3]);
    bytes.extend(head);
    bytes.extend(std::iter::repeat_n(b'x', size));
    bytes.extend([0, 3, 1]);
    bytes
}

/// A peer with a stream that holds all but the last eighth, which no stream may.
fn hoarder(broker: &mut Broker, stream: usize) -> usize {
    let peer = writer_of(broker, stream, 4 * MIB);
    let write = write_of(stream, 16 << 10, &[0x80, 0x80, 0x01]);
    while wants_input(broker, peer) {
        pour(broker, peer, &write);
    }
    assert!(held(broker) >= (MIB - MIB / 8) as u64, "{}", held(broker));
    broker.take(peer);
    peer
}

/// Bytes come as they do from a socket.
fn pour(broker: &mut Broker, peer: usize, bytes: &[u8]) {
    for part in bytes.chunks(16 << 10) {
        broker.arrive(peer, part);
        broker.run();
    }
}

fn wants_input(broker: &Broker, peer: usize) -> bool {
    broker.shards[0].wants_input(broker.peers[peer].id)
}

fn held(broker: &Broker) -> u64 {
    broker.shards[0].report().engine.held_bytes
}

#[test]
fn long_messages_wait_for_memory_and_all_come_in_when_there_is_some() {
    let mut broker = broker();
    let writers: Vec<usize> = (0..6).map(|stream| writer(&mut broker, stream)).collect();
    for (stream, &writer) in writers.iter().enumerate() {
        pour(&mut broker, writer, &long_write(stream)[..600 << 10]);
    }
    let waiting =
        |broker: &Broker| writers.iter().filter(|writer| !wants_input(broker, **writer)).count();
    assert_eq!(waiting(&broker), 5, "one may go beyond what its account has room for");
    // Each that waits has shown that its message is long, and no more; what is there of each has
    // room to grow.
    assert!(held(&broker) < (2 * MIB + MIB / 2) as u64, "{}", held(&broker));
    let short = broker.greet(0);
    assert_eq!(broker.ask(short, "C|1|Locator|sync|"), "R|1||<eom>\n");

    for (stream, &writer) in writers.iter().enumerate() {
        pour(&mut broker, writer, &long_write(stream)[600 << 10..]);
    }
    // One write is whole and parked now: that alone is as much as there may be.
    assert!(held(&broker) < (3 * MIB) as u64, "{}", held(&broker));
    assert!(waiting(&broker) >= 5);
    let readers: Vec<usize> = writers.iter().map(|_| broker.greet(0)).collect();
    for (stream, &reader) in readers.iter().enumerate() {
        broker.ask(reader, &format!("C|2|Streams|connect|\"VS{stream}\"|"));
    }
    // A stream is read in small pieces while the memory is spent.
    let full = |broker: &Broker| {
        let streams = broker.shards[0].report().engine.streams;
        streams.iter().position(|stream| stream.parked_writes > 0)
    };
    let mut token = 9;
    while let Some(stream) = full(&broker) {
        token += 1;
        let read = format!("C|{token}|Streams|read|\"VS{stream}\"|1000000|");
        broker.ask(readers[stream], &read);
    }
    for &writer in &writers {
        assert!(wants_input(&broker, writer));
        assert_eq!(broker.take(writer), "R|2||<eom>\n");
    }
    assert!(held(&broker) < (MIB / 2) as u64, "{}", held(&broker));
}

#[test]
fn a_channel_that_reads_is_closed_over_a_long_message_that_finds_no_memory() {
    let mut broker = broker();
    hoarder(&mut broker, 0);
    // The one that may go beyond the limit has done so, and is parked.
    let parked = writer(&mut broker, 1);
    pour(&mut broker, parked, &long_write(1));
    let reader = writer(&mut broker, 2);
    broker.ask(reader, "C|2|Streams|connect|\"VS0\"|");
    // It reads nothing yet, so the memory stays spent.
    pour(&mut broker, reader, &long_write(2)[..60 << 10]);
    assert!(wants_input(&broker, reader), "a message may be as long as a packet");
    pour(&mut broker, reader, &long_write(2)[60 << 10..160 << 10]);
    let end = broker.take(reader);
    assert!(end.contains("<eos>{\"Code\":4,"), "{end}");
    assert!(end.contains("No memory for a long message"), "{end}");
    assert!(broker.peers[reader].is_closed);
}

#[test]
fn a_peer_that_does_not_take_its_replies_holds_less_when_memory_is_spent() {
    let mut broker = broker();
    let deaf = broker.greet(0);
    let hoarder = hoarder(&mut broker, 0);
    broker.send(deaf, "C|1|Streams|connect|\"VS0\"|");
    broker.peers[deaf].reads = false;
    for token in 2..50 {
        broker.send(deaf, &format!("C|{token}|Streams|read|\"VS0\"|1000000|"));
    }
    let unsent = broker.shards[0].report().channels[0].unsent_bytes;
    assert!((4 << 10..16 << 10).contains(&unsent), "{unsent}");
    broker.peers[deaf].reads = true;
    for token in 50..400 {
        broker.send(deaf, &format!("C|{token}|Streams|read|\"VS0\"|1000000|"));
        let id = broker.peers[deaf].id;
        let Broker { shards, peers, now } = &mut broker;
        peers[deaf].flush(&mut shards[0], *now);
        assert_eq!(peers[deaf].id, id);
    }
    broker.run();
    let answers = broker.take(hoarder).replace("R|2||<eom>\n", "");
    assert!(answers.is_empty() && wants_input(&broker, hoarder), "{answers}");
}

#[test]
fn what_came_in_parts_holds_nothing_once_it_is_dealt_with() {
    let mut broker = broker();
    let peer = broker.greet(0);
    let before = held(&broker);
    let text = "x".repeat(60_000);
    let message = format!("C\01\0Diagnostics\0echo\0\"{text}\"\0\x03\x01");
    pour(&mut broker, peer, &message.as_bytes()[..30_000]);
    assert!(held(&broker) >= before + 30_000);
    pour(&mut broker, peer, &message.as_bytes()[30_000..]);
    assert!(broker.take(peer).contains(&text));
    assert_eq!(held(&broker), before);
}
