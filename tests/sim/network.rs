//! Connections without sockets: bounded in each direction, slow, split anywhere, cut at any time.

use std::collections::VecDeque;

use weir::transport::Readiness;

/// One direction of a connection. Bytes are first on their way, then they have arrived; both count.
#[derive(Debug, Default)]
pub struct Pipe {
    on_the_way: VecDeque<u8>,
    arrived: VecDeque<u8>,
    capacity: usize,
    /// The sender will send no more.
    is_shut: bool,
    /// The receiver may see that.
    end_arrived: bool,
    /// A write found no room since the last time that there was some.
    is_blocked: bool,
}

/// What a read finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    Bytes(Vec<u8>),
    Nothing,
    End,
    Broken,
}

impl Pipe {
    fn new(capacity: usize) -> Pipe {
        Pipe { capacity, ..Pipe::default() }
    }

    fn room(&self) -> usize {
        self.capacity - (self.on_the_way.len() + self.arrived.len())
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let count = self.room().min(bytes.len());
        self.on_the_way.extend(&bytes[..count]);
        self.is_blocked |= count < bytes.len();
        count
    }

    fn read(&mut self, max: usize) -> Read {
        if self.arrived.is_empty() {
            return if self.end_arrived { Read::End } else { Read::Nothing };
        }
        let count = max.min(self.arrived.len());
        Read::Bytes(self.arrived.drain(..count).collect())
    }

    /// Lets up to `max` bytes arrive, and the end behind the last; whether anything did.
    fn carry(&mut self, max: usize) -> bool {
        let count = max.min(self.on_the_way.len());
        self.arrived.extend(self.on_the_way.drain(..count));
        let ends = self.is_shut && self.on_the_way.is_empty() && !self.end_arrived;
        self.end_arrived |= ends;
        count > 0 || ends
    }
}

/// One connection between a peer and the broker.
#[derive(Debug)]
pub struct Conn {
    /// From the peer to the broker.
    up: Pipe,
    /// From the broker to the peer.
    down: Pipe,
    is_cut: bool,
    /// The broker has closed its socket.
    is_closed: bool,
    /// What the broker's side has not been told since the last time: readiness is edge-triggered.
    readiness: Readiness,
}

impl Conn {
    pub fn new(up_capacity: usize, down_capacity: usize) -> Conn {
        Conn {
            up: Pipe::new(up_capacity),
            down: Pipe::new(down_capacity),
            is_cut: false,
            is_closed: false,
            readiness: Readiness::default(),
        }
    }

    /// The peer writes; says how much was taken.
    pub fn peer_write(&mut self, bytes: &[u8]) -> usize {
        // What is sent to a closed socket is lost, and the peer hears of it by the reset.
        if self.is_cut || self.is_closed { bytes.len() } else { self.up.write(bytes) }
    }

    /// The peer reads up to `max` bytes.
    pub fn peer_read(&mut self, max: usize) -> Read {
        if self.is_cut {
            return Read::Broken;
        }
        let read = self.down.read(max);
        if matches!(&read, Read::Bytes(bytes) if !bytes.is_empty()) {
            self.readiness.writable |= std::mem::take(&mut self.down.is_blocked);
        }
        read
    }

    /// The peer will send no more.
    pub fn peer_shut(&mut self) {
        self.up.is_shut = true;
    }

    /// The connection breaks. What has arrived at the broker may still be read, unless
    /// `loses_arrived`.
    pub fn cut(&mut self, loses_arrived: bool) {
        self.is_cut = true;
        self.up.on_the_way.clear();
        if loses_arrived {
            self.up.arrived.clear();
        }
        self.readiness.broken = true;
        self.readiness.readable = true;
    }

    /// The broker writes; says how much was taken.
    pub fn broker_write(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        if self.is_cut { Err(()) } else { Ok(self.down.write(bytes)) }
    }

    /// How much the broker can write now.
    pub fn broker_room(&self) -> usize {
        self.down.room()
    }

    /// The broker reads.
    pub fn broker_read(&mut self, max: usize) -> Read {
        match self.up.read(max) {
            Read::Nothing | Read::End if self.is_cut => Read::Broken,
            read => read,
        }
    }

    /// The broker will send no more.
    pub fn broker_shut(&mut self) {
        self.down.is_shut = true;
    }

    /// The broker closes its socket. Unread input makes that a reset, which destroys what the peer
    /// has not read; a broker that reads up to the peer's end avoids it.
    pub fn broker_close(&mut self) {
        self.is_closed = true;
        if !self.up.arrived.is_empty() || !self.up.on_the_way.is_empty() || !self.down.is_shut {
            self.is_cut = true;
        }
    }

    /// Time for the network: some bytes arrive at either side.
    pub fn carry(&mut self, up_max: usize, down_max: usize) -> bool {
        if self.is_cut {
            return false;
        }
        let had_end = self.up.end_arrived;
        let up = self.up.carry(up_max);
        self.readiness.readable |= up;
        self.readiness.end |= self.up.end_arrived && !had_end;
        up | self.down.carry(down_max)
    }

    /// Whether the broker has closed its socket.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether there is something that the broker has not been told.
    pub fn is_ready(&self) -> bool {
        self.readiness != Readiness::default() && !self.is_closed
    }

    /// Tells it.
    pub fn take_readiness(&mut self) -> Readiness {
        std::mem::take(&mut self.readiness)
    }
}
