//! A creator that breaks off and comes back with its key.

use weir::id::Offset;
use weir::stream::{Command, Payload, Refusal, Reply, StallTimeout};

use crate::cluster::Told;
use crate::pair::{STALL, both, small};

#[test]
fn a_keyed_stream_waits_for_its_creator_and_goes_on_where_it_stopped() {
    for new_worker in [0, 1] {
        both(|mut pair| {
            let mut properties = small(StallTimeout::Never);
            properties.key = Some("secret".into());
            properties.keep_for = STALL;
            let stream = pair.create(properties);
            pair.connect(stream);
            pair.write(stream, "01234567");
            assert_eq!(pair.write(stream, "89"), Some(Ok(())));
            assert_eq!(pair.write(stream, "ab"), None);
            pair.cluster.close(pair.agent);
            pair.wait(STALL / 2);
            pair.agent = pair.cluster.open(new_worker);
            let told = pair.run(pair.agent, Command::Adopt { stream, key: "guess" });
            let [Told::Reply(_, Reply::Adopted(Err(Refusal::WrongKey(_))))] = told[..] else {
                panic!("{told:?}")
            };
            let told = pair.run(pair.agent, Command::Adopt { stream, key: "secret" });
            let [Told::Reply(_, Reply::Adopted(Ok(Offset(10))))] = told[..] else {
                panic!("{told:?}")
            };
            pair.wait(10 * STALL);
            assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
            assert_eq!(pair.write(stream, "ab"), Some(Ok(())));
            assert_eq!(pair.read(stream), ("ab".into(), 0, false));
            pair.cluster.close(pair.agent);
            pair.cluster.rest();
            pair.wait(STALL);
            assert_eq!(pair.read(stream), (String::new(), 0, true), "nobody came back in time");
        });
    }
}

#[test]
fn an_end_behind_writes_that_never_got_in_is_not_the_end() {
    for breaks_first in [true, false] {
        both(|mut pair| {
            let mut properties = small(StallTimeout::Never);
            properties.key = Some("secret".into());
            properties.keep_for = STALL;
            let stream = pair.create(properties);
            pair.connect(stream);
            pair.write(stream, "0123456789");
            assert_eq!(pair.write(stream, "ab"), None);
            assert!(pair.run(pair.agent, Command::Eos(stream)).is_empty());
            let old = pair.agent;
            if breaks_first {
                pair.cluster.close(old);
                pair.wait(STALL / 2);
            }
            pair.agent = pair.cluster.open(1);
            let told = pair.run(pair.agent, Command::Adopt { stream, key: "secret" });
            let [Told::Reply(_, Reply::Adopted(Ok(Offset(10))))] = told[..] else {
                panic!("{told:?}")
            };
            if !breaks_first {
                pair.cluster.close(old);
            }
            assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
            assert_eq!(pair.write(stream, "ab"), Some(Ok(())));
            pair.run(pair.agent, Command::Eos(stream));
            assert_eq!(pair.read(stream), ("ab".into(), 0, true));
            let reports = pair.cluster.engines.iter().flat_map(|engine| engine.report().streams);
            assert!(reports.into_iter().all(|report| !report.cut_off));
        });
    }
    both(|mut pair| {
        let stream = pair.create(small(StallTimeout::Never));
        pair.connect(stream);
        pair.write(stream, "0123456789");
        assert_eq!(pair.write(stream, "ab"), None);
        assert!(pair.run(pair.agent, Command::Eos(stream)).is_empty());
        pair.cluster.close(pair.agent);
        pair.cluster.rest();
        let report = pair.cluster.engines[0].report();
        assert!(report.streams[0].cut_off, "bytes are missing, and it says so");
    });
}

#[test]
fn a_new_creator_takes_over_from_the_old_one() {
    both(|mut pair| {
        let mut properties = small(StallTimeout::Never);
        properties.key = Some("secret".into());
        let stream = pair.create(properties);
        pair.connect(stream);
        pair.write(stream, "0123456789");
        assert_eq!(pair.write(stream, "old"), None);
        let old = pair.agent;
        pair.agent = pair.cluster.open(1);
        pair.run(pair.agent, Command::Adopt { stream, key: "secret" });
        let told = pair.cluster.told(old);
        let [Told::Reply(_, Reply::Done(Err(Refusal::Cancelled)))] = told[..] else {
            panic!("{told:?}")
        };
        let data = Payload::Borrowed(b"late");
        let told = pair.run(old, Command::Write { stream, data });
        let [Told::Reply(_, Reply::Done(Err(Refusal::WrongDirection(_))))] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(pair.write(stream, "new"), None);
        pair.cluster.close(old);
        assert_eq!(pair.read(stream), ("0123456789".into(), 0, false));
        assert_eq!(pair.read(stream), ("new".into(), 0, false));
    });
}
