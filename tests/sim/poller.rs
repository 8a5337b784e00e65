//! What the workers' loops run over instead of the system: connections without sockets, a clock
//! that moves when it is told to, and transports that hand bytes through or hold some of their own.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use weir::time::Now;
use weir::transport::{Edges, Readiness, Received, Transport};
use weir::worker::{Poller, Ready};

use crate::network::{Conn, Read};

/// A connection as both its sides have it.
pub type SharedConn = Rc<RefCell<Conn>>;

/// What a worker's connections are made of in one run.
#[derive(Clone, Debug)]
pub struct Wiring {
    pub now: Rc<Cell<Now>>,
    pub rng: Rc<RefCell<SmallRng>>,
    /// The most bytes of one read.
    pub bytes_per_read: usize,
}

/// The connections of one worker, by the keys of its sessions.
pub type Registered = Rc<RefCell<BTreeMap<usize, SharedConn>>>;

/// Stands for the system's poller and its clock.
#[derive(Debug)]
pub struct SimPoller {
    pub wiring: Wiring,
    pub registered: Registered,
}

/// How a connection is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrying {
    /// Bytes go through as they are.
    Plain,
    /// The transport holds up to so many bytes each way, as one that encrypts does: it empties the
    /// socket before it hands anything on, and takes what it cannot write yet. Nothing is taken
    /// before something has come.
    Holding(usize),
}

/// A new connection on its way to a worker.
#[derive(Debug)]
pub struct SimSocket {
    pub conn: SharedConn,
    pub carrying: Carrying,
}

#[derive(Debug)]
pub struct SimTransport {
    conn: SharedConn,
    wiring: Wiring,
    carrying: Carrying,
    edges: Edges,
    received: VecDeque<u8>,
    unsent: VecDeque<u8>,
    /// Both sides have agreed on how to go on.
    is_agreed: bool,
    is_finishing: bool,
    is_finished: bool,
}

impl Poller for SimPoller {
    type Socket = SimSocket;
    type Transport = SimTransport;

    fn now(&self) -> Now {
        self.wiring.now.get()
    }

    fn poll(&mut self, _timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut registered = self.registered.borrow_mut();
        registered.retain(|_, conn| !conn.borrow().is_closed());
        for (&key, conn) in registered.iter() {
            let readiness = conn.borrow_mut().take_readiness();
            if readiness != Readiness::default() {
                ready.push(Ready { key, readiness });
            }
        }
        Ok(())
    }

    fn open(&mut self, socket: SimSocket, key: usize) -> io::Result<SimTransport> {
        self.registered.borrow_mut().insert(key, Rc::clone(&socket.conn));
        Ok(SimTransport {
            conn: socket.conn,
            wiring: self.wiring.clone(),
            carrying: socket.carrying,
            edges: Edges::default(),
            received: VecDeque::new(),
            unsent: VecDeque::new(),
            is_agreed: socket.carrying == Carrying::Plain,
            is_finishing: false,
            is_finished: false,
        })
    }
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        self.conn.borrow_mut().broker_close();
    }
}

impl SimTransport {
    /// One read of the socket, of up to `max` bytes.
    fn read(&mut self, max: usize) -> (Received, Vec<u8>) {
        let (outcome, bytes) = match self.conn.borrow_mut().broker_read(max) {
            Read::Bytes(bytes) => (Ok(bytes.len()), bytes),
            Read::Nothing => (Err(io::ErrorKind::WouldBlock.into()), Vec::new()),
            Read::End => (Ok(0), Vec::new()),
            Read::Broken => (Err(io::ErrorKind::ConnectionReset.into()), Vec::new()),
        };
        let is_emptied = bytes.len() < max && self.edges.short_read_empties();
        (self.edges.note_read(outcome, is_emptied), bytes)
    }

    /// One write to the socket; how many bytes it took.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.conn.borrow_mut().broker_write(bytes);
        let is_filled = outcome.as_ref().is_ok_and(|count| *count < bytes.len());
        let broken = |()| io::ErrorKind::BrokenPipe.into();
        self.edges.note_write(outcome.map_err(broken), is_filled)
    }

    fn hand_out(&mut self, slices: &mut [&mut [u8]], bytes: &mut VecDeque<u8>) -> usize {
        let mut count = 0;
        for slot in slices.iter_mut().flat_map(|slice| slice.iter_mut()) {
            let Some(byte) = bytes.pop_front() else { break };
            *slot = byte;
            count += 1;
        }
        count
    }
}

impl Transport for SimTransport {
    fn note(&mut self, readiness: Readiness) {
        self.edges.note(readiness);
    }

    fn receive(&mut self, slices: &mut [&mut [u8]]) -> Received {
        let room: usize = slices.iter().map(|slice| slice.len()).sum();
        let most = room.min(self.wiring.bytes_per_read).min(4096);
        let most = self.wiring.rng.borrow_mut().random_range(1..=most);
        let Carrying::Holding(capacity) = self.carrying else {
            let (received, bytes) = self.read(most);
            self.hand_out(slices, &mut bytes.into());
            return received;
        };
        if self.received.is_empty() {
            let (received, bytes) = self.read(capacity);
            self.received.extend(bytes);
            self.is_agreed |= !self.received.is_empty() || self.edges.end;
            if self.received.is_empty() {
                return received;
            }
        }
        let rest = self.received.split_off(most.min(self.received.len()));
        let mut part = std::mem::replace(&mut self.received, rest);
        Received::Bytes(self.hand_out(slices, &mut part))
    }

    fn may_receive(&self) -> bool {
        self.edges.readable || !self.received.is_empty()
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // One byte more than there is room for, so that it shows where there is none.
        let most = match self.carrying {
            Carrying::Plain => self.conn.borrow().broker_room() + 1,
            Carrying::Holding(capacity) => capacity,
        };
        let bytes = slices.iter().take(4).flat_map(|slice| slice.iter().copied());
        let bytes: Vec<u8> = bytes.take(most).collect();
        let Carrying::Holding(capacity) = self.carrying else { return self.write(&bytes) };
        let count = bytes.len().min(capacity - self.unsent.len());
        self.unsent.extend(&bytes[..count]);
        self.flush()?;
        Ok(count)
    }

    fn may_send(&self) -> bool {
        match self.carrying {
            Carrying::Plain => self.edges.writable,
            Carrying::Holding(capacity) => {
                self.is_agreed && !self.edges.broken && self.unsent.len() < capacity
            }
        }
    }

    fn wants_to_write(&self) -> bool {
        let ends = self.is_finishing && !self.is_finished;
        self.edges.writable && (!self.unsent.is_empty() || ends)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.edges.writable && !self.unsent.is_empty() {
            let bytes: Vec<u8> = self.unsent.iter().copied().collect();
            let count = self.write(&bytes)?;
            self.unsent.drain(..count);
        }
        if self.is_finishing && !self.is_finished && self.unsent.is_empty() {
            self.is_finished = true;
            self.conn.borrow_mut().broker_shut();
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.is_finishing = true;
        self.flush()
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }

    fn buffered_bytes(&self) -> usize {
        self.received.len() + self.unsent.len()
    }

    fn has_end(&self) -> bool {
        self.edges.end
    }

    fn is_broken(&self) -> bool {
        self.edges.broken
    }
}
