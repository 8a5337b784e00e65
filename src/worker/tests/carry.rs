//! The loop over a transport that holds bytes of its own: capacity for one byte each way, told of
//! readiness once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{Door, WorkerId};
use crate::time::Now;
use crate::transport::{Readiness, Received, Transport};
use crate::worker::{
    Doorbell, Identity, Limits, Links, PhaseFlag, Placement, Poller, Ready, Tuning, Worker, mailbox,
};

/// What the peer of the one connection sees and does.
#[derive(Debug, Default)]
struct Peer {
    /// Sent to the worker: the socket holds all of it.
    sent: VecDeque<u8>,
    /// Received from the worker.
    received: Vec<u8>,
    /// Bytes that the socket takes before it is full.
    room: usize,
    readiness: Readiness,
    has_finished: bool,
}

type SharedPeer = Rc<RefCell<Peer>>;

/// Takes all that the socket has at the first receive and hands it on byte by byte; takes one byte
/// at a time to send. Sends nothing before it has received something.
#[derive(Debug)]
struct Hoarder {
    peer: SharedPeer,
    received: VecDeque<u8>,
    unsent: Option<u8>,
    is_readable: bool,
    is_writable: bool,
    is_agreed: bool,
    is_finishing: bool,
}

impl Transport for Hoarder {
    fn note(&mut self, readiness: Readiness) {
        self.is_readable |= readiness.readable;
        self.is_writable |= readiness.writable;
    }

    fn receive(&mut self, slices: &mut [&mut [u8]]) -> Received {
        if std::mem::take(&mut self.is_readable) {
            self.received.extend(self.peer.borrow_mut().sent.drain(..));
            self.is_agreed = true;
        }
        match self.received.pop_front() {
            Some(byte) => {
                slices[0][0] = byte;
                Received::Bytes(1)
            }
            None => Received::Nothing,
        }
    }

    fn may_receive(&self) -> bool {
        self.is_readable || !self.received.is_empty()
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(self.unsent.is_none(), "it has no room");
        self.unsent = Some(slices[0][0]);
        self.flush()?;
        Ok(1)
    }

    fn may_send(&self) -> bool {
        self.is_agreed && self.unsent.is_none()
    }

    fn wants_to_write(&self) -> bool {
        self.is_writable && self.unsent.is_some()
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut peer = self.peer.borrow_mut();
        if let Some(byte) = self.unsent {
            self.is_writable = peer.room > 0;
            if self.is_writable {
                peer.room -= 1;
                peer.received.push(byte);
                self.unsent = None;
            }
        }
        peer.has_finished |= self.is_finishing && self.unsent.is_none();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.is_finishing = true;
        self.flush()
    }

    fn is_finished(&self) -> bool {
        self.peer.borrow().has_finished
    }

    fn buffered_bytes(&self) -> usize {
        self.received.len() + usize::from(self.unsent.is_some())
    }

    fn has_end(&self) -> bool {
        false
    }

    fn is_broken(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct OneConn(Option<(usize, SharedPeer)>);

impl Poller for OneConn {
    type Socket = SharedPeer;
    type Transport = Hoarder;

    fn now(&self) -> Now {
        Now::default()
    }

    fn poll(&mut self, _timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        if let Some((key, peer)) = &self.0 {
            let readiness = std::mem::take(&mut peer.borrow_mut().readiness);
            if readiness != Readiness::default() {
                ready.push(Ready { key: *key, readiness });
            }
        }
        Ok(())
    }

    fn open(&mut self, peer: SharedPeer, key: usize) -> io::Result<Hoarder> {
        self.0 = Some((key, Rc::clone(&peer)));
        Ok(Hoarder {
            peer,
            received: VecDeque::new(),
            unsent: None,
            is_readable: false,
            is_writable: true,
            is_agreed: false,
            is_finishing: false,
        })
    }
}

fn worker() -> Worker<OneConn> {
    let bell = Arc::new(Doorbell::new(std::thread::current()));
    let links = Links {
        poller: OneConn(None),
        bell: Arc::clone(&bell),
        inbox: mailbox(1, &bell, &[]).1,
        outboxes: Vec::new(),
        placement: Arc::new(Placement::new(1)),
        tuning: Arc::new(Tuning::new(Limits::default(), 1)),
        favour: Arc::default(),
        phase: Arc::new(PhaseFlag::default()),
        server_bell: Arc::clone(&bell),
    };
    let identity =
        Identity { agent_id: "1".to_owned(), name: "Weir".to_owned(), listens: Vec::new() };
    links.placement.assign_to(WorkerId(0));
    Worker::new(WorkerId(0), Limits::default(), Arc::new(identity), links)
}

/// Turns until the worker would sleep.
fn run(worker: &mut Worker<OneConn>) {
    for _ in 0..10_000 {
        if worker.step(Some(Duration::ZERO)).unwrap() != Some(Duration::ZERO) {
            return;
        }
    }
    panic!("the worker does not come to rest");
}

const READABLE: Readiness =
    Readiness { readable: true, writable: false, end: false, broken: false, urgent: false };
const WRITABLE: Readiness = Readiness { readable: false, writable: true, ..READABLE };

const HELLO: &[u8] = b"E\0Locator\0Hello\0[]\0\x03\x01";
const SYNC: &[u8] = b"C\x001\0Locator\0sync\0\x03\x01";
const END: &[u8] = b"\x03\x02\x03\x01";

#[test]
fn what_a_transport_holds_is_taken_in_without_readiness_and_its_room_is_found_by_receiving() {
    let (mut worker, peer) = (worker(), SharedPeer::default());
    peer.borrow_mut().room = usize::MAX;
    worker.open(Rc::clone(&peer), Door::Tcf, "peer".into()).unwrap();
    run(&mut worker);
    assert_eq!(peer.borrow().received, b"", "nothing leaves before the two have agreed");
    peer.borrow_mut().sent.extend([HELLO, SYNC].concat());
    peer.borrow_mut().readiness = READABLE;
    run(&mut worker);
    let received = String::from_utf8_lossy(&peer.borrow().received).into_owned();
    assert!(received.starts_with("E\0Locator\0Hello\0"), "{received:?}");
    assert!(received.ends_with("R\x001\0\0\x03\x01"), "{received:?}");
}

#[test]
fn what_a_transport_could_not_write_leaves_with_room_and_our_end_behind_it() {
    let (mut worker, peer) = (worker(), SharedPeer::default());
    worker.open(Rc::clone(&peer), Door::Tcf, "peer".into()).unwrap();
    peer.borrow_mut().sent.extend([HELLO, SYNC, END].concat());
    peer.borrow_mut().readiness = READABLE;
    let mut turns = 0;
    while !peer.borrow().has_finished {
        run(&mut worker);
        turns += 1;
        assert!(turns < 10_000, "{peer:?}");
        peer.borrow_mut().room = 1;
        peer.borrow_mut().readiness = WRITABLE;
    }
    assert!(peer.borrow().received.ends_with(b"\x03\x02\0\x03\x01"));
    assert_eq!(worker.sessions.len(), 1, "it waits for the peer's end");
}
