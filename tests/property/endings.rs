//! Ends that cross each other: of streams, of channels, and of what they had asked for.

use weir::stream::{Command, Direction, Payload, Reply, StallTimeout};

use crate::cluster::Told;
use crate::pair::{both, small};

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
