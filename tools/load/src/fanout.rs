//! A fan-out without a protocol: what a publisher sends goes to each subscriber of its group.
//!
//! One thread and one loop. A publisher's bytes are read into a buffer, and the buffer is written
//! to each subscriber; the next is read when the slowest has it all. No server that sends the same
//! bytes to several sockets can do much less: this is the physical limit to measure others by.
//!
//! A connection begins with its group, four bytes, lowest first. A subscriber gets one byte back
//! when it misses nothing any more.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// Bytes read at once, unless told otherwise.
pub const BUFFER_BYTES: usize = 256 << 10;

const PUBLISHERS: Token = Token(usize::MAX);
const SUBSCRIBERS: Token = Token(usize::MAX - 1);

/// The server, listening.
#[derive(Debug)]
pub struct Fanout {
    poll: Poll,
    publishers: TcpListener,
    subscribers: TcpListener,
    conns: Slab<Conn>,
    groups: HashMap<u32, Group>,
    /// What is read into. A buffer that a subscriber still needs is its group's.
    spare: Vec<u8>,
    /// Buffers that are needed no more.
    idle: Vec<Vec<u8>>,
    buffer_bytes: usize,
}

#[derive(Debug)]
struct Conn {
    socket: TcpStream,
    is_publisher: bool,
    /// The group's number, as far as it has come.
    greeting: Vec<u8>,
    group: Option<u32>,
    /// Bytes of the group's buffer that a subscriber has.
    written: usize,
}

#[derive(Debug, Default)]
struct Group {
    publisher: Option<usize>,
    subscribers: Vec<usize>,
    /// What some subscribers do not have yet, and how many those are.
    buffer: Vec<u8>,
    filled: usize,
    unfinished: usize,
}

/// How a write of the buffer went.
enum Written {
    All,
    Part,
    Broken,
}

impl Fanout {
    /// Listens for publishers and for subscribers, on free ports of the loopback interface.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(buffer_bytes: usize) -> io::Result<Fanout> {
        let poll = Poll::new()?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (mut publishers, mut subscribers) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
        poll.registry().register(&mut publishers, PUBLISHERS, Interest::READABLE)?;
        poll.registry().register(&mut subscribers, SUBSCRIBERS, Interest::READABLE)?;
        Ok(Fanout {
            poll,
            publishers,
            subscribers,
            conns: Slab::new(),
            groups: HashMap::new(),
            spare: vec![0; buffer_bytes],
            idle: Vec::new(),
            buffer_bytes,
        })
    }

    /// Where publishers and subscribers connect.
    ///
    /// # Errors
    /// What the system says.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.publishers.local_addr()?, self.subscribers.local_addr()?))
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// What the system says when it cannot wait any more.
    pub fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            for event in &events {
                match event.token() {
                    PUBLISHERS => self.accept(true)?,
                    SUBSCRIBERS => self.accept(false)?,
                    Token(key) => {
                        if event.is_writable() {
                            self.go_on_writing(key);
                        }
                        if event.is_readable() {
                            self.read(key);
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self, is_publisher: bool) -> io::Result<()> {
        loop {
            let listener = if is_publisher { &self.publishers } else { &self.subscribers };
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => continue,
            };
            socket.set_nodelay(true)?;
            let entry = self.conns.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(entry.key()), interest)?;
            entry.insert(Conn {
                socket,
                is_publisher,
                greeting: Vec::new(),
                group: None,
                written: 0,
            });
        }
    }

    fn read(&mut self, key: usize) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.group.is_none() && !greet(conn) {
            return self.drop_conn(key);
        }
        let Some(number) = conn.group else { return };
        if conn.is_publisher {
            self.groups.entry(number).or_default().publisher.get_or_insert(key);
            self.pump(number);
        } else {
            let subscribers = &mut self.groups.entry(number).or_default().subscribers;
            if !subscribers.contains(&key) {
                subscribers.push(key);
                conn.written = usize::MAX;
                if conn.socket.write_all(b"+").is_err() {
                    return self.drop_conn(key);
                }
            }
            // A subscriber says nothing more: what comes is its end.
            if matches!(conn.socket.read(&mut [0; 64]), Ok(0)) {
                self.drop_conn(key);
            }
        }
    }

    /// Moves a group's bytes until the publisher has no more, or a subscriber is full.
    fn pump(&mut self, number: u32) {
        loop {
            let Some(group) = self.groups.get_mut(&number) else { return };
            let Some(key) = group.publisher else { return };
            if group.unfinished > 0 {
                return;
            }
            let publisher = &mut self.conns[key];
            let count = match publisher.socket.read(&mut self.spare) {
                Ok(0) => return self.drop_conn(key),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.drop_conn(key),
            };
            let mut broken = Vec::new();
            for &subscriber in &group.subscribers {
                let conn = &mut self.conns[subscriber];
                conn.written = 0;
                match write(conn, &self.spare[..count]) {
                    Written::All => {}
                    Written::Part => group.unfinished += 1,
                    Written::Broken => {
                        // Nobody waits for it.
                        conn.written = usize::MAX;
                        broken.push(subscriber);
                    }
                }
            }
            if group.unfinished > 0 {
                let next = self.idle.pop().unwrap_or_else(|| vec![0; self.buffer_bytes]);
                group.buffer = std::mem::replace(&mut self.spare, next);
                group.filled = count;
            }
            broken.into_iter().for_each(|key| self.drop_conn(key));
            // A short read has emptied the socket; what comes later is told again.
            if count < self.buffer_bytes {
                return;
            }
        }
    }

    /// Writes what a subscriber lacks of its group's buffer.
    fn go_on_writing(&mut self, key: usize) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Some(number) = conn.group.filter(|_| !conn.is_publisher) else { return };
        let Some(group) = self.groups.get_mut(&number) else { return };
        if group.unfinished == 0 || conn.written >= group.filled {
            return;
        }
        match write(conn, &group.buffer[..group.filled]) {
            Written::All => self.finish(number),
            Written::Part => {}
            Written::Broken => self.drop_conn(key),
        }
    }

    /// Notes that one subscriber more has the buffer.
    fn finish(&mut self, number: u32) {
        let Some(group) = self.groups.get_mut(&number) else { return };
        group.unfinished -= 1;
        if group.unfinished == 0 {
            self.idle.push(std::mem::take(&mut group.buffer));
            group.filled = 0;
            self.pump(number);
        }
    }

    fn drop_conn(&mut self, key: usize) {
        let Some(conn) = self.conns.try_remove(key) else { return };
        let Some(number) = conn.group else { return };
        let Some(group) = self.groups.get_mut(&number) else { return };
        if conn.is_publisher {
            group.publisher = None;
            for &subscriber in &group.subscribers {
                let _ = self.conns[subscriber].socket.shutdown(Shutdown::Write);
            }
        } else {
            group.subscribers.retain(|&other| other != key);
            if group.unfinished > 0 && conn.written < group.filled {
                self.finish(number);
            }
        }
        if let Some(group) = self.groups.get(&number)
            && group.publisher.is_none()
            && group.subscribers.is_empty()
        {
            self.groups.remove(&number);
        }
    }
}

/// Reads the group that a connection is for. `false`: it will not come.
fn greet(conn: &mut Conn) -> bool {
    while conn.greeting.len() < 4 {
        let mut byte = [0];
        match conn.socket.read(&mut byte) {
            Ok(0) => return false,
            Ok(_) => conn.greeting.push(byte[0]),
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    conn.group = conn.greeting[..].try_into().ok().map(u32::from_le_bytes);
    true
}

fn write(conn: &mut Conn, buffer: &[u8]) -> Written {
    while conn.written < buffer.len() {
        match conn.socket.write(&buffer[conn.written..]) {
            Ok(count) => {
                conn.written += count;
                // A short write has filled the socket; room is told.
                if conn.written < buffer.len() {
                    return Written::Part;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Part,
            Err(_) => return Written::Broken,
        }
    }
    Written::All
}
