//! The bytes that were read and that the broker has not said to have taken.
//!
//! They bound how far a publisher may run ahead, and they are what is sent again on a new
//! connection.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, Bytes};
use parking_lot::{Condvar, Mutex};

use crate::client::Sender;

/// Unanswered writes, shared by the thread that reads the input and the one that takes the answers.
///
/// Invariant: what was queued on the present connection and is unanswered are `pieces`, in order;
/// the first of them begins at offset `accepted`.
#[derive(Debug)]
pub(super) struct Unaccepted {
    stream: String,
    /// The end of the stream is asked for only once everything else is known to be taken, so that a
    /// break behind it leaves no doubt.
    ends_last: bool,
    writes_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    sender: Sender,
    pieces: VecDeque<Bytes>,
    bytes: usize,
    accepted: u64,
    is_ended: bool,
    input_error: Option<io::Error>,
}

/// The broker's count of accepted bytes cannot be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has taken {told} bytes, where {least} to {most} were sent")]
pub(super) struct Misfit {
    told: u64,
    least: u64,
    most: u64,
}

impl Unaccepted {
    /// A bound of so many writes and so many bytes, whichever is reached first.
    pub(super) fn new(
        stream: String,
        ends_last: bool,
        sender: Sender,
        (writes_max, bytes_max): (usize, usize),
    ) -> Unaccepted {
        let state = State {
            sender,
            pieces: VecDeque::new(),
            bytes: 0,
            accepted: 0,
            is_ended: false,
            input_error: None,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Unaccepted { stream, ends_last, writes_max, bytes_max, state, changed }
    }

    /// The stream's ID.
    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    /// The present connection.
    pub(super) fn sender(&self) -> Sender {
        self.state.lock().sender.clone()
    }

    /// Waits until another piece fits and queues it as a write; the sender is to be flushed. One
    /// piece always fits.
    pub(super) fn push(&self, piece: Bytes) -> Sender {
        let mut state = self.state.lock();
        while state.pieces.len() >= self.writes_max
            || (state.bytes + piece.len() > self.bytes_max && !state.pieces.is_empty())
        {
            self.changed.wait(&mut state);
        }
        state.bytes += piece.len();
        state.pieces.push_back(piece.clone());
        state.sender.write(&self.stream, piece);
        state.sender.clone()
    }

    /// Nothing more will be pushed: queues the end of the stream, now or when it is its turn.
    pub(super) fn end(&self) -> Sender {
        let mut state = self.state.lock();
        state.is_ended = true;
        if !self.ends_last || state.pieces.is_empty() {
            state.sender.eos(&self.stream);
        }
        state.sender.clone()
    }

    /// The input broke off: no end of stream comes, so that readers see it too.
    pub(super) fn fail(&self, error: io::Error) -> Sender {
        let mut state = self.state.lock();
        state.input_error = Some(error);
        state.sender.clone()
    }

    /// Why the input broke off.
    pub(super) fn input_error(&self) -> Option<String> {
        self.state.lock().input_error.as_ref().map(ToString::to_string)
    }

    /// The oldest write is answered: gives its size, and the sender where there is something to
    /// flush.
    pub(super) fn confirm(&self) -> (usize, Option<Sender>) {
        let mut state = self.state.lock();
        let Some(piece) = state.pieces.pop_front() else { return (0, None) };
        state.bytes -= piece.len();
        state.accepted += piece.len() as u64;
        self.changed.notify_one();
        let is_due = state.is_ended && self.ends_last && state.pieces.is_empty();
        if is_due {
            state.sender.eos(&self.stream);
        }
        (piece.len(), is_due.then(|| state.sender.clone()))
    }

    /// Goes on over a new connection, on which the stream was adopted and has taken `told` bytes:
    /// what is behind them is queued again, in order. The sender is to be flushed. Gives the count
    /// of bytes that are thereby known to be taken.
    pub(super) fn resume(&self, sender: Sender, told: u64) -> Result<u64, Misfit> {
        let mut state = self.state.lock();
        let most = state.accepted + state.bytes as u64;
        if told < state.accepted || told > most {
            return Err(Misfit { told, least: state.accepted, most });
        }
        let taken = told - state.accepted;
        let mut rest = taken as usize;
        while let Some(piece) = state.pieces.front_mut().filter(|_| rest > 0) {
            let count = piece.len().min(rest);
            piece.advance(count);
            rest -= count;
            if piece.is_empty() {
                state.pieces.pop_front();
            }
        }
        state.bytes -= taken as usize;
        state.accepted = told;
        state.sender = sender;
        for piece in &state.pieces {
            state.sender.write(&self.stream, piece.clone());
        }
        if state.is_ended && (!self.ends_last || state.pieces.is_empty()) {
            state.sender.eos(&self.stream);
        }
        self.changed.notify_one();
        Ok(taken)
    }

    /// How many bytes are known to be taken, and how many wait for an answer.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.accepted, state.bytes as u64)
    }

    /// Whether everything is known to be taken and no more will come.
    pub(super) fn is_complete(&self) -> bool {
        let state = self.state.lock();
        state.is_ended && state.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;
    use crate::client::Connection;
    use crate::client::script::{HELLO_PLAIN, Peer, peer};

    /// A sender whose commands `script` hears.
    fn sender(script: impl FnOnce(Peer) + Send + 'static) -> (Connection, thread::JoinHandle<()>) {
        let (address, thread) = peer(|mut peer| {
            peer.say(HELLO_PLAIN);
            script(peer);
        });
        (Connection::connect(&address).unwrap(), thread)
    }

    fn piece(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_write_waits_until_an_older_one_is_answered() {
        for bounds in [(2, 1000), (100, 10)] {
            let (connection, script) = sender(|_| {});
            let unaccepted =
                Unaccepted::new("VS0".to_owned(), true, connection.sender().clone(), bounds);
            let unaccepted = Arc::new(unaccepted);
            unaccepted.push(piece("12345"));
            unaccepted.push(piece("67890"));
            let (entered, third) = mpsc::channel();
            let pushing = Arc::clone(&unaccepted);
            let thread = thread::spawn(move || {
                pushing.push(piece("abcde"));
                entered.send(()).unwrap();
            });
            assert!(third.try_recv().is_err());
            assert_eq!(unaccepted.confirm().0, 5);
            third.recv().unwrap();
            assert_eq!(unaccepted.counts(), (5, 10));
            thread.join().unwrap();
            script.join().unwrap();
        }
    }

    #[test]
    fn a_write_larger_than_the_bound_passes_alone() {
        let (connection, script) = sender(|_| {});
        let unaccepted =
            Unaccepted::new("VS0".to_owned(), true, connection.sender().clone(), (2, 3));
        unaccepted.push(piece("12345"));
        assert_eq!(unaccepted.confirm().0, 5);
        assert_eq!(unaccepted.confirm().0, 0);
        script.join().unwrap();
    }

    #[test]
    fn what_was_not_taken_is_sent_again_and_the_end_comes_last() {
        let (old, old_script) = sender(|_| {});
        let unaccepted = Unaccepted::new("VS0".to_owned(), true, old.sender().clone(), (100, 1000));
        for text in ["abc", "def", "ghi"] {
            unaccepted.push(piece(text));
        }
        assert_eq!(unaccepted.confirm().0, 3);
        unaccepted.end();
        let (new, new_script) = sender(|mut peer| {
            peer.hear(r#"C|1|Streams|write|"VS0"|1|"Zg=="|$C|2|Streams|write|"VS0"|3|"Z2hp"|$"#);
            peer.hear(r#"C|3|Streams|eos|"VS0"|$"#);
        });
        let misfit = |told| Misfit { told, least: 3, most: 9 };
        assert_eq!(unaccepted.resume(new.sender().clone(), 2), Err(misfit(2)));
        assert_eq!(unaccepted.resume(new.sender().clone(), 10), Err(misfit(10)));
        assert_eq!(unaccepted.resume(new.sender().clone(), 5), Ok(2));
        assert_eq!(unaccepted.counts(), (5, 4));
        unaccepted.sender().flush().unwrap();
        assert_eq!(unaccepted.confirm().0, 1);
        let (size, flush) = unaccepted.confirm();
        assert_eq!(size, 3);
        flush.expect("the end is due").flush().unwrap();
        assert!(unaccepted.is_complete());
        new_script.join().unwrap();
        old_script.join().unwrap();
    }
}
