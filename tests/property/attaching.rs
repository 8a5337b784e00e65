//! One way to a stream, with the same bounds whichever command takes it.

use weir::id::{ChannelId, Offset, StreamId};
use weir::stream::{
    AttachOptions, Command, CoreLimits, Direction, From, Properties, Refusal, Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told};
use crate::pair::{Pair, both, small};

/// An agent on worker 0, and a host on worker 0 or 1 that may be attached to two streams.
fn narrow(test: impl Fn(Pair)) {
    for host_worker in [0, 1] {
        let limits = CoreLimits {
            attachments_per_channel_max: 2,
            test_streams_max: 2,
            ..Default::default()
        };
        let mut cluster = Cluster::new(7, 2, 64, &limits);
        let agent = cluster.open(0);
        let host = cluster.open(host_worker);
        test(Pair { cluster, agent, host });
    }
}

/// Streams of two agents, each of which is attached to what it creates.
fn three_streams(pair: &mut Pair, properties: &Properties) -> [StreamId; 3] {
    let other = pair.cluster.open(0);
    let create = |pair: &mut Pair, channel| {
        let told = pair.run(channel, Command::Create(Box::new(properties.clone())));
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = told[..] else { panic!("{told:?}") };
        stream
    };
    [create(pair, pair.agent), create(pair, pair.agent), create(pair, other)]
}

fn is_refused(told: &[Told]) -> bool {
    let refused = |told: &Told| match told {
        Told::Reply(
            _,
            Reply::Done(Err(error))
            | Reply::Stream(Err(error))
            | Reply::Attached(Err(error))
            | Reply::Adopted(Err(error)),
        ) => matches!(error, Refusal::Limit(_)),
        _ => false,
    };
    told.len() == 1 && refused(&told[0])
}

/// Streams that the channel is connected to, by what a read says.
fn connected(pair: &mut Pair, channel: ChannelId, streams: &[StreamId]) -> usize {
    let connected = |stream: &&StreamId| {
        let told = pair.run(channel, Command::Read { stream: **stream, size: 1 });
        let refused = matches!(
            told[..],
            [Told::Reply(_, Reply::Read { error: Some(Refusal::NotConnected(_)), .. })]
        );
        !refused
    };
    streams.iter().filter(connected).count()
}

#[test]
fn each_command_attaches_at_the_bound_and_none_one_past() {
    narrow(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.key = Some("secret".into());
        let [one, two, three] = three_streams(&mut pair, &properties);
        pair.connect(one);
        pair.attach(two, AttachOptions::default());
        pair.connect(one);
        let host = pair.host;
        assert!(is_refused(&pair.run(host, Command::Connect(three))));
        let options = AttachOptions::default();
        assert!(is_refused(&pair.run(host, Command::Attach(three, options))));
        assert!(is_refused(&pair.run(host, Command::Adopt { stream: three, key: "secret" })));
        let create = Command::Create(Box::new(properties.clone()));
        assert!(is_refused(&pair.run(host, create)));
        pair.run(host, Command::Disconnect(one));
        pair.connect(three);
    });
}

#[test]
fn a_subscription_tells_of_what_is_beyond_the_bound_and_does_not_connect() {
    for is_early in [true, false] {
        for direction in [Direction::Out, Direction::In] {
            narrow(|mut pair| {
                let properties = Properties { direction, ..small(StallTimeout::Never) };
                let host = pair.host;
                let subscribe = |pair: &mut Pair| pair.run(host, Command::Subscribe("*"));
                let mut told = if is_early { subscribe(&mut pair) } else { Vec::new() };
                let streams = three_streams(&mut pair, &properties);
                if !is_early {
                    told = subscribe(&mut pair);
                }
                told.extend(pair.cluster.told(host));
                let created: Vec<StreamId> = told
                    .iter()
                    .filter_map(|told| match told {
                        Told::Created(stream) => Some(*stream),
                        _ => None,
                    })
                    .collect();
                assert_eq!(created, streams, "it is told of all, oldest first");
                assert_eq!(connected(&mut pair, host, &streams), 2);
                // What nobody reads does not keep the writer waiting.
                let agent = pair.agent;
                let last = pair.cluster.engines[0].report().streams[2].readers;
                assert_eq!(last, u64::from(direction == Direction::In), "{agent}");
            });
        }
    }
}

#[test]
fn a_subscribed_creator_of_a_bus_reads_it_from_its_first_byte() {
    both(|mut pair| {
        let bus = Properties { direction: Direction::Bus, ..small(StallTimeout::Never) };
        pair.run(pair.agent, Command::Subscribe("log"));
        let told = pair.run(pair.agent, Command::Create(Box::new(bus)));
        let [Told::Created(stream), Told::Reply(_, Reply::Stream(Ok(_)))] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(pair.write(stream, "0123456789"), Some(Ok(())));
        assert_eq!(pair.write(stream, "a"), None, "it holds the buffer");
        pair.host = pair.agent;
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
    });
}

#[test]
fn a_pair_of_test_streams_that_nobody_is_attached_to_gives_way() {
    narrow(|mut pair| {
        let create = |pair: &mut Pair| {
            let command = Command::CreateTestStreams { input_bytes: 10, output_bytes: 10 };
            match pair.run(pair.agent, command)[..] {
                [Told::Reply(_, Reply::TestStreams(Ok(streams)))] => Some(streams),
                _ => None,
            }
        };
        let one = create(&mut pair).expect("there is room");
        let two = create(&mut pair).expect("at the bound");
        pair.connect(one.0);
        let three = create(&mut pair).expect("the idle one gives way");
        let there =
            |pair: &Pair, id| pair.cluster.engines[0].report().streams.iter().any(|s| s.id == id);
        assert!(there(&pair, one.1) && !there(&pair, two.0) && !there(&pair, two.1));
        pair.connect(three.1);
        assert_eq!(create(&mut pair), None, "one past it, all in use");
    });
}

#[test]
fn a_stream_may_begin_where_another_left_off() {
    both(|mut pair| {
        let origin = Offset(1 << 40);
        let stream = pair.create(Properties { origin, ..small(StallTimeout::Never) });
        let options = AttachOptions { from: From::Offset(Offset(0)), ..Default::default() };
        assert_eq!(pair.attach(stream, options), (origin.0, origin.0));
        assert_eq!(pair.write(stream, "0123456789"), Some(Ok(())));
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
        let report = pair.cluster.engines[0].report();
        assert_eq!((report.streams[0].end, report.totals.accepted_bytes), (origin.plus(10), 10));
    });
}
