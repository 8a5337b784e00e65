//! What newcomers find, whatever those who came before hold.

use weir::id::ChannelId;
use weir::stream::{Command, Payload, Properties, StallTimeout};

use crate::accounts::{MAX, cluster, create, held, others_go_on, refusal, run};
use crate::pair::small;

#[test]
fn a_message_that_goes_on_beyond_the_limit_takes_no_room_from_others() {
    let mut cluster = cluster(1);
    let [long, other] = [cluster.open(0), cluster.open(0)];
    let engine = &mut cluster.engines[0];
    engine.set_outside_bytes(long, 0, 2 * MAX);
    assert!(!engine.has_room(long) && !engine.is_memory_spent_but_receiving());
    engine.favour(Some(long));
    engine.set_outside_bytes(long, 0, 3 * MAX);
    assert!(!engine.has_room(long), "nothing else of it finds room");
    others_go_on(&mut cluster);
    let engine = &mut cluster.engines[0];
    // Half of the limit with the part that messages under way may have on top, and without the one
    // that is left to newcomers.
    let most = (MAX + MAX / 8 - MAX / 32) / 2;
    engine.set_outside_bytes(other, 0, most);
    assert!(engine.has_room(other));
    engine.set_outside_bytes(other, 0, most + 1);
    assert!(!engine.has_room(other), "what others may hold is bounded as before");
    engine.set_outside_bytes(other, 0, 0);
    cluster.close(long);
    assert_eq!((cluster.engines[0].favoured(), held(&cluster, 0)), (None, 0));
    cluster.engines[0].check_invariants();
}

#[test]
fn writes_parked_without_room_take_none_from_others_and_stop_what_comes_behind_them() {
    let mut cluster = cluster(1);
    let hold = Properties { buffer_bytes: 4 * MAX, hold: true, ..small(StallTimeout::Never) };
    let mut agents = Vec::new();
    while !cluster.engines[0].is_full_of_messages() {
        assert!(agents.len() < 100, "nothing bounds it");
        let agent = cluster.open(0);
        let stream = create(&mut cluster, agent, &hold).expect("room for others");
        while !cluster.channels[&agent].waits {
            let data = Payload::Owned(vec![b'x'; 16 << 10].into());
            cluster.send(agent, "write", Command::Write { stream, data });
            cluster.rest();
        }
        agents.push(agent);
        cluster.engines[0].check_invariants();
        others_go_on(&mut cluster);
    }
    assert!(agents.len() > 2, "several parked without room");
    // An eighth is lent to streams, an eighth is for what is parked so, and one is over.
    assert!(held(&cluster, 0) <= MAX + MAX / 4 + (32 << 10), "{}", held(&cluster, 0));
    for agent in agents {
        cluster.close(agent);
        cluster.rest();
        cluster.engines[0].check_invariants();
    }
    assert!(!cluster.engines[0].is_full_of_messages());
}

#[test]
fn what_is_there_for_a_late_disconnect_gives_way() {
    let mut cluster = cluster(1);
    let peer = cluster.open(0);
    let mut long = small(StallTimeout::Never);
    long.stream_type = "t".repeat(20_000);
    let mut last = None;
    for _ in 0..100 {
        let stream = create(&mut cluster, peer, &long).expect("room for one at a time");
        run(&mut cluster, peer, Command::Dispose(stream));
        cluster.engines[0].check_invariants();
        last = Some(stream);
    }
    let told = run(&mut cluster, peer, Command::Disconnect(last.expect("a stream")));
    assert!(refusal(&told).is_none(), "the latest is known still: {told:?}");
    assert!(held(&cluster, 0) <= MAX / 2);
}

#[test]
fn large_accounts_leave_room_for_small_ones() {
    let mut cluster = cluster(1);
    let newcomer = cluster.open(0);
    let mut large: Vec<(ChannelId, u64)> = (0..10).map(|_| (cluster.open(0), 0)).collect();
    let engine = &mut cluster.engines[0];
    // Each takes in small steps what it may.
    for _ in 0..MAX >> 10 {
        for (peer, held) in &mut large {
            if engine.has_room(*peer) {
                *held += 1 << 10;
                engine.set_outside_bytes(*peer, *held, 0);
            }
        }
    }
    assert!(large.iter().all(|(peer, held)| *held > 64 << 10 && !engine.has_room(*peer)));
    engine.set_outside_bytes(newcomer, 17 << 10, 0);
    assert!(engine.has_room(newcomer), "{}", engine.report().held_bytes);
}
