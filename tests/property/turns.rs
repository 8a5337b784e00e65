//! What one turn does at most.

use weir::id::ChannelId;
use weir::stream::{Command, CoreLimits, Payload, Reply, StallTimeout};

use crate::cluster::{Cluster, Told};
use crate::pair::small;

/// Reads answered in one turn.
const SERVES_PER_TURN: usize = 1_024;

#[test]
fn of_thousands_of_readers_a_turn_answers_as_many_as_its_bound_and_the_next_the_others() {
    for more in [0, 1] {
        let mut cluster = Cluster::new(7, 1, 64, &CoreLimits::default());
        let agent = cluster.open(0);
        cluster.send(agent, "create", Command::Create(Box::new(small(StallTimeout::Never))));
        cluster.rest();
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(agent)[..] else {
            panic!("no stream")
        };
        let readers: Vec<ChannelId> =
            (0..SERVES_PER_TURN + more).map(|_| cluster.open(0)).collect();
        for &reader in &readers {
            cluster.send(reader, "connect", Command::Connect(stream));
            cluster.send(reader, "read", Command::Read { stream, size: 10 });
        }
        cluster.rest();
        readers.iter().for_each(|reader| drop(cluster.told(*reader)));
        let data = Payload::Borrowed(b"ten bytes!");
        cluster.send(agent, "write", Command::Write { stream, data });
        let mut answered = || -> usize {
            cluster.turn(0, 0);
            readers.iter().map(|reader| cluster.told(*reader).len()).sum()
        };
        assert_eq!([answered(), answered()], [SERVES_PER_TURN, more]);
    }
}

/// Streams looked at in one turn.
const SETTLED_PER_TURN: usize = 2_048;

#[test]
fn of_thousands_of_streams_that_end_a_turn_settles_as_many_as_its_bound() {
    for more in [0, 1] {
        let mut cluster = Cluster::new(7, 1, 64, &CoreLimits::default());
        let agent = cluster.open(0);
        for _ in 0..SETTLED_PER_TURN + more {
            cluster.send(agent, "create", Command::Create(Box::new(small(StallTimeout::Never))));
        }
        cluster.rest();
        cluster.close(agent);
        let mut left = || {
            cluster.turn(0, 0);
            cluster.engines[0].report().streams.len()
        };
        assert_eq!([left(), left()], [more, 0]);
    }
}
