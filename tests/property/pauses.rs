//! A channel that is held back for several reasons goes on when the last of them is over.

use weir::id::{ChannelId, StreamId};
use weir::stream::{Command, CoreLimits, Direction, Payload, Properties, Reply};

use crate::cluster::{Cluster, Told};

const QUEUE_PAUSE: usize = 4;

fn write(cluster: &mut Cluster, channel: ChannelId, stream: StreamId) {
    let data = Payload::Borrowed(b"x");
    cluster.send(channel, "write", Command::Write { stream, data });
}

fn answers(cluster: &mut Cluster, channel: ChannelId) -> usize {
    let told = cluster.told(channel);
    told.iter().filter(|told| matches!(told, Told::Reply(_, Reply::Done(Ok(()))))).count()
}

#[test]
fn an_answer_lets_no_channel_go_on_that_waits_for_a_long_queue() {
    let limits = CoreLimits { outgoing_messages_pause: QUEUE_PAUSE, ..CoreLimits::default() };
    // One message at a time finds room.
    let mut cluster = Cluster::new(7, 2, 1, &limits);
    let owner = cluster.open(0);
    let mut properties = Properties::new("log");
    properties.direction = Direction::In;
    cluster.send(owner, "create", Command::Create(Box::new(properties)));
    cluster.rest();
    let told = cluster.told(owner);
    let [Told::Reply(_, Reply::Stream(Ok(stream)))] = told[..] else { panic!("{told:?}") };
    let writers: Vec<ChannelId> = (0..=2 * QUEUE_PAUSE).map(|_| cluster.open(1)).collect();
    for &writer in &writers {
        cluster.send(writer, "connect", Command::Connect(stream));
        cluster.rest();
        assert_eq!(answers(&mut cluster, writer), 1);
    }
    let one = writers[0];
    write(&mut cluster, one, stream);
    for &writer in &writers[1..] {
        write(&mut cluster, writer, stream);
    }
    write(&mut cluster, one, stream);
    assert!(cluster.channels[&one].waits, "the queue to the stream's home is long");
    // Its first write goes there, and the answer comes back.
    for worker in [1, 0, 1] {
        cluster.turn(worker, 1);
    }
    assert_eq!(answers(&mut cluster, one), 1);
    assert!(cluster.channels[&one].waits, "the queue is long still");
    cluster.rest();
    assert_eq!(answers(&mut cluster, one), 1);
    assert!(!cluster.channels[&one].waits);
}

#[test]
fn who_creates_waits_while_a_worker_does_not_take_in_what_it_is_told() {
    let limits = CoreLimits { outgoing_messages_pause: QUEUE_PAUSE, ..CoreLimits::default() };
    let mut cluster = Cluster::new(7, 2, 1, &limits);
    let subscriber = cluster.open(1);
    cluster.send(subscriber, "subscribe", Command::Subscribe("log"));
    cluster.rest();
    let owner = cluster.open(0);
    let create = |cluster: &mut Cluster| {
        cluster.send(owner, "create", Command::Create(Box::new(Properties::new("log"))));
        cluster.channels[&owner].waits
    };
    assert!((1..QUEUE_PAUSE).all(|_| !create(&mut cluster)), "below the bound");
    assert!(create(&mut cluster), "at the bound");
    cluster.rest();
    assert!(!cluster.channels[&owner].waits, "all is told");
}
