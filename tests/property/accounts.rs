//! What one peer makes the broker hold: at its bound and one past it, and what others can do then.

use std::time::Duration;

use weir::id::{ChannelId, StreamId, Token};
use weir::stream::{Command, CoreLimits, Payload, Properties, Refusal, Reply, StallTimeout};

use crate::cluster::{Cluster, Told};
use crate::pair::small;

pub const MAX: u64 = 1 << 20;

fn limits() -> CoreLimits {
    CoreLimits { memory_bytes_max: MAX, ..CoreLimits::default() }
}

/// A cluster in which only accounts bound what a peer may do.
pub fn cluster(workers: u16) -> Cluster {
    Cluster::new(7, workers, 64, &limits())
}

pub fn run(cluster: &mut Cluster, channel: ChannelId, command: Command<'_>) -> Vec<Told> {
    cluster.send(channel, "command", command);
    cluster.rest();
    cluster.told(channel)
}

pub fn refusal(told: &[Told]) -> Option<&Refusal> {
    told.iter().find_map(|told| match told {
        Told::Reply(
            _,
            Reply::Done(Err(error))
            | Reply::Stream(Err(error))
            | Reply::Attached(Err(error))
            | Reply::Streams(Err(error))
            | Reply::Read { error: Some(error), .. },
        ) => Some(error),
        _ => None,
    })
}

pub fn create(
    cluster: &mut Cluster,
    channel: ChannelId,
    properties: &Properties,
) -> Option<StreamId> {
    let told = run(cluster, channel, Command::Create(Box::new(properties.clone())));
    told.into_iter().find_map(|told| match told {
        Told::Reply(_, Reply::Stream(Ok(stream))) => Some(stream),
        _ => None,
    })
}

pub fn held(cluster: &Cluster, worker: usize) -> u64 {
    cluster.engines[worker].report().held_bytes
}

/// Does something again and again until it is refused for memory, and says how often it was not.
fn until_refused(
    cluster: &mut Cluster,
    channel: ChannelId,
    mut command: impl FnMut(usize) -> Command<'static>,
) -> usize {
    for count in 0..100_000 {
        let told = run(cluster, channel, command(count));
        if let Some(error) = refusal(&told) {
            let Refusal::Limit(text) = error else { panic!("{error}") };
            assert!(text.contains("makes the broker hold"), "{text}");
            return count;
        }
    }
    panic!("nothing bounds it");
}

/// Whoever comes now can create a stream and write to it, on every worker.
pub fn others_go_on(cluster: &mut Cluster) {
    for worker in 0..cluster.engines.len() {
        let late = cluster.open(worker);
        let stream = create(cluster, late, &small(StallTimeout::Never)).expect("room for others");
        let write = Command::Write { stream, data: Payload::Borrowed(b"0123456789") };
        let told = run(cluster, late, write);
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
        cluster.close(late);
        cluster.rest();
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[test]
fn subscriptions_are_charged_with_their_names_to_half_of_what_is_free() {
    for workers in [1, 2] {
        let mut cluster = cluster(workers);
        let peer = cluster.open(0);
        let name = |count| leak(format!("{count}{}", "n".repeat(20_000)));
        let count = until_refused(&mut cluster, peer, |count| Command::Subscribe(name(count)));
        assert!((20..=MAX as usize / 2 / 20_000).contains(&count), "{count}");
        assert!(held(&cluster, 0) <= MAX / 2);
        others_go_on(&mut cluster);
        // What is given back can be had again.
        let told = run(&mut cluster, peer, Command::Unsubscribe(name(0)));
        assert!(refusal(&told).is_none(), "{told:?}");
        let again = |count| Command::Subscribe(name(count + 1_000));
        assert_eq!(until_refused(&mut cluster, peer, again), 1);
    }
}

#[test]
fn streams_are_charged_with_their_names_to_their_creator() {
    let mut cluster = cluster(1);
    let peer = cluster.open(0);
    let mut long = small(StallTimeout::Never);
    long.stream_type = "t".repeat(10_000);
    long.key = Some("k".repeat(10_000));
    let make = |_| Command::Create(Box::new(long.clone()));
    let count = until_refused(&mut cluster, peer, make);
    assert!((15..=MAX as usize / 2 / 20_000).contains(&count), "{count}");
    others_go_on(&mut cluster);
    let streams = cluster.engines[0].report().streams;
    run(&mut cluster, peer, Command::Dispose(streams[0].id));
    // A peer that disposes keeps a name for a late `disconnect`, as long as there is room.
    run(&mut cluster, peer, Command::Disconnect(streams[0].id));
    assert!(create(&mut cluster, peer, &long).is_some());
}

#[test]
fn attachments_and_lists_are_charged_to_who_asks_for_them() {
    for host_worker in [0, 1] {
        let mut cluster = cluster(2);
        // Many agents, so that no account but the host's is large.
        let mut streams = Vec::new();
        for _ in 0..20 {
            let agent = cluster.open(0);
            let properties = Properties { buffer_bytes: 10, ..small(StallTimeout::Never) };
            for _ in 0..5 {
                streams.extend(create(&mut cluster, agent, &properties));
            }
        }
        let host = cluster.open(host_worker);
        let before = held(&cluster, host_worker);
        let told = run(&mut cluster, host, Command::Subscribe("*"));
        let created = told.iter().filter(|told| matches!(told, Told::Created(_))).count();
        if refusal(&told).is_none() {
            assert_eq!(created, streams.len(), "it hears of all");
        }
        let grown = held(&cluster, host_worker) - before;
        assert!(grown <= MAX - held(&cluster, host_worker), "{grown}");
        others_go_on(&mut cluster);

        let other = cluster.open(host_worker);
        let told = run(&mut cluster, other, Command::List(None));
        match refusal(&told) {
            None => assert!(matches!(&told[..], [Told::Reply(_, Reply::Streams(Ok(_)))])),
            Some(error) => assert!(matches!(error, Refusal::Limit(_)), "{error}"),
        }
        let before = held(&cluster, host_worker);
        cluster.close(other);
        cluster.rest();
        assert_eq!(held(&cluster, host_worker), before, "a list is charged while it is made");
        cluster.close(host);
        cluster.rest();
        others_go_on(&mut cluster);
    }
}

#[test]
fn a_list_that_does_not_fit_is_refused_and_one_that_does_is_whole() {
    for (workers, agents, fits) in [(1, 2, true), (1, 8, false), (2, 2, true), (2, 11, false)] {
        let mut cluster = cluster(workers);
        for _ in 0..agents {
            let agent = cluster.open(usize::from(workers) - 1);
            let mut long = small(StallTimeout::Never);
            long.stream_type = "t".repeat(12_000);
            for _ in 0..4 {
                assert!(create(&mut cluster, agent, &long).is_some());
            }
        }
        let host = cluster.open(0);
        let told = run(&mut cluster, host, Command::List(None));
        match &told[..] {
            [Told::Reply(_, Reply::Streams(Ok(streams)))] if fits => {
                assert_eq!(streams.len(), 4 * agents)
            }
            [Told::Reply(_, Reply::Streams(Err(Refusal::Limit(_))))] if !fits => {}
            other => panic!("{other:?}"),
        }
        let told = run(&mut cluster, host, Command::List(Some("none of that type")));
        assert!(
            matches!(&told[..], [Told::Reply(_, Reply::Streams(Ok(streams)))] if streams.is_empty())
        );
    }
}

#[test]
fn parked_reads_are_charged_with_long_tokens_and_the_first_few_never_refused() {
    let mut cluster = cluster(1);
    let (agent, host) = (cluster.open(0), cluster.open(0));
    let stream = create(&mut cluster, agent, &small(StallTimeout::Never)).expect("room");
    run(&mut cluster, host, Command::Connect(stream));
    let token = Token::new(&[b'7'; 1000]);
    let mut count = 0;
    let refused = loop {
        let read = Command::Read { stream, size: 1 };
        let _ = cluster.engines[0].execute(cluster.now, host, &token, read);
        cluster.engines[0].settle(cluster.now);
        match cluster.engines[0].poll_effect() {
            None => count += 1,
            Some(effect) => break format!("{effect:?}"),
        }
    };
    assert!(refused.contains("makes the broker hold"), "{refused}");
    assert!((300..=MAX / 2 / 1000).contains(&count), "{count}");
    cluster.engines[0].check_invariants();
    others_go_on(&mut cluster);
    // Another peer's few reads find room whatever this one holds.
    let reader = cluster.open(0);
    run(&mut cluster, reader, Command::Connect(stream));
    for _ in 0..16 {
        let told = run(&mut cluster, reader, Command::Read { stream, size: 1 });
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn parked_writes_are_charged_with_what_they_truly_cost() {
    for host_worker in [0, 1] {
        let mut cluster = cluster(2);
        let agent = cluster.open(0);
        let mut bus = small(StallTimeout::Never);
        bus.direction = weir::stream::Direction::Bus;
        let stream = create(&mut cluster, agent, &bus).expect("room");
        let peer = cluster.open(host_worker);
        run(&mut cluster, peer, Command::Connect(stream));
        let write = |_| Command::Write { stream, data: Payload::Borrowed(b"1") };
        let count = until_refused(&mut cluster, peer, write);
        // A byte costs what its entry does.
        assert!((1_000..8_000).contains(&count), "{count}");
        others_go_on(&mut cluster);
    }
}

#[test]
fn many_peers_that_hold_all_they_may_leave_room_for_one_more() {
    let mut cluster = cluster(1);
    for _ in 0..20 {
        let peer = cluster.open(0);
        let name = |count: usize| leak(format!("{count}{}", "n".repeat(5_000)));
        until_refused(&mut cluster, peer, |count| Command::Subscribe(name(count)));
    }
    // Each took half of what was free, and 16 KiB may be had always.
    let most = MAX + 20 * (16 << 10);
    assert!((MAX / 8 * 7..most).contains(&held(&cluster, 0)), "{}", held(&cluster, 0));
    others_go_on(&mut cluster);
}

#[test]
fn everything_is_released_when_a_party_closes() {
    let mut cluster = cluster(2);
    let mut channels = Vec::new();
    for worker in [0, 1, 0] {
        let channel = cluster.open(worker);
        run(&mut cluster, channel, Command::Subscribe("*"));
        let stream = create(&mut cluster, channel, &small(StallTimeout::default())).expect("room");
        run(
            &mut cluster,
            channel,
            Command::Write { stream, data: Payload::Borrowed(b"all of it") },
        );
        channels.push(channel);
    }
    for &channel in &channels {
        cluster.engines[channel.worker.index()].set_outside_bytes(channel, 5_000, 900);
        cluster.engines[channel.worker.index()].check_invariants();
    }
    for channel in channels {
        cluster.close(channel);
        cluster.rest();
    }
    assert_eq!((held(&cluster, 0), held(&cluster, 1)), (0, 0));
}

#[test]
fn a_long_subscription_is_told_in_pieces_oldest_first_while_its_peer_takes_them_in() {
    for workers in [1, 2] {
        let limits = CoreLimits { attachments_per_channel_max: 900, ..CoreLimits::default() };
        let mut cluster = Cluster::new(7, workers, 64, &limits);
        let agents: Vec<_> = (0..usize::from(workers)).map(|worker| cluster.open(worker)).collect();
        let mut streams = Vec::new();
        for round in 0..900 {
            let agent = agents[round % agents.len()];
            cluster.now = cluster.now.plus(Duration::from_nanos(1));
            let properties = small(StallTimeout::default());
            let made = Command::Create(Box::new(properties));
            cluster.send(agent, "create", made);
            match cluster.told(agent).pop() {
                Some(Told::Reply(_, Reply::Stream(Ok(stream)))) => streams.push(stream),
                other => panic!("{other:?}"),
            }
        }
        let host = cluster.open(0);
        cluster.send(host, "subscribe", Command::Subscribe("*"));
        assert!(cluster.told(host).is_empty(), "that is more than one piece");
        let mut told: Vec<Told> = Vec::new();
        let mut most = 0;
        for turn in 0..200 {
            for worker in 0..cluster.engines.len() {
                cluster.turn(worker, usize::MAX);
            }
            let news = cluster.told(host);
            most = most.max(news.len());
            told.extend(news);
            if turn == 1 {
                cluster.engines[0].pause_reads(host);
            } else if turn > 1 && turn < 100 {
                assert!(told.len() < 901, "nothing more while it takes nothing in");
            } else if turn == 100 {
                cluster.engines[0].resume_reads(host);
            }
        }
        // The reply, a piece as the telling begins, and one as the turn goes on.
        assert!((1..=1 + 2 * 256).contains(&most), "{most} in one turn");
        assert!(matches!(told[0], Told::Reply(_, Reply::Done(Ok(())))));
        let told: Vec<StreamId> = told
            .iter()
            .filter_map(|told| match told {
                Told::Created(stream) => Some(*stream),
                _ => None,
            })
            .collect();
        assert_eq!(told, streams);
    }
}

#[test]
fn a_channel_whose_subscription_is_not_told_yet_can_end() {
    let mut cluster = Cluster::new(7, 1, 64, &CoreLimits::default());
    let (agent, host) = (cluster.open(0), cluster.open(0));
    for _ in 0..600 {
        create(&mut cluster, agent, &small(StallTimeout::default())).expect("room");
    }
    cluster.engines[0].pause_reads(host);
    cluster.send(host, "subscribe", Command::Subscribe("*"));
    cluster.rest();
    assert!(cluster.channels[&host].waits);
    cluster.finish(host);
    cluster.rest();
    assert!(cluster.channels[&host].is_finished);
    cluster.close(host);
    cluster.rest();
}

#[test]
fn streams_that_nobody_owns_and_nobody_reads_give_way_oldest_first() {
    let limits = CoreLimits { streams_max: 3, ..CoreLimits::default() };
    let mut cluster = Cluster::new(7, 1, 64, &limits);
    let kept = Properties {
        key: Some("k".into()),
        keep_for: Duration::from_secs(100),
        ..small(StallTimeout::Never)
    };
    let lingering = Properties { linger: Duration::from_secs(100), ..small(StallTimeout::Never) };
    let (host, mut made) = (cluster.open(0), Vec::new());
    for properties in [&kept, &lingering, &kept] {
        let agent = cluster.open(0);
        made.extend(create(&mut cluster, agent, properties));
        if made.len() == 2 {
            run(&mut cluster, host, Command::Connect(made[1]));
        }
        cluster.close(agent);
        cluster.rest();
    }
    let there = |cluster: &Cluster| -> Vec<StreamId> {
        cluster.engines[0].report().streams.iter().map(|stream| stream.id).collect()
    };
    assert_eq!(there(&cluster), made);
    let agent = cluster.open(0);
    let new = create(&mut cluster, agent, &kept).expect("the oldest goes");
    assert_eq!(there(&cluster), [made[1], made[2], new]);
    let newer = create(&mut cluster, agent, &kept).expect("one that is read stays");
    assert_eq!(there(&cluster), [made[1], new, newer]);
    assert_eq!(create(&mut cluster, agent, &kept), None, "nothing may go");
}

#[test]
fn streams_that_nobody_owns_hold_a_quarter_of_the_memory_at_most() {
    let mut cluster = cluster(1);
    for _ in 0..200 {
        let agent = cluster.open(0);
        let kept = Properties {
            stream_type: "t".repeat(5_000),
            key: Some("k".into()),
            keep_for: Duration::from_secs(100),
            ..small(StallTimeout::Never)
        };
        create(&mut cluster, agent, &kept).expect("what waits for its creator blocks nobody");
        cluster.close(agent);
        cluster.rest();
    }
    let count = cluster.engines[0].report().streams.len();
    assert!((20..60).contains(&count), "{count}");
}

#[test]
fn keep_for_and_linger_have_a_bound() {
    let mut cluster = cluster(1);
    let agent = cluster.open(0);
    let hour = limits().keep_for_max;
    let past = hour + Duration::from_millis(1);
    for (keep_for, linger, is_allowed) in
        [(hour, hour, true), (past, hour, false), (hour, past, false)]
    {
        let properties =
            Properties { key: Some("k".into()), keep_for, linger, ..small(StallTimeout::Never) };
        let told = run(&mut cluster, agent, Command::Create(Box::new(properties)));
        match refusal(&told) {
            None => assert!(is_allowed),
            Some(Refusal::InvalidValue(text)) => assert!(!is_allowed, "{text}"),
            Some(other) => panic!("{other}"),
        }
    }
}

#[test]
fn what_viewers_do_not_take_in_counts_once_and_holds_up_nobody() {
    let mut cluster = cluster(1);
    let agent = cluster.open(0);
    let mut properties = small(StallTimeout::After(Duration::ZERO));
    properties.buffer_bytes = 64 << 10;
    let stream = create(&mut cluster, agent, &properties).expect("room");
    let viewers: Vec<ChannelId> = (0..100).map(|_| cluster.open(0)).collect();
    for &viewer in &viewers {
        run(&mut cluster, viewer, Command::Connect(stream));
    }
    let unsent = |cluster: &Cluster, viewer: ChannelId| -> u64 {
        let told = cluster.channels[&viewer].told.iter();
        told.map(|told| match told {
            Told::Reply(_, Reply::Read { data, .. }) => data.len() as u64,
            _ => 0,
        })
        .sum()
    };
    let block = vec![b'x'; 16 << 10];
    for round in 0..200 {
        // What they are told is kept, as in the output of a peer that takes nothing in.
        for &viewer in &viewers {
            if unsent(&cluster, viewer) <= cluster.engines[0].unsent_max() {
                cluster.send(viewer, "read", Command::Read { stream, size: u64::MAX });
            }
        }
        let data = Payload::Owned(block.clone().into());
        let told = {
            cluster.send(agent, "write", Command::Write { stream, data });
            cluster.rest();
            cluster.told(agent)
        };
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{round}: {told:?}");
        assert!(held(&cluster, 0) <= MAX, "{round}: {}", held(&cluster, 0));
    }
    others_go_on(&mut cluster);
    viewers.iter().for_each(|viewer| drop(cluster.told(*viewer)));
    cluster.now = cluster.now.plus(Duration::from_secs(2));
    cluster.rest();
    assert!(held(&cluster, 0) < MAX / 2, "{}", held(&cluster, 0));
}
