//! The path of a command through one worker, without its sockets: what `tools/instructions` counts.
//!
//! `hot_path LOAD TURNS` carries a load for so many turns of the loop and prints how many writes
//! that were. The difference between two runs of different length is what the writes cost; the
//! set-up falls out.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use weir::id::{ChannelId, WorkerId};
use weir::time::{Instant, Now};
use weir::wire::{MessageWriter, Output};
use weir::worker::{Identity, Limits, Shard};

/// Bytes that arrive in one turn, as much as one read of a socket takes.
const TURN_BYTES: usize = 64 << 10;

/// What is written and who reads it.
struct Load {
    name: &'static str,
    write_bytes: usize,
    streams: usize,
    readers: usize,
    /// Bytes that one read asks for.
    read_bytes: u64,
    zero_copy: bool,
}

const ANY_SIZE: u64 = 1 << 20;

const LOADS: &[Load] = &[
    Load::new("small-0", 64, 1, 0),
    Load::new("small-1", 64, 1, 1),
    Load::new("small-8", 64, 1, 8),
    Load::new("medium-8", 1 << 10, 1, 8),
    Load::new("streams-200", 256, 200, 2),
    Load::new("bulk-1", 16 << 10, 1, 1),
    Load::new("bulk-8", 16 << 10, 1, 8),
    Load { read_bytes: 1 << 10, ..Load::new("client-1k", 64, 1, 8) },
    Load { zero_copy: false, ..Load::new("base64-8", 16 << 10, 1, 8) },
];

impl Load {
    const fn new(name: &'static str, write_bytes: usize, streams: usize, readers: usize) -> Load {
        Load { name, write_bytes, streams, readers, read_bytes: ANY_SIZE, zero_copy: true }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, turns) = match arguments.as_slice() {
        [name, turns, ..] => (name.as_str(), turns.parse().expect("TURNS is a number")),
        // `cargo bench` without a load: each once, to see that they run.
        _ => {
            for load in LOADS {
                println!("{} {}", load.name, carry(load, 2));
            }
            return;
        }
    };
    let load = LOADS.iter().find(|load| load.name == name);
    let Some(load) = load else {
        let names: Vec<&str> = LOADS.iter().map(|load| load.name).collect();
        panic!("no load {name}; there are {}", names.join(", "));
    };
    println!("{}", carry(load, turns));
}

struct Host {
    id: ChannelId,
    /// One read of its stream, ready to send.
    read: Bytes,
}

struct Broker {
    shard: Shard,
    now: Now,
}

/// Carries the load and returns the count of writes.
fn carry(load: &Load, turns: u64) -> u64 {
    let mut broker = Broker::new();
    let agent = broker.open(true);
    let (mut hosts, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..load.streams {
        let stream = broker.create(agent);
        writes.push(write_command(&stream, load.write_bytes));
        for _ in 0..load.readers {
            hosts.push(broker.host(&stream, load));
        }
    }
    let mut turn = Vec::new();
    let mut writes_per_turn = 0;
    for write in writes.iter().cycle() {
        if writes_per_turn > 0 && turn.len() + write.len() > TURN_BYTES {
            break;
        }
        turn.extend_from_slice(write);
        writes_per_turn += 1;
    }
    let turn = Bytes::from(turn);
    for _ in 0..turns {
        broker.receive(agent, &turn);
        let replies = (writes_per_turn * load.write_bytes as u64).div_ceil(load.read_bytes);
        let replies = if load.streams == 1 { replies } else { 1 };
        for host in &hosts {
            for _ in 0..replies {
                broker.receive(host.id, &host.read);
            }
        }
        broker.settle();
    }
    turns * writes_per_turn
}

impl Broker {
    fn new() -> Broker {
        let identity = Identity {
            agent_id: "0583851d".to_owned(),
            name: "bench".to_owned(),
            listens: Vec::new(),
        };
        let shard = Shard::new(WorkerId(0), 1, Limits::default(), Arc::new(identity));
        Broker { shard, now: Now { instant: Instant(1), unix_ms: 1 } }
    }

    fn open(&mut self, zero_copy: bool) -> ChannelId {
        let id = self.shard.open(self.now, "127.0.0.1:5".into());
        let names: &[u8] = if zero_copy { b"[\"ZeroCopy\"]" } else { b"[]" };
        self.receive(
            id,
            &message(|output| {
                MessageWriter::event(output, false, "Locator", "Hello").raw(names).end();
            }),
        );
        self.settle();
        id
    }

    /// Makes a stream and returns its ID in quotes.
    fn create(&mut self, agent: ChannelId) -> Vec<u8> {
        self.receive(
            agent,
            &message(|output| {
                let create = MessageWriter::command(output, true, b"1", "StreamBroker", "create");
                create.string("bench").raw(br#"{"BufferSize":1048576}"#).end();
            }),
        );
        self.shard.settle(self.now);
        let reply = self.shard.output(agent).to_vec();
        self.settle();
        let id = reply.split(|byte| *byte == 0).find(|field| field.starts_with(b"\"VS"));
        id.expect("the reply carries the stream's ID").to_vec()
    }

    fn host(&mut self, stream: &[u8], load: &Load) -> Host {
        let id = self.open(load.zero_copy);
        self.receive(
            id,
            &message(|output| {
                MessageWriter::command(output, true, b"1", "Streams", "connect").raw(stream).end();
            }),
        );
        self.settle();
        let read = message(|output| {
            let read = MessageWriter::command(output, true, b"123456", "Streams", "read");
            read.raw(stream).integer(load.read_bytes).end();
        });
        Host { id, read }
    }

    fn receive(&mut self, channel: ChannelId, buffer: &Bytes) {
        let mut input = &buffer[..];
        while !input.is_empty() {
            match self.shard.direct(channel) {
                Some(block) => {
                    let count = block.len().min(input.len());
                    block[..count].copy_from_slice(&input[..count]);
                    self.shard.filled(self.now, channel, count);
                    input = &input[count..];
                }
                None => self.shard.receive_from(self.now, channel, buffer, &mut input),
            }
            if !input.is_empty() && !self.shard.wants_input(channel) {
                self.settle();
            }
        }
    }

    /// Ends the turn, and takes all output as a kernel would that has room.
    fn settle(&mut self) {
        self.shard.settle(self.now);
        while let Some(channel) = self.shard.poll_ready() {
            let output = self.shard.output(channel);
            while !output.is_empty() {
                let mut slices = [IoSlice::new(&[]); 64];
                let filled = output.fill_slices(&mut slices);
                let sent = slices[..filled].iter().map(|slice| slice.len()).sum();
                black_box(&slices);
                output.advance(sent);
            }
            self.shard.sent(self.now, channel);
        }
    }
}

fn message(write: impl FnOnce(&mut Output)) -> Bytes {
    let mut output = Output::default();
    write(&mut output);
    output.to_vec().into()
}

fn write_command(stream: &[u8], bytes: usize) -> Bytes {
    let data = [Bytes::from(vec![b'x'; bytes])];
    message(|output| {
        let write = MessageWriter::command(output, true, b"123456", "Streams", "write");
        write.raw(stream).integer(bytes as u64).binary(&data).end();
    })
}
