//! Bounded mailboxes between threads.
//!
//! A mailbox has one [`Inbox`] and one [`Outbox`] for each of its senders. A message that finds the
//! mailbox full comes back to its sender, who keeps it and pauses what feeds it. Nobody spins and
//! nothing is lost.
//!
//! Two wake-ups are needed, both by [`Doorbell`]:
//!
//! - *Something came*: the sender rings the receiver's bell after it has put its messages in
//!   ([`Outbox::ring`], once a turn).
//! - *There is room again*: a sender that finds the mailbox full (1) raises its own flag, (2) looks
//!   once more. The receiver (3) takes messages out, (4) lowers the flags it finds and rings their
//!   owners' bells ([`Inbox::release`], once a turn). It cannot be lost: (1) is before (2) and (3)
//!   before (4), with a sequentially consistent fence between each pair, so either (2) sees the
//!   room that (3) made, or (4) sees the flag. In the first case the sender goes on by itself; the
//!   flag that stays up costs one needless ring. A mailbox that was full at (2) had messages in it,
//!   so there is a (3) after (2), since the receiver drains before it sleeps, whatever else it
//!   waits for. That last rule also rules out deadlock: two threads whose mailboxes are full at
//!   once both drain, so both get room.
//!
//! `tests/interleavings` runs this file under a scheduler that tries the orders in which threads
//! may step.

use crate::worker::Doorbell;
use crate::worker::sync::{
    Arc, AtomicBool, Ordering, Receiver, Sender, TryRecvError, TrySendError, bounded, fence,
};

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

/// A mailbox for `capacity` messages (at least 1) whose receiver answers to `receiver`: the inbox,
/// and an outbox for each of `senders`, in their order.
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

    /// Wakes the senders that wait for room, if any was made since the last time. Called after each
    /// round of [`Inbox::try_receive`].
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
