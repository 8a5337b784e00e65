//! Mailboxes on real threads.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::worker::{Doorbell, Inbox, Outbox, Refused, mailbox};

const DEADLINE: Duration = Duration::from_secs(20);

fn bell() -> Arc<Doorbell> {
    Arc::new(Doorbell::new(thread::current()))
}

#[test]
fn messages_come_in_order_and_a_full_mailbox_hands_them_back() {
    let (mut outboxes, mut inbox) = mailbox(2, &bell(), &[bell()]);
    let outbox = &mut outboxes[0];
    assert!(outbox.has_room());
    assert_eq!(outbox.try_send(1), Ok(()));
    assert_eq!(outbox.try_send(2), Ok(()));
    assert!(!outbox.has_room());
    assert_eq!(outbox.try_send(3), Err(Refused::Full(3)));
    assert_eq!((inbox.try_receive(), inbox.len()), (Some(1), 1));
    assert_eq!(outbox.try_send(3), Ok(()));
    assert_eq!([inbox.try_receive(), inbox.try_receive()], [Some(2), Some(3)]);
    assert_eq!(inbox.try_receive(), None);
    assert!(inbox.is_empty());
}

#[test]
fn a_mailbox_without_receiver_is_closed() {
    let (mut outboxes, inbox) = mailbox(2, &bell(), &[bell()]);
    drop(inbox);
    assert_eq!(outboxes[0].try_send(1), Err(Refused::Closed(1)));
}

#[test]
fn only_senders_that_found_it_full_are_woken() {
    let (waiting, other) = (bell(), bell());
    let (mut outboxes, mut inbox) =
        mailbox(1, &bell(), &[Arc::clone(&waiting), Arc::clone(&other)]);
    assert_eq!(outboxes[1].try_send(1), Ok(()));
    assert_eq!(outboxes[0].try_send(2), Err(Refused::Full(2)));
    inbox.release();
    assert!(waiting.may_rest(), "nothing was taken out yet");
    waiting.begin_turn();
    assert_eq!(inbox.try_receive(), Some(1));
    inbox.release();
    assert!(!waiting.may_rest());
    assert!(other.may_rest());
    inbox.release();
    waiting.begin_turn();
    assert!(waiting.may_rest(), "woken once");
}

/// A thread of the test's network: puts `count` numbers into `outbox`, takes all that come in, and
/// sleeps only by its bell, as workers do.
fn relay(
    bell: &Doorbell,
    mut outbox: Outbox<u32>,
    mut inbox: Inbox<u32>,
    count: u32,
    done: &mpsc::Sender<Vec<u32>>,
) {
    let mut taken = Vec::new();
    let mut next = 0;
    while taken.len() < count as usize || next < count {
        bell.begin_turn();
        while let Some(number) = inbox.try_receive() {
            taken.push(number);
        }
        inbox.release();
        while next < count && outbox.try_send(next).is_ok() {
            next += 1;
        }
        outbox.ring();
        let is_done = taken.len() == count as usize && next == count;
        if !is_done && bell.may_rest() {
            thread::park();
        }
    }
    let _ = done.send(taken);
}

#[test]
fn two_threads_with_full_mailboxes_of_one_neither_stop_nor_lose() {
    const COUNT: u32 = 20_000;
    let (done, all_done) = mpsc::channel();
    let (give_parts, parts) = (0..2)
        .map(|_| mpsc::channel::<(Arc<Doorbell>, Outbox<u32>, Inbox<u32>)>())
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let threads: Vec<_> = parts
        .into_iter()
        .map(|parts| {
            let done = done.clone();
            thread::spawn(move || {
                let (bell, outbox, inbox) = parts.recv().unwrap();
                relay(&bell, outbox, inbox, COUNT, &done);
            })
        })
        .collect();
    let bells: Vec<_> =
        threads.iter().map(|t| Arc::new(Doorbell::new(t.thread().clone()))).collect();
    let (mut to_first, first) = mailbox(1, &bells[0], &[Arc::clone(&bells[1])]);
    let (mut to_second, second) = mailbox(1, &bells[1], &[Arc::clone(&bells[0])]);
    let [outbox_of_second, outbox_of_first] = [to_first.remove(0), to_second.remove(0)];
    let part = (Arc::clone(&bells[0]), outbox_of_first, first);
    give_parts[0].send(part).unwrap();
    let part = (Arc::clone(&bells[1]), outbox_of_second, second);
    give_parts[1].send(part).unwrap();
    for _ in 0..2 {
        let taken = all_done.recv_timeout(DEADLINE).expect("a wake-up was lost");
        assert!(taken.iter().copied().eq(0..COUNT));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}
