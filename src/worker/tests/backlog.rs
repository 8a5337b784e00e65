//! Who says little beside who says much.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{Door, WorkerId};
use crate::time::{Instant, Now};
use crate::transport::{Readiness, Received, Transport};
use crate::worker::{
    Doorbell, Identity, Limits, Links, PhaseFlag, Placement, Poller, Ready, Tuning, TurnBudget,
    Worker, mailbox,
};

/// What a peer has sent and not been read, and what was sent to it.
#[derive(Debug, Default)]
struct Peer {
    sent: VecDeque<u8>,
    received: Vec<u8>,
}

type SharedPeer = Rc<RefCell<Peer>>;

#[derive(Debug)]
struct Pipe(SharedPeer);

impl Transport for Pipe {
    fn note(&mut self, _: Readiness) {}

    fn receive(&mut self, slices: &mut [&mut [u8]]) -> Received {
        let sent = &mut self.0.borrow_mut().sent;
        let count = sent.len().min(slices[0].len());
        for (to, byte) in slices[0].iter_mut().zip(sent.drain(..count)) {
            *to = byte;
        }
        if count == 0 { Received::Nothing } else { Received::Bytes(count) }
    }

    fn may_receive(&self) -> bool {
        !self.0.borrow().sent.is_empty()
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let received = &mut self.0.borrow_mut().received;
        let before = received.len();
        slices.iter().for_each(|slice| received.extend_from_slice(slice));
        Ok(received.len() - before)
    }

    fn may_send(&self) -> bool {
        true
    }

    fn wants_to_write(&self) -> bool {
        false
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn is_finished(&self) -> bool {
        true
    }

    fn buffered_bytes(&self) -> usize {
        0
    }

    fn has_end(&self) -> bool {
        false
    }

    fn is_broken(&self) -> bool {
        false
    }
}

/// Peers in the order of their readiness, and a clock that each reading moves by a millisecond.
#[derive(Debug, Default)]
struct Peers {
    keys: Vec<(usize, SharedPeer)>,
    ms: Cell<u64>,
}

impl Poller for Peers {
    type Socket = SharedPeer;
    type Transport = Pipe;

    fn now(&self) -> Now {
        self.ms.set(self.ms.get() + 1);
        Now { instant: Instant(self.ms.get() * 1_000_000), unix_ms: 0 }
    }

    fn poll(&mut self, _: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let readable = Readiness { readable: true, ..Readiness::default() };
        let talking = self.keys.iter().filter(|(_, peer)| !peer.borrow().sent.is_empty());
        ready.extend(talking.map(|(key, _)| Ready { key: *key, readiness: readable }));
        Ok(())
    }

    fn open(&mut self, peer: SharedPeer, key: usize) -> io::Result<Pipe> {
        self.keys.push((key, Rc::clone(&peer)));
        Ok(Pipe(peer))
    }
}

const HELLO: &[u8] = b"E\0Locator\0Hello\0[]\0\x03\x01";
const SYNC: &[u8] = b"C\x001\0Locator\0sync\0\x03\x01";

fn worker(budget: TurnBudget) -> Worker<Peers> {
    let bell = Arc::new(Doorbell::new(std::thread::current()));
    let links = Links {
        poller: Peers::default(),
        bell: Arc::clone(&bell),
        inbox: mailbox(1, &bell, &[]).1,
        outboxes: Vec::new(),
        placement: Arc::new(Placement::new(1)),
        tuning: Arc::new(Tuning::new(Limits::default(), 100)),
        favour: Arc::default(),
        phase: Arc::new(PhaseFlag::default()),
        server_bell: Arc::clone(&bell),
    };
    let identity =
        Identity { agent_id: "1".to_owned(), name: "Weir".to_owned(), listens: Vec::new() };
    let mut worker = Worker::new(WorkerId(0), Limits::default(), Arc::new(identity), links);
    worker.set_budget(budget);
    worker
}

/// So many peers, all greeted.
fn open(worker: &mut Worker<Peers>, count: usize) -> Vec<SharedPeer> {
    let peers: Vec<SharedPeer> = (0..count).map(|_| SharedPeer::default()).collect();
    for peer in &peers {
        worker.open(Rc::clone(peer), Door::Tcf, "peer".into()).unwrap();
        peer.borrow_mut().sent.extend(HELLO);
    }
    while turn(worker) {}
    peers
}

/// One turn. Whether another is to follow at once.
fn turn(worker: &mut Worker<Peers>) -> bool {
    worker.step(Some(Duration::ZERO)).unwrap() == Some(Duration::ZERO)
}

#[test]
fn who_says_little_does_not_wait_behind_all_who_say_much() {
    let mut worker = worker(TurnBudget { others_min: 1, ..TurnBudget::default() });
    let mut loud = open(&mut worker, 51);
    let quiet = loud.remove(50);
    for peer in &loud {
        peer.borrow_mut().sent.extend(SYNC.repeat(100_000));
    }
    for _ in 0..2 * loud.len() {
        turn(&mut worker);
    }
    let unread = || -> Vec<usize> { loud.iter().map(|peer| peer.borrow().sent.len()).collect() };
    let (before, answered) = (unread(), quiet.borrow().received.len());
    assert!(before.iter().all(|unread| *unread > 0), "all have more to say");
    quiet.borrow_mut().sent.extend(SYNC);
    turn(&mut worker);
    assert!(quiet.borrow().received.len() > answered, "it is answered in the next turn");
    for _ in 0..loud.len() {
        turn(&mut worker);
    }
    let after = unread();
    assert!(after.iter().zip(&before).all(|(after, before)| after < before), "all are heard");
}

#[test]
fn a_turn_reads_few_while_nobody_waits_for_long_and_then_more() {
    for (wait, is_more) in [(Duration::from_secs(3600), false), (Duration::ZERO, true)] {
        let budget = TurnBudget { others_min: 3, others_wait: wait, ..TurnBudget::default() };
        let mut worker = worker(budget);
        let peers = open(&mut worker, 20);
        peers.iter().for_each(|peer| peer.borrow_mut().sent.extend(SYNC));
        turn(&mut worker);
        let read = peers.iter().filter(|peer| peer.borrow().sent.is_empty()).count();
        assert_eq!((read >= 3, read > 3), (true, is_more), "{read}");
    }
}
