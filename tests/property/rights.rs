//! What a principal may not do, it cannot: on the stream's own worker and on another.

use weir::access::{Principal, Right};
use weir::id::ChannelId;
use weir::stream::{AttachOptions, Command, Payload, Refusal, Reply, StallTimeout};

use crate::cluster::Told;
use crate::pair::{Pair, both, small};

/// A channel with every right but these, beside the host of the pair.
fn without(pair: &mut Pair, rights: &[Right]) -> ChannelId {
    let others: Vec<Right> = Right::ALL.into_iter().filter(|r| !rights.contains(r)).collect();
    let worker = pair.host.worker.index();
    pair.cluster.open_as(worker, Principal::with(&others))
}

fn refusal(told: Vec<Told>) -> Refusal {
    match told.into_iter().next() {
        Some(Told::Reply(
            _,
            Reply::Done(Err(error))
            | Reply::Stream(Err(error))
            | Reply::Attached(Err(error))
            | Reply::Adopted(Err(error))
            | Reply::TestStreams(Err(error)),
        )) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_principal_may_not_do_is_denied() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.key = Some("secret".into());
        let stream = pair.create(properties);

        let reader = without(&mut pair, &[Right::Read]);
        let denied = refusal(pair.run(reader, Command::Connect(stream)));
        assert_eq!(denied, Refusal::Denied(Right::Read));
        let options = AttachOptions::default();
        let denied = refusal(pair.run(reader, Command::Attach(stream, options)));
        assert_eq!(denied, Refusal::Denied(Right::Read));

        let creator = without(&mut pair, &[Right::Create]);
        let create = Command::Create(Box::new(small(StallTimeout::Never)));
        assert_eq!(refusal(pair.run(creator, create)), Refusal::Denied(Right::Create));
        let create = Command::CreateTestStreams { input_bytes: 1, output_bytes: 1 };
        assert_eq!(refusal(pair.run(creator, create)), Refusal::Denied(Right::Create));
        let adopt = Command::Adopt { stream, key: "secret" };
        assert_eq!(refusal(pair.run(creator, adopt)), Refusal::Denied(Right::Create));

        let manager = without(&mut pair, &[Right::Manage]);
        let denied = refusal(pair.run(manager, Command::Dispose(stream)));
        assert_eq!(denied, Refusal::Denied(Right::Manage));
        let told = pair.run(pair.agent, Command::Dispose(stream));
        assert!(matches!(told[0], Told::Disposed(_)), "its creator may: {told:?}");
    });
}

#[test]
fn who_may_not_write_a_bus_reads_it_all_the_same() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.direction = weir::stream::Direction::Bus;
        let stream = pair.create(properties);
        let viewer = without(&mut pair, &[Right::Write]);
        let told = pair.run(viewer, Command::Connect(stream));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        let write = Command::Write { stream, data: Payload::Borrowed(b"no") };
        assert_eq!(refusal(pair.run(viewer, write)), Refusal::Denied(Right::Write));
        let denied = refusal(pair.run(viewer, Command::Eos(stream)));
        assert_eq!(denied, Refusal::Denied(Right::Write));
        pair.write(stream, "yes");
        pair.host = viewer;
        assert_eq!(pair.read(stream), ("yes".into(), 0, false));
    });
}

#[test]
fn what_may_not_be_seen_is_not_there() {
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        let blind = without(&mut pair, &Right::ALL);
        let told = pair.run(blind, Command::Subscribe("*"));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        pair.create(small(StallTimeout::Never));
        assert!(pair.cluster.told(blind).is_empty(), "it hears of no new stream");
        let told = pair.run(blind, Command::List(None));
        let [Told::Reply(_, Reply::Streams(Ok(streams)))] = &told[..] else { panic!("{told:?}") };
        assert!(streams.is_empty());
        let unknown = refusal(pair.run(blind, Command::Connect(stream)));
        assert!(matches!(&unknown, Refusal::UnknownContext(text) if text.contains("no stream")));
    });
}
