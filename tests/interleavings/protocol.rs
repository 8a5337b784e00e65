//! Threads that send, receive and sleep as workers do.

use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::thread;

use crate::worker::{Doorbell, Inbox, Outbox, Refused, Wake, mailbox};

/// Schedules tried by each test.
const SCHEDULES: usize = 3000;

/// What a poller is to a worker: it sleeps until it is woken, also where that came first.
#[derive(Clone, Default)]
struct Poller(Arc<(Mutex<bool>, Condvar)>);

impl Poller {
    fn poll(&self) {
        let (is_woken, changed) = &*self.0;
        let mut is_woken = is_woken.lock().expect("nobody panics");
        while !*is_woken {
            is_woken = changed.wait(is_woken).expect("nobody panics");
        }
        *is_woken = false;
    }
}

impl Wake for Poller {
    fn wake(&self) {
        let (is_woken, changed) = &*self.0;
        *is_woken.lock().expect("nobody panics") = true;
        changed.notify_one();
    }
}

/// A thread's bell and how it sleeps.
#[derive(Clone)]
struct Sleeper {
    bell: Arc<Doorbell>,
    poller: Poller,
}

impl Sleeper {
    fn new() -> Sleeper {
        let poller = Poller::default();
        Sleeper { bell: Arc::new(Doorbell::new(poller.clone())), poller }
    }
}

/// A worker with `count` messages for its neighbour, and `expected` to come.
struct Party {
    sleeper: Sleeper,
    outbox: Outbox<u32>,
    inbox: Inbox<u32>,
    count: u32,
    expected: usize,
    /// Asks for room first, as a worker does that gathers what it sends; otherwise it tries.
    asks_for_room: bool,
    /// Whether senders that wait are told of room.
    releases: bool,
}

impl Party {
    /// Turns, as those of the event loop, until everything is sent and has come.
    fn run(mut self) -> Vec<u32> {
        let mut taken = Vec::new();
        let mut next = 0;
        loop {
            self.sleeper.bell.begin_turn();
            while let Some(number) = self.inbox.try_receive() {
                taken.push(number);
            }
            if self.releases {
                self.inbox.release();
            }
            while next < self.count {
                if self.asks_for_room && !self.outbox.has_room() {
                    break;
                }
                match self.outbox.try_send(next) {
                    Ok(()) => next += 1,
                    Err(Refused::Full(_)) => break,
                    Err(Refused::Closed(_)) => unreachable!("the queue under test is never closed"),
                }
            }
            self.outbox.ring();
            if next == self.count && taken.len() == self.expected {
                return taken;
            }
            if self.sleeper.bell.may_rest() {
                self.sleeper.poller.poll();
            }
        }
    }
}

/// Two workers who fill each other's mailbox of one.
fn two(count: u32, asks_for_room: bool, releases: bool) {
    let sleepers = [Sleeper::new(), Sleeper::new()];
    let (mut to_first, first) = mailbox(1, &sleepers[0].bell, &[sleepers[1].bell.clone()]);
    let (mut to_second, second) = mailbox(1, &sleepers[1].bell, &[sleepers[0].bell.clone()]);
    let outboxes = [to_second.remove(0), to_first.remove(0)];
    let parts = sleepers.into_iter().zip(outboxes).zip([first, second]);
    let threads: Vec<_> = parts
        .map(|((sleeper, outbox), inbox)| {
            let expected = count as usize;
            let party = Party { sleeper, outbox, inbox, count, expected, asks_for_room, releases };
            thread::spawn(move || party.run())
        })
        .collect();
    for thread in threads {
        let taken = thread.join().expect("no panic");
        assert!(taken.into_iter().eq(0..count), "lost, doubled or out of order");
    }
}

/// Several senders at one mailbox of one. Each has a mailbox of its own, which stays empty.
fn many(senders: usize, count: u32) {
    let sleepers: Vec<Sleeper> = (0..=senders).map(|_| Sleeper::new()).collect();
    let bells: Vec<_> = sleepers[1..].iter().map(|sleeper| sleeper.bell.clone()).collect();
    let (outboxes, mut inbox) = mailbox(1, &sleepers[0].bell, &bells);
    let threads: Vec<_> = outboxes
        .into_iter()
        .zip(sleepers[1..].iter().cloned())
        .map(|(outbox, sleeper)| {
            let (_, inbox) = mailbox(1, &sleeper.bell, &[]);
            let party = Party {
                sleeper,
                outbox,
                inbox,
                count,
                expected: 0,
                asks_for_room: false,
                releases: true,
            };
            thread::spawn(move || party.run())
        })
        .collect();
    let mut taken = 0;
    while taken < senders * count as usize {
        sleepers[0].bell.begin_turn();
        while inbox.try_receive().is_some() {
            taken += 1;
        }
        inbox.release();
        if sleepers[0].bell.may_rest() && taken < senders * count as usize {
            sleepers[0].poller.poll();
        }
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
}

#[test]
fn two_full_mailboxes_neither_lose_nor_stop() {
    for asks_for_room in [false, true] {
        shuttle::check_random(move || two(3, asks_for_room, true), SCHEDULES);
        shuttle::check_pct(move || two(3, asks_for_room, true), SCHEDULES, 3);
    }
}

#[test]
fn no_sender_is_left_waiting_though_there_is_room() {
    shuttle::check_random(|| many(3, 2), SCHEDULES);
    shuttle::check_pct(|| many(3, 2), SCHEDULES, 3);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_receiver_that_does_not_tell_of_room_is_noticed() {
    shuttle::check_random(|| two(3, false, false), SCHEDULES);
}

/// A thread that rings before it has left anything: the look that the ring causes may miss it.
#[test]
#[should_panic(expected = "deadlock")]
fn a_ring_before_the_mail_is_noticed() {
    shuttle::check_random(
        || {
            let sleeper = Sleeper::new();
            let (mut outboxes, mut inbox) = mailbox(1, &sleeper.bell, &[Sleeper::new().bell]);
            let mut outbox = outboxes.remove(0);
            let bell = sleeper.bell.clone();
            let sender = thread::spawn(move || {
                bell.ring();
                outbox.try_send(1).expect("there is room");
            });
            loop {
                sleeper.bell.begin_turn();
                if inbox.try_receive().is_some() {
                    break;
                }
                if sleeper.bell.may_rest() {
                    sleeper.poller.poll();
                }
            }
            sender.join().expect("no panic");
        },
        SCHEDULES,
    );
}
