//! Streams that are over: what stays of them, for whom, and for how long.

use std::time::Duration;

use weir::id::StreamId;
use weir::stream::{Command, Payload, Properties, Reply, StallTimeout};

use crate::cluster::Told;
use crate::pair::{Pair, STALL, both, small};

/// The bytes of a file that `weir pub --hold --linger` sends, some more than half a buffer.
const FILE_BYTES: usize = 588_895;

fn held(linger: Duration) -> Properties {
    Properties { hold: true, linger, ..Properties::new("log") }
}

fn streams(pair: &Pair) -> usize {
    pair.cluster.engines[0].report().streams.len()
}

#[test]
fn hold_keeps_everything_through_eos_and_dispose_until_the_first_reader() {
    both(|mut pair| {
        let stream = pair.create(held(Duration::from_secs(60)));
        let bytes: String = (0..FILE_BYTES).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
        for chunk in bytes.as_bytes().chunks(64 << 10) {
            let told =
                pair.run(pair.agent, Command::Write { stream, data: Payload::Borrowed(chunk) });
            assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        }
        pair.run(pair.agent, Command::Eos(stream));
        pair.run(pair.agent, Command::Dispose(stream));
        pair.cluster.close(pair.agent);
        pair.wait(Duration::from_secs(59));
        let report = &pair.cluster.engines[0].report().streams[0];
        assert_eq!((report.start.0, report.end.0), (0, FILE_BYTES as u64));
        pair.connect(stream);
        let mut got = String::new();
        loop {
            let (text, lost, eos) = pair.read(stream);
            assert_eq!(lost, 0);
            got.push_str(&text);
            if eos {
                break;
            }
        }
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    });
}

#[test]
fn hold_ends_with_linger_where_nobody_comes() {
    both(|mut pair| {
        let stream = pair.create(held(STALL));
        pair.write(stream, "hello");
        pair.run(pair.agent, Command::Dispose(stream));
        pair.wait(STALL - Duration::from_millis(1));
        assert_eq!(streams(&pair), 1);
        pair.wait(Duration::from_millis(1));
        assert_eq!(streams(&pair), 0);
        let stream = pair.create(held(Duration::ZERO));
        pair.write(stream, "hello");
        pair.run(pair.agent, Command::Dispose(stream));
        assert_eq!(streams(&pair), 0, "without Linger it goes at once");
    });
}

/// A stream with ten bytes of which the host has read four.
fn half_read(pair: &mut Pair, properties: Properties) -> StreamId {
    let stream = pair.create(properties);
    pair.connect(stream);
    pair.write(stream, "0123456789");
    let told = pair.run(pair.host, Command::Read { stream, size: 4 });
    assert_eq!(told.len(), 1);
    stream
}

#[test]
fn a_reader_that_takes_nothing_of_a_disposed_stream_is_let_go_and_told_its_loss() {
    both(|mut pair| {
        let stream = half_read(&mut pair, small(StallTimeout::After(STALL)));
        pair.wait(10 * STALL);
        pair.run(pair.agent, Command::Dispose(stream));
        pair.wait(STALL - Duration::from_millis(1));
        assert!(pair.cluster.told(pair.host).is_empty(), "its time begins with the end");
        assert_eq!(streams(&pair), 1);
        pair.wait(Duration::from_millis(1));
        pair.cluster.rest();
        let told = pair.cluster.told(pair.host);
        assert!(matches!(told[..], [Told::Disposed(id)] if id == stream), "{told:?}");
        assert_eq!(streams(&pair), 0);
        let report = pair.cluster.engines[pair.host.worker.index()].report();
        assert_eq!((report.totals.delivered_bytes, report.totals.lost_bytes), (4, 6));
        assert_eq!(pair.read(stream), (String::new(), 6, true));
        assert_eq!(pair.read(stream), (String::new(), 0, true), "told once");
        let told = pair.run(pair.host, Command::Disconnect(stream));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
    });
}

#[test]
fn a_reader_that_goes_on_reading_a_disposed_stream_is_not_let_go() {
    both(|mut pair| {
        let stream = half_read(&mut pair, small(StallTimeout::After(STALL)));
        pair.run(pair.agent, Command::Dispose(stream));
        for _ in 0..5 {
            pair.wait(STALL - Duration::from_millis(1));
            let told = pair.run(pair.host, Command::Read { stream, size: 1 });
            let [Told::Reply(_, Reply::Read { eos: false, .. })] = &told[..] else {
                panic!("{told:?}")
            };
        }
        assert_eq!(pair.read(stream), ("9".into(), 0, true));
    });
}

#[test]
fn reads_of_a_peer_that_takes_no_replies_are_answered_when_it_is_let_go() {
    both(|mut pair| {
        let stream = half_read(&mut pair, small(StallTimeout::After(STALL)));
        pair.cluster.engines[pair.host.worker.index()].pause_reads(pair.host);
        for _ in 0..2 {
            assert!(pair.run(pair.host, Command::Read { stream, size: 99 }).is_empty());
        }
        pair.run(pair.agent, Command::Dispose(stream));
        pair.wait(STALL);
        pair.cluster.rest();
        let told = pair.cluster.told(pair.host);
        let [
            Told::Reply(_, Reply::Read { lost: 6, eos: true, .. }),
            Told::Reply(_, Reply::Read { lost: 0, eos: true, .. }),
            Told::Disposed(_),
        ] = &told[..]
        else {
            panic!("{told:?}")
        };
    });
}

#[test]
fn a_viewer_has_some_seconds_and_a_lossless_reader_as_long_as_its_channel_lives() {
    both(|mut pair| {
        let stream = half_read(&mut pair, small(StallTimeout::After(Duration::ZERO)));
        pair.run(pair.agent, Command::Dispose(stream));
        pair.wait(Duration::from_secs(4));
        assert_eq!(pair.read(stream), ("456789".into(), 0, true));

        let stream = half_read(&mut pair, small(StallTimeout::Never));
        pair.run(pair.agent, Command::Dispose(stream));
        pair.wait(Duration::from_secs(1_000_000));
        assert_eq!(streams(&pair), 1);
        pair.cluster.close(pair.host);
        pair.cluster.rest();
        assert_eq!(streams(&pair), 0);
    });
}

#[test]
fn nobody_is_let_go_while_the_stream_lingers() {
    both(|mut pair| {
        let properties = Properties { linger: 10 * STALL, ..small(StallTimeout::After(STALL)) };
        let stream = half_read(&mut pair, properties);
        pair.run(pair.agent, Command::Dispose(stream));
        pair.wait(10 * STALL);
        assert_eq!(streams(&pair), 1);
        pair.wait(STALL);
        pair.cluster.rest();
        assert_eq!(streams(&pair), 0);
        assert_eq!(pair.read(stream), (String::new(), 6, true));
    });
}

#[test]
fn a_subscriber_that_never_reads_keeps_no_stream_that_is_over() {
    both(|mut pair| {
        pair.run(pair.host, Command::Subscribe("*"));
        for _ in 0..20 {
            let stream = pair.create(small(StallTimeout::After(STALL)));
            pair.write(stream, "hello");
            pair.run(pair.agent, Command::Dispose(stream));
        }
        assert_eq!(streams(&pair), 20);
        pair.wait(STALL);
        pair.cluster.rest();
        assert_eq!(streams(&pair), 0);
        let told = pair.cluster.told(pair.host);
        let disposed = told.iter().filter(|told| matches!(told, Told::Disposed(_))).count();
        assert_eq!(disposed, 20);
    });
}
