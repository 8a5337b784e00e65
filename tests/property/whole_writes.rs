//! A write of at most `BufferSize` is stored whole or not at all, whatever ends meanwhile.

use std::time::Duration;

use weir::id::{ChannelId, StreamId};
use weir::stream::{
    AttachOptions, Command, CoreLimits, Direction, Payload, Properties, Refusal, Reply,
    StallTimeout,
};

use crate::cluster::{Cluster, Told};
use crate::pair::{Pair, STALL, both, small};

/// How a parked write may end early.
#[derive(Clone, Copy, Debug)]
enum End {
    Dispose,
    Disconnect,
    Adopt,
    Crash,
}

const ENDS: [End; 4] = [End::Dispose, End::Disconnect, End::Adopt, End::Crash];

fn keyed(direction: Direction) -> Properties {
    let key = Some("secret".into());
    Properties { direction, key, keep_for: STALL, ..small(StallTimeout::Never) }
}

/// Ends the parked writes of the agent, and gives what it was told of them.
fn end(pair: &mut Pair, stream: StreamId, how: End) -> Vec<Refusal> {
    let agent = pair.agent;
    match how {
        End::Dispose => drop(pair.cluster.send(agent, "dispose", Command::Dispose(stream))),
        End::Disconnect => drop(pair.cluster.send(agent, "leave", Command::Disconnect(stream))),
        End::Adopt => {
            let heir = pair.cluster.open(1);
            pair.run(heir, Command::Adopt { stream, key: "secret" });
        }
        End::Crash => {
            pair.cluster.close(agent);
            pair.cluster.rest();
            return Vec::new();
        }
    }
    pair.cluster.rest();
    let refused = |told| match told {
        Told::Reply(_, Reply::Done(Err(error))) => Some(error),
        _ => None,
    };
    pair.cluster.told(agent).into_iter().filter_map(refused).collect()
}

fn bytes_of(pair: &mut Pair, stream: StreamId) -> String {
    let mut bytes = String::new();
    let host = pair.host;
    loop {
        let told = pair.run(host, Command::Read { stream, size: u64::MAX });
        let read = told.into_iter().find_map(|told| match told {
            Told::Reply(_, Reply::Read { data, error: None, eos, .. }) => Some((data, eos)),
            _ => None,
        });
        let Some((data, is_over)) = read else { return bytes };
        bytes.push_str(std::str::from_utf8(&data.to_vec()).expect("text"));
        if is_over {
            return bytes;
        }
    }
}

#[test]
fn a_parked_write_that_ends_early_has_left_nothing_in_the_stream() {
    for how in ENDS {
        both(|mut pair| {
            let stream = pair.create(keyed(Direction::Out));
            pair.connect(stream);
            assert_eq!(pair.write(stream, "0123456"), Some(Ok(())));
            assert_eq!(pair.write(stream, "abcdefghij"), None, "as large as the buffer");
            assert_eq!(pair.write(stream, "k"), None, "there is space, and another's turn");
            let told = end(&mut pair, stream, how);
            let expected = match how {
                End::Dispose => vec![Refusal::EndOfFile; 2],
                End::Crash => Vec::new(),
                End::Disconnect | End::Adopt => vec![Refusal::Cancelled; 2],
            };
            assert_eq!(told, expected, "{how:?}");
            assert_eq!(bytes_of(&mut pair, stream), "0123456", "{how:?}");
        });
    }
}

#[test]
fn a_write_one_larger_than_the_buffer_goes_in_in_pieces_and_says_how_many_bytes_did() {
    for how in ENDS {
        both(|mut pair| {
            let stream = pair.create(keyed(Direction::Out));
            pair.connect(stream);
            assert_eq!(pair.write(stream, "01234"), Some(Ok(())));
            assert_eq!(pair.write(stream, "abcdefghijk"), None);
            assert_eq!(pair.write(stream, "later"), None);
            let told = end(&mut pair, stream, how);
            let (taken, size) = (5, 11);
            let expected = match how {
                End::Dispose => vec![Refusal::EndOfFileAfter { taken, size }, Refusal::EndOfFile],
                End::Crash => Vec::new(),
                _ => vec![Refusal::CancelledAfter { taken, size }, Refusal::Cancelled],
            };
            assert_eq!(told, expected, "{how:?}");
            assert_eq!(bytes_of(&mut pair, stream), "01234abcde", "{how:?}");
        });
    }
}

#[test]
fn an_end_comes_behind_what_others_have_parked() {
    both(|mut pair| {
        let stream = pair.create(keyed(Direction::Bus));
        pair.connect(stream);
        let other = pair.cluster.open(1);
        pair.run(other, Command::Connect(stream));
        let write = |pair: &mut Pair, channel: ChannelId, text: &str| {
            pair.run(channel, Command::Write { stream, data: Payload::Borrowed(text.as_bytes()) })
        };
        assert_eq!(write(&mut pair, other, "0123456").len(), 1);
        assert!(write(&mut pair, other, "abcdef").is_empty());
        let agent = pair.agent;
        assert!(write(&mut pair, agent, "ghij").is_empty());
        assert!(pair.run(agent, Command::Eos(stream)).is_empty());
        let told = write(&mut pair, other, "late");
        assert!(
            matches!(told[..], [Told::Reply(_, Reply::Done(Err(Refusal::EndOfFile)))]),
            "{told:?}"
        );
        // The other writer reads as well: it must be out of the way.
        let viewer = Some(StallTimeout::After(Duration::ZERO));
        let options = AttachOptions { stall_timeout: viewer, ..AttachOptions::default() };
        pair.run(other, Command::Attach(stream, options));
        assert_eq!(bytes_of(&mut pair, stream), "0123456abcdefghij");
        let told = pair.cluster.told(agent);
        assert!(matches!(told[..], [_, Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
    });
}

const MAX: u64 = 1 << 20;

fn tight() -> CoreLimits {
    CoreLimits { memory_bytes_max: MAX, ..CoreLimits::default() }
}

#[test]
fn a_whole_write_for_which_there_is_no_memory_borrows_at_most_an_eighth() {
    for host_worker in [0, 1] {
        for is_lent in [true, false] {
            let mut cluster = Cluster::new(7, 2, 64, &tight());
            let (agent, host) = (cluster.open(0), cluster.open(host_worker));
            let mut pair = Pair { cluster, agent, host };
            let roomy = Properties { buffer_bytes: 5 << 20, ..small(StallTimeout::Never) };
            let hoard = pair.create(Properties { hold: true, ..roomy.clone() });
            let stream = pair.create(roomy);
            pair.connect(stream);
            let held = |pair: &Pair| pair.cluster.engines[0].report().held_bytes;
            let set_aside = tight().stream_bytes_min;
            let hoarded = MAX - MAX / 8 - held(&pair) + set_aside;
            assert_eq!(pair.write(hoard, &"h".repeat(hoarded as usize)), Some(Ok(())));
            let before = held(&pair);
            assert_eq!(before, MAX - MAX / 8);
            // Streams alone may hold the limit and an eighth.
            let most = MAX + MAX / 8 - hoarded;
            let size = most + u64::from(!is_lent);
            let text = "x".repeat(size as usize);
            let told = pair.write(stream, &text);
            assert_eq!(told, is_lent.then_some(Ok(())), "{size}");
            if is_lent {
                assert_eq!(held(&pair), before + size - set_aside);
                assert_eq!(pair.write(stream, &text), None, "one at a time");
                let mut got = String::new();
                while got.len() < 2 * text.len() {
                    got.push_str(&pair.read(stream).0);
                }
                assert_eq!(pair.answers(), 1);
                pair.cluster.rest();
                assert_eq!(held(&pair), before, "given back");
            } else {
                // It waits whole, and goes in when memory comes free.
                pair.cluster.told(agent);
                pair.run(host, Command::Connect(hoard));
                while pair.cluster.engines[0].report().streams[0].parked_writes
                    + pair.cluster.engines[0].report().streams[1].parked_writes
                    > 0
                {
                    pair.read(hoard);
                }
                assert!(text.starts_with(&pair.read(stream).0));
            }
        }
    }
}

#[test]
fn a_whole_write_for_which_there_can_be_no_memory_is_refused() {
    for host_worker in [0, 1] {
        let mut cluster = Cluster::new(7, 2, 64, &tight());
        let (agent, host) = (cluster.open(0), cluster.open(host_worker));
        let mut pair = Pair { cluster, agent, host };
        let bus = Properties {
            buffer_bytes: 5 << 20,
            direction: Direction::Bus,
            ..small(StallTimeout::Never)
        };
        let stream = pair.create(bus);
        pair.connect(stream);
        let (most, past) = ((MAX + MAX / 8) as usize, (MAX + MAX / 8) as usize + 1);
        pair.agent = pair.host;
        let told = pair.write(stream, &"x".repeat(past));
        assert!(matches!(told, Some(Err(Refusal::Limit(_)))), "{told:?}");
        assert_eq!(pair.cluster.engines[0].report().streams[0].end.0, 0);
        pair.agent = agent;
        assert!(matches!(pair.write(stream, &"x".repeat(past)), Some(Err(Refusal::Limit(_)))));
        assert_eq!(pair.write(stream, &"x".repeat(most)), Some(Ok(())), "at the bound");
    }
}
