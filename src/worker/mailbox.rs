//! Bounded mailboxes between threads; the only user of crossbeam.
//!
//! A mailbox has one [`Inbox`] and one [`Outbox`] for each of its senders. A message that finds the mailbox
//! full comes back to its sender, who keeps it and pauses what feeds it. Nobody spins and nothing is lost.
//!
//! Two wake-ups are needed, both by [`Doorbell`]:
//!
//! - *Something came*: the sender rings the receiver's bell after it has put its messages in
//!   ([`Outbox::ring`], once a turn).
//! - *There is room again*: a sender that finds the mailbox full (1) raises its own flag, (2) looks once more.
//!   The receiver (3) takes messages out, (4) lowers the flags it finds and rings their owners' bells
//!   ([`Inbox::release`], once a turn). It cannot be lost: (1) is before (2) and (3) before (4), with a
//!   sequentially consistent fence between each pair, so either (2) sees the room that (3) made, or (4) sees
//!   the flag. In the first case the sender goes on by itself; the flag that stays up costs one needless
//!   ring. A mailbox that was full at (2) had messages in it, so there is a (3) after (2), since the receiver
//!   drains before it sleeps, whatever else it waits for. That last rule also rules out deadlock: two threads
//!   whose mailboxes are full at once both drain, so both get room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};

use crate::worker::Doorbell;

/// A message that was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<T> {
    /// The mailbox is full; its sender's bell rings when there is room.
    Full(T),
    /// The receiver is gone for good.
    Closed(T),
}

/// A sender that found the mailbox full.
#[derive(Debug)]
struct Interest {
    is_raised: AtomicBool,
    bell: Arc<Doorbell>,
}

/// One sender's end.
#[derive(Debug)]
pub struct Outbox<T> {
    sender: Sender<T>,
    receiver_bell: Arc<Doorbell>,
    interests: Arc<[Interest]>,
    me: usize,
    has_unrung: bool,
}

/// The receiver's end.
#[derive(Debug)]
pub struct Inbox<T> {
    receiver: Receiver<T>,
    interests: Arc<[Interest]>,
    has_taken: bool,
}

/// A mailbox for `capacity` messages (at least 1) whose receiver answers to `receiver`: the inbox, and an
/// outbox for each of `senders`, in their order.
pub fn mailbox<T>(
    capacity: usize,
    receiver: &Arc<Doorbell>,
    senders: &[Arc<Doorbell>],
) -> (Vec<Outbox<T>>, Inbox<T>) {
    let (sender, inbox) = bounded(capacity.max(1));
    let interests: Arc<[Interest]> = senders
        .iter()
        .map(|bell| Interest { is_raised: AtomicBool::new(false), bell: Arc::clone(bell) })
        .collect();
    let outboxes = (0..senders.len())
        .map(|me| Outbox {
            sender: sender.clone(),
            receiver_bell: Arc::clone(receiver),
            interests: Arc::clone(&interests),
            me,
            has_unrung: false,
        })
        .collect();
    (outboxes, Inbox { receiver: inbox, interests, has_taken: false })
}

impl<T> Outbox<T> {
    /// Puts a message in. The receiver is woken by [`Outbox::ring`].
    ///
    /// # Errors
    /// [`Refused`] hands the message back.
    pub fn try_send(&mut self, message: T) -> Result<(), Refused<T>> {
        let message = match self.sender.try_send(message) {
            Err(TrySendError::Full(message)) => message,
            outcome => return self.outcome(outcome),
        };
        self.raise_interest();
        let again = self.sender.try_send(message);
        self.outcome(again)
    }

    /// Whether a message would find room now. If not, this sender's bell rings when there is.
    pub fn has_room(&self) -> bool {
        if !self.sender.is_full() {
            return true;
        }
        self.raise_interest();
        !self.sender.is_full()
    }

    /// Wakes the receiver, if anything was put in since the last time.
    pub fn ring(&mut self) {
        if std::mem::take(&mut self.has_unrung) {
            self.receiver_bell.ring();
        }
    }

    fn outcome(&mut self, outcome: Result<(), TrySendError<T>>) -> Result<(), Refused<T>> {
        match outcome {
            Ok(()) => {
                self.has_unrung = true;
                Ok(())
            }
            Err(TrySendError::Full(message)) => Err(Refused::Full(message)),
            Err(TrySendError::Disconnected(message)) => Err(Refused::Closed(message)),
        }
    }

    fn raise_interest(&self) {
        self.interests[self.me].is_raised.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}

impl<T> Inbox<T> {
    /// The next message.
    pub fn try_receive(&mut self) -> Option<T> {
        match self.receiver.try_recv() {
            Ok(message) => {
                self.has_taken = true;
                Some(message)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Wakes the senders that wait for room, if any was made since the last time. Called after each round of
    /// [`Inbox::try_receive`].
    pub fn release(&mut self) {
        if !std::mem::take(&mut self.has_taken) {
            return;
        }
        fence(Ordering::SeqCst);
        for interest in self.interests.iter() {
            // A load first: the line stays shared as long as nobody waits.
            if interest.is_raised.load(Ordering::SeqCst)
                && interest.is_raised.swap(false, Ordering::SeqCst)
            {
                interest.bell.ring();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

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

    /// A thread of the test's network: puts `count` numbers into `outbox`, takes all that come in, and sleeps
    /// only by its bell, as workers do.
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
}
