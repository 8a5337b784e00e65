//! Ends that cross each other: of streams, of channels, and of what they had asked for.

use weir::stream::{AttachOptions, Command, Direction, Payload, Refusal, Reply, StallTimeout};

use crate::cluster::Told;
use crate::pair::{STALL, both, small};

#[test]
fn a_stream_whose_creator_is_gone_ends_also_when_another_takes_its_end_back() {
    for leaves_by_disconnect in [false, true] {
        both(|mut pair| {
            let mut properties = small(StallTimeout::Never);
            properties.direction = Direction::Bus;
            let stream = pair.create(properties);
            let reader = pair.cluster.open(0);
            pair.run(reader, Command::Connect(stream));
            pair.connect(stream);
            // Another writer's bytes park, and the end that a third asks for waits behind them.
            let data = Payload::Borrowed(b"0123456789abcdef");
            pair.run(reader, Command::Write { stream, data });
            assert!(pair.run(pair.host, Command::Eos(stream)).is_empty());
            pair.cluster.close(pair.agent);
            pair.cluster.rest();
            if leaves_by_disconnect {
                pair.run(pair.host, Command::Disconnect(stream));
            } else {
                pair.cluster.close(pair.host);
            }
            pair.cluster.rest();
            for _ in 0..2 {
                pair.run(reader, Command::Read { stream, size: 99 });
            }
            let told = pair.run(reader, Command::Read { stream, size: 99 });
            let is_over = matches!(told[..], [Told::Reply(_, Reply::Read { eos: true, .. })]);
            assert!(is_over, "{told:?}");
            assert!(pair.cluster.engines[0].report().streams.is_empty());
        });
    }
}

#[test]
fn who_cannot_read_a_disposed_stream_cannot_come_late_to_it() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.direction = Direction::In;
        properties.linger = 10 * STALL;
        let stream = pair.create(properties);
        pair.connect(stream);
        pair.run(pair.agent, Command::Dispose(stream));
        pair.cluster.rest();
        assert!(matches!(pair.cluster.told(pair.host)[..], [Told::Disposed(_)]));
        let told = pair.run(pair.host, Command::Attach(stream, AttachOptions::default()));
        let [Told::Reply(_, Reply::Attached(Err(Refusal::UnknownContext(_))))] = told[..] else {
            panic!("{told:?}")
        };
        let told = pair.run(pair.host, Command::Subscribe("log"));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        let told = pair.run(pair.host, Command::Disconnect(stream));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
    });
}
