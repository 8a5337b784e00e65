//! Ends of channels whose peers do not take them in.

use super::broker::Broker;
use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A peer with two large replies on their way and a third to come, of which it takes nothing.
fn deaf_peer(broker: &mut Broker) -> usize {
    let writer = broker.greet(0);
    broker.ask(writer, "C|1|StreamBroker|create|\"T\"|{}|");
    let data = "eHh4".repeat(500);
    let deaf = broker.greet(0);
    broker.ask(deaf, "C|1|Streams|connect|\"VS0\"|");
    broker.peers[deaf].reads = false;
    for token in 2..9 {
        broker.send(deaf, &format!("C|{token}|Streams|read|\"VS0\"|1500|"));
    }
    for token in 2..9 {
        broker.ask(writer, &format!("C|{token}|Streams|write|\"VS0\"|1500|\"{data}\"|"));
    }
    assert!(!broker.shards[0].wants_input(broker.peers[deaf].id), "it has too much unsent");
    deaf
}

fn broker() -> Broker {
    let limits = Limits {
        unsent_bytes_pause: 3000,
        unsent_bytes_resume: 1000,
        linger_timeout: TIMEOUT,
        ..Limits::default()
    };
    Broker::new(1, &limits)
}

fn take_some(broker: &mut Broker, peer: usize, count: usize) {
    let id = broker.peers[peer].id;
    broker.shards[0].output(id).advance(count);
    broker.shards[0].sent(broker.now, id);
    broker.run();
}

#[test]
fn an_end_whose_peer_takes_nothing_is_given_up_in_time() {
    let mut broker = broker();
    let deaf = deaf_peer(&mut broker);
    let id = broker.peers[deaf].id;
    broker.shards[0].receive_end(broker.now, id);
    broker.run();
    broker.pass(TIMEOUT - Duration::from_millis(1));
    assert!(!broker.peers[deaf].is_closed);
    broker.pass(Duration::from_millis(1));
    assert!(broker.peers[deaf].is_closed);
    assert_eq!(broker.shards[0].channel_count(), 1);
    assert_eq!(broker.shards[0].next_deadline(), None);
}

#[test]
fn a_drain_hands_the_unsent_rest_of_a_deaf_peer_over_at_once() {
    let mut broker = broker();
    let deaf = deaf_peer(&mut broker);
    broker.shards[0].drain(broker.now);
    broker.run();
    assert!(broker.peers[deaf].is_closed);
    assert_eq!((broker.shards[0].channel_count(), broker.shards[0].next_deadline()), (0, None));
}

#[test]
fn an_end_whose_peer_takes_a_little_goes_on_for_as_long_as_it_takes() {
    let mut broker = broker();
    let deaf = deaf_peer(&mut broker);
    let id = broker.peers[deaf].id;
    broker.shards[0].receive_end(broker.now, id);
    broker.run();
    for _ in 0..20 {
        broker.pass(TIMEOUT - Duration::from_millis(1));
        assert!(!broker.peers[deaf].is_closed);
        take_some(&mut broker, deaf, 10);
    }
    // The progress made last counts once more.
    broker.pass(TIMEOUT);
    broker.pass(TIMEOUT);
    assert!(broker.peers[deaf].is_closed);
}

#[test]
fn an_end_that_its_peer_takes_in_leaves_nothing_behind() {
    let mut broker = broker();
    let deaf = deaf_peer(&mut broker);
    broker.take(deaf);
    broker.shards[0].receive_end(broker.now, broker.peers[deaf].id);
    broker.peers[deaf].reads = true;
    let Broker { shards, peers, now } = &mut broker;
    peers[deaf].flush(&mut shards[0], *now);
    broker.run();
    let end = broker.take(deaf);
    assert_eq!(end.matches("|<eom>\n").count(), 8, "seven replies and the end: {end}");
    assert!(broker.peers[deaf].is_closed);
    assert_eq!(broker.shards[0].next_deadline(), None);
}
