//! Subscriptions that wait for another worker, and streams that come and go meanwhile.

use std::time::Duration;

use weir::stream::{Command, CoreLimits, Payload, Refusal, Reply, StallTimeout};

use crate::cluster::{Cluster, Told};
use crate::pair::{STALL, small};

/// Turns of all workers but the last, until they have nothing to tell each other.
fn turn_all_but_last(cluster: &mut Cluster) {
    for _ in 0..20 {
        for worker in 0..cluster.engines.len() - 1 {
            cluster.turn(worker, usize::MAX);
        }
    }
}

#[test]
fn a_reader_that_is_let_go_before_its_subscription_is_answered_leaves_nothing() {
    for agent_worker in [0, 1] {
        let mut cluster = Cluster::new(7, 3, 64, &CoreLimits::default());
        let (agent, host) = (cluster.open(agent_worker), cluster.open(0));
        let properties = small(StallTimeout::After(STALL));
        cluster.send(agent, "create", Command::Create(Box::new(properties)));
        cluster.rest();
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(agent)[..] else {
            panic!("no stream")
        };
        let data = Payload::Borrowed(b"unread");
        cluster.send(agent, "write", Command::Write { stream, data });
        cluster.send(host, "subscribe", Command::Subscribe("*"));
        turn_all_but_last(&mut cluster);
        cluster.send(agent, "dispose", Command::Dispose(stream));
        turn_all_but_last(&mut cluster);
        for _ in 0..4 {
            cluster.now = cluster.now.plus(STALL);
            turn_all_but_last(&mut cluster);
        }
        assert!(cluster.engines[agent_worker].report().streams.is_empty());
        cluster.rest();
        let told = cluster.told(host);
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        assert!(!cluster.engines[0].has_readers(host));
        cluster.send(host, "disconnect", Command::Disconnect(stream));
        let told = cluster.told(host);
        let [Told::Reply(_, Reply::Done(Err(Refusal::NotConnected(_))))] = &told[..] else {
            panic!("{told:?}")
        };
    }
}

#[test]
fn a_stream_that_came_and_went_while_a_subscription_waited_is_told_and_read_to_its_end() {
    for agent_worker in [0, 1] {
        let mut cluster = Cluster::new(7, 3, 64, &CoreLimits::default());
        let (agent, host) = (cluster.open(agent_worker), cluster.open(0));
        cluster.send(host, "subscribe", Command::Subscribe("*"));
        turn_all_but_last(&mut cluster);
        let properties = small(StallTimeout::Never);
        cluster.send(agent, "create", Command::Create(Box::new(properties)));
        turn_all_but_last(&mut cluster);
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(agent)[..] else {
            panic!("no stream")
        };
        let data = Payload::Borrowed(b"unread");
        cluster.send(agent, "write", Command::Write { stream, data });
        cluster.send(agent, "dispose", Command::Dispose(stream));
        cluster.rest();
        let told = cluster.told(host);
        let [Told::Reply(_, Reply::Done(Ok(()))), Told::Created(created)] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(created, stream);
        cluster.send(host, "read", Command::Read { stream, size: 99 });
        cluster.rest();
        let told = cluster.told(host);
        let [Told::Reply(_, Reply::Read { data, eos: true, .. }), Told::Disposed(_)] = &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!(data.to_vec(), b"unread");
    }
}

#[test]
fn a_subscription_for_which_there_is_no_room_connects_to_nothing_that_came_meanwhile() {
    const MAX: u64 = 1 << 20;
    /// What one account may have: half, less the part that is left to newcomers.
    const MOST: u64 = (MAX - MAX / 32) / 2;
    let limits = CoreLimits { memory_bytes_max: MAX, ..CoreLimits::default() };
    for agent_worker in [0, 1] {
        let mut outcomes = [0; 2];
        for unsent in (MOST - 12_000..MOST).step_by(30) {
            let mut cluster = Cluster::new(7, 3, 64, &limits);
            let (agent, host) = (cluster.open(agent_worker), cluster.open(0));
            cluster.engines[0].set_outside_bytes(host, unsent, 0);
            cluster.send(host, "subscribe", Command::Subscribe("*"));
            turn_all_but_last(&mut cluster);
            let properties = small(StallTimeout::Never);
            cluster.send(agent, "create", Command::Create(Box::new(properties)));
            cluster.rest();
            cluster.now = cluster.now.plus(Duration::from_millis(1));
            cluster.rest();
            let told = cluster.told(host);
            let [Told::Reply(_, Reply::Done(result)), rest @ ..] = &told[..] else {
                panic!("{told:?}")
            };
            let is_told = matches!(rest, [Told::Created(_)]);
            assert!(is_told || rest.is_empty(), "{rest:?}");
            outcomes[usize::from(result.is_ok())] += 1;
            let streams = cluster.engines[agent_worker].report().streams;
            let readers: Vec<u64> = streams.iter().map(|stream| stream.readers).collect();
            if result.is_err() {
                assert_eq!(readers, [0], "{unsent}");
            }
        }
        assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
    }
}
