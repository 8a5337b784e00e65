//! The core against a plain model: a vector of bytes a stream, and readers with a position each.
//!
//! Agents and hosts on several workers send random commands through mailboxes that are small and
//! slow. The bytes of a stream are known by their offset, so every reply can be checked at once:
//! right bytes, right order, and every byte either delivered or counted as lost.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rand::Rng;
use weir::id::{ChannelId, Offset, StreamId};
use weir::stream::{
    AttachOptions, Command, CoreLimits, Direction, From, Payload, Properties, Refusal, Reply,
    StallTimeout,
};

use crate::cluster::{Cluster, Told, seeds};

/// The byte that belongs at one place of one stream.
fn byte_at(stream: StreamId, offset: u64) -> u8 {
    let mixed = (stream.0 << 32 ^ offset).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

fn bytes_at(stream: StreamId, from: u64, len: u64) -> Vec<u8> {
    (from..from + len).map(|offset| byte_at(stream, offset)).collect()
}

#[derive(Default)]
struct Model {
    streams: HashMap<StreamId, ModelStream>,
    readers: HashMap<(ChannelId, StreamId), ModelReader>,
    /// Attachments whose `disposed` was told.
    disposed: HashSet<(ChannelId, StreamId)>,
    /// Where streams ended, as the first reader there was told.
    ends: HashMap<StreamId, u64>,
    /// What each command was about.
    asked: HashMap<u64, Asked>,
}

struct ModelStream {
    owner: Option<ChannelId>,
    /// Bytes handed in by the owner.
    written: u64,
    is_ended: bool,
    is_disposed: bool,
    lossless: bool,
    buffer_bytes: u64,
    /// Where writes end: the stream's end is always one of these, or within a write larger than
    /// its buffer.
    write_ends: Vec<u64>,
}

impl ModelStream {
    fn may_end_at(&self, end: u64) -> bool {
        let next = self.write_ends.partition_point(|known| *known < end);
        match self.write_ends.get(next) {
            Some(known) if *known == end => true,
            Some(known) => known - self.write_ends[next - 1] > self.buffer_bytes,
            None => false,
        }
    }
}

#[derive(Default)]
struct ModelReader {
    /// The next offset; unknown until the first reply after a `connect`.
    cursor: Option<u64>,
    got: u64,
    lost: u64,
}

#[derive(Clone, Copy)]
enum Asked {
    Create { lossless: bool, buffer_bytes: u64 },
    Write(StreamId),
    Read(StreamId),
    Connect(StreamId),
    Attach(StreamId),
    Disconnect(StreamId),
    Dispose(StreamId),
    Other,
}

impl Model {
    fn take(&mut self, cluster: &Cluster, channel: ChannelId, told: Told) {
        match told {
            Told::Created(stream) => {
                self.disposed.remove(&(channel, stream));
                let reader = self.readers.entry((channel, stream)).or_default();
                if reader.cursor.is_none() {
                    reader.cursor = position_of(cluster, channel, stream);
                }
            }
            Told::Disposed(stream) => {
                let once = self.disposed.insert((channel, stream));
                assert!(once, "{channel}: disposed is told once for {stream}");
            }
            Told::Reply(number, reply) => {
                let asked = self.asked.remove(&number).expect("a command of ours");
                self.take_reply(cluster, channel, asked, reply);
            }
        }
    }

    fn take_reply(&mut self, cluster: &Cluster, channel: ChannelId, asked: Asked, reply: Reply) {
        match (asked, reply) {
            (Asked::Create { lossless, buffer_bytes }, Reply::Stream(Ok(stream))) => {
                let owner = Some(channel);
                let state = ModelStream {
                    owner,
                    written: 0,
                    is_ended: false,
                    is_disposed: false,
                    lossless,
                    buffer_bytes,
                    write_ends: vec![0],
                };
                self.streams.insert(stream, state);
            }
            (Asked::Read(stream), Reply::Read { data, error, lost, eos }) => {
                let Some(reader) = self.readers.get_mut(&(channel, stream)) else {
                    let is_nothing = error.is_some() || (eos && data.is_empty());
                    assert!(is_nothing, "{channel} {stream}: {data:?} without a reader");
                    return;
                };
                if let Some(error) = error {
                    assert_eq!(eos, error == Refusal::Cancelled);
                    return;
                }
                if reader.cursor.is_none() && data.is_empty() && lost == 0 {
                    return;
                }
                let cursor = reader.cursor.expect("a known place") + lost;
                let data = data.to_vec();
                let expected = bytes_at(stream, cursor, data.len() as u64);
                assert_eq!(data, expected, "{channel} {stream} at {cursor}");
                reader.cursor = Some(cursor + data.len() as u64);
                reader.got += data.len() as u64;
                reader.lost += lost;
                if eos {
                    let end = *self.ends.entry(stream).or_insert(cursor + data.len() as u64);
                    assert_eq!(reader.cursor, Some(end), "{channel}: {stream} has one end");
                    if let Some(end_at_home) = end_at_home(cluster, stream) {
                        assert_eq!(end, end_at_home, "{channel}: {stream} ends where it ends");
                    }
                }
                let stream_state = &self.streams[&stream];
                assert!(!stream_state.lossless || lost == 0, "{stream} never loses");
            }
            (Asked::Connect(stream), Reply::Done(Ok(()))) => {
                if position_of(cluster, channel, stream).is_some() {
                    self.disposed.remove(&(channel, stream));
                }
                // A subscription may have told of the stream and had no room to connect to it.
                if let Some(place) = position_of(cluster, channel, stream) {
                    let reader = self.readers.entry((channel, stream)).or_default();
                    reader.cursor.get_or_insert(place);
                }
            }
            (Asked::Attach(stream), Reply::Attached(Ok((position, _)))) => {
                self.disposed.remove(&(channel, stream));
                if self.streams[&stream].owner != Some(channel) {
                    let cursor = Some(position.0);
                    let reader = ModelReader { cursor, ..ModelReader::default() };
                    self.readers.insert((channel, stream), reader);
                }
            }
            (Asked::Disconnect(stream), Reply::Done(Ok(()))) => {
                self.readers.remove(&(channel, stream));
            }
            (Asked::Dispose(stream), Reply::Done(Ok(()))) => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.is_disposed = true;
                }
            }
            (Asked::Write(stream), Reply::Done(Err(error))) => {
                let state = &self.streams[&stream];
                let is_over = state.is_ended || state.is_disposed;
                assert!(is_over || error != Refusal::EndOfFile, "{stream}: {error}");
            }
            _ => {}
        }
    }
}

fn position_of(cluster: &Cluster, channel: ChannelId, stream: StreamId) -> Option<u64> {
    let report = cluster.engines[channel.worker.index()].report();
    let reader = report.readers.iter().find(|r| r.channel == channel && r.stream == stream)?;
    Some(reader.position.0)
}

fn end_at_home(cluster: &Cluster, stream: StreamId) -> Option<u64> {
    let home = stream.home(cluster.engines.len() as u16);
    let report = cluster.engines[home.index()].report();
    report.streams.iter().find(|known| known.id == stream).map(|known| known.end.0)
}

struct Run {
    cluster: Cluster,
    model: Model,
    agents: Vec<ChannelId>,
    hosts: Vec<ChannelId>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let workers = 1 + (seed % 3) as u16;
        // Every fourth run has less memory than its streams' buffers.
        let memory_bytes_max = if seed % 4 == 3 { 1200 } else { 1 << 30 };
        let limits = CoreLimits {
            memory_bytes_max,
            stream_bytes_min: 40,
            short_bytes: 200,
            parked_bytes_pause: 600,
            outgoing_messages_pause: 6,
            served_bytes_per_turn: 300,
            ..CoreLimits::default()
        };
        let mailbox_max = 1 + (seed / 3 % 5) as usize;
        let mut cluster = Cluster::new(seed, workers, mailbox_max, &limits);
        let agents = (0..3).map(|n| cluster.open(n % usize::from(workers))).collect();
        let hosts = (0..6).map(|n| cluster.open(n % usize::from(workers))).collect();
        Run { cluster, model: Model::default(), agents, hosts }
    }

    fn send(&mut self, channel: ChannelId, name: &'static str, asked: Asked, command: Command<'_>) {
        let number = self.cluster.send(channel, name, command);
        self.model.asked.insert(number, asked);
    }

    /// Reads what every channel was told. Positions are asked for as soon as a channel is attached,
    /// so this comes after every step.
    fn listen(&mut self) {
        let channels: Vec<_> = self.cluster.channels.keys().copied().collect();
        for channel in channels {
            for told in self.cluster.told(channel) {
                self.model.take(&self.cluster, channel, told);
            }
        }
    }

    fn pick_stream(&mut self) -> Option<StreamId> {
        let mut ids: Vec<_> = self.model.streams.keys().copied().collect();
        ids.sort_unstable();
        (!ids.is_empty()).then(|| ids[self.cluster.rng.random_range(0..ids.len())])
    }

    fn agent_step(&mut self, agent: ChannelId) {
        let dice = self.cluster.rng.random_range(0..100);
        if dice < 8 && self.model.streams.len() < 12 {
            let mut properties = Properties::new(["log", "trace"][dice % 2]);
            properties.buffer_bytes = self.cluster.rng.random_range(1..400);
            properties.history_bytes = self.cluster.rng.random_range(0..=properties.buffer_bytes);
            properties.hold = dice == 3;
            let lossless = self.cluster.rng.random_bool(0.4);
            properties.stall_timeout = match lossless {
                true => StallTimeout::Never,
                false => {
                    let ms = self.cluster.rng.random_range(0..3) * 40;
                    StallTimeout::After(Duration::from_millis(ms))
                }
            };
            let buffer_bytes = properties.buffer_bytes;
            let command = Command::Create(Box::new(properties));
            let asked = Asked::Create { lossless, buffer_bytes };
            return self.send(agent, "create", asked, command);
        }
        let Some(stream) = self.pick_stream() else { return };
        let state = self.model.streams.get_mut(&stream).expect("picked");
        if state.owner != Some(agent) {
            return;
        }
        if dice < 90 {
            let most = if dice < 15 { 600 } else { 200 };
            let len = self.cluster.rng.random_range(0..most);
            let data = bytes_at(stream, state.written, len);
            if !state.is_ended && !state.is_disposed {
                state.written += len;
                state.write_ends.push(state.written);
            }
            let data = Payload::Borrowed(&data);
            self.send(agent, "write", Asked::Write(stream), Command::Write { stream, data });
        } else if dice < 94 {
            state.is_ended = true;
            self.send(agent, "eos", Asked::Other, Command::Eos(stream));
        } else if dice < 96 {
            state.is_disposed = true;
            self.send(agent, "dispose", Asked::Dispose(stream), Command::Dispose(stream));
        }
    }

    fn host_step(&mut self, host: ChannelId) {
        let dice = self.cluster.rng.random_range(0..100);
        if dice < 6 {
            let wanted = ["*", "log", "trace"][dice % 3];
            return self.send(host, "subscribe", Asked::Other, Command::Subscribe(wanted));
        }
        if dice < 8 {
            return self.send(host, "unsubscribe", Asked::Other, Command::Unsubscribe("log"));
        }
        if dice < 10 {
            return self.send(host, "list", Asked::Other, Command::List(None));
        }
        let Some(stream) = self.pick_stream() else { return };
        if dice < 20 {
            let asked = Asked::Connect(stream);
            return self.send(host, "connect", asked, Command::Connect(stream));
        }
        // A move would make the bytes of reads under way uncertain to the model, so it comes first.
        if dice < 26 && !self.model.readers.contains_key(&(host, stream)) {
            let from = match dice % 3 {
                0 => From::Oldest,
                1 => From::Latest,
                _ => From::Offset(Offset(self.cluster.rng.random_range(0..500))),
            };
            let stall_timeout = None;
            let command = Command::Attach(stream, AttachOptions { from, stall_timeout });
            return self.send(host, "attach", Asked::Attach(stream), command);
        }
        if dice < 30 {
            let asked = Asked::Disconnect(stream);
            return self.send(host, "disconnect", asked, Command::Disconnect(stream));
        }
        if dice < 80 {
            let size = self.cluster.rng.random_range(0..300);
            self.send(host, "read", Asked::Read(stream), Command::Read { stream, size });
        }
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.cluster.rng.random_bool(0.05) {
                let ms = self.cluster.rng.random_range(1..60);
                self.cluster.now = self.cluster.now.plus(Duration::from_millis(ms));
            }
            let all = self.agents.len() + self.hosts.len();
            let pick = self.cluster.rng.random_range(0..all);
            let channel = *self.agents.iter().chain(&self.hosts).nth(pick).expect("in range");
            if !self.cluster.channels[&channel].waits {
                match pick < self.agents.len() {
                    true => self.agent_step(channel),
                    false => self.host_step(channel),
                }
            }
            self.listen();
            self.cluster.stir();
            self.listen();
            self.check_accounts();
        }
    }

    /// `start + delivered + lost = position`, for every reader, at any time.
    fn check_accounts(&self) {
        for engine in &self.cluster.engines {
            let report = engine.report();
            for reader in &report.readers {
                let sum = reader.start.0 + reader.delivered + reader.lost;
                assert_eq!(sum, reader.position.0, "{reader:?}");
            }
            for stream in &report.streams {
                assert!(stream.end.since(stream.start) <= stream.buffer_bytes, "{stream:?}");
                let known = self.model.streams.get(&stream.id);
                assert!(known.is_none_or(|known| known.may_end_at(stream.end.0)), "{stream:?}");
            }
        }
    }

    /// Everybody leaves; nothing may be left behind.
    fn end(&mut self) {
        self.cluster.rest();
        self.listen();
        let channels: Vec<_> = self.hosts.iter().chain(&self.agents).copied().collect();
        for &channel in &channels {
            self.cluster.finish(channel);
        }
        self.cluster.rest();
        self.listen();
        for &channel in &channels {
            let state = &self.cluster.channels[&channel];
            assert!(state.is_finished, "{channel} is not finished");
            assert!(state.pending.is_empty(), "{channel} waits for {:?}", state.pending);
        }
        for &channel in &channels {
            self.cluster.close(channel);
        }
        self.cluster.rest();
        for engine in &self.cluster.engines {
            let report = engine.report();
            assert!(report.streams.is_empty(), "left behind: {:?}", report.streams);
            assert!(report.readers.is_empty(), "left behind: {:?}", report.readers);
            assert_eq!(report.held_bytes, 0, "memory that nobody holds still counts");
        }
    }
}

#[test]
fn random_commands_agree_with_the_model() {
    for seed in seeds(300) {
        let caught = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            run.run(600);
            run.end();
        });
        if let Err(panic) = caught {
            eprintln!("replay with WEIR_SEED={seed} cargo test --test property random_commands");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn an_input_stream_takes_whole_writes_of_many_channels() {
    for seed in seeds(100) {
        let mut cluster = Cluster::new(seed, 3, 2, &CoreLimits::default());
        let creator = cluster.open(0);
        let mut properties = Properties::new("console");
        properties.direction = Direction::In;
        properties.buffer_bytes = 50;
        properties.history_bytes = 0;
        properties.stall_timeout = StallTimeout::Never;
        cluster.send(creator, "create", Command::Create(Box::new(properties)));
        let [Told::Reply(_, Reply::Stream(Ok(stream)))] = cluster.told(creator)[..] else {
            panic!("no stream")
        };
        let writers: Vec<_> = (0..6).map(|n| cluster.open(n % 3)).collect();
        for &writer in &writers {
            cluster.send(writer, "connect", Command::Connect(stream));
            cluster.rest();
        }
        // A record is its length, its writer, its number, and filling: a torn one would show.
        let mut sent = 0;
        for number in 0..20u8 {
            for (index, &writer) in writers.iter().enumerate() {
                let len = 3 + cluster.rng.random_range(0..120u8);
                let mut record = vec![index as u8; usize::from(len)];
                record[0] = len;
                record[2] = number;
                sent += usize::from(len);
                let data = Payload::Borrowed(&record);
                cluster.send(writer, "write", Command::Write { stream, data });
                cluster.stir();
            }
        }
        let mut bytes = Vec::new();
        while bytes.len() < sent {
            let size = cluster.rng.random_range(1..80);
            cluster.send(creator, "read", Command::Read { stream, size });
            cluster.rest();
            for told in cluster.told(creator) {
                let Told::Reply(_, Reply::Read { data, lost: 0, .. }) = told else { continue };
                bytes.extend(data.to_vec());
            }
        }
        let mut next = vec![0; writers.len()];
        let mut rest = &bytes[..];
        while let [len, writer, number, ..] = *rest {
            let (record, later) = rest.split_at(usize::from(len));
            assert!(record[3..].iter().all(|byte| *byte == writer), "seed {seed}: torn");
            assert_eq!(next[usize::from(writer)], number, "seed {seed}: out of order");
            next[usize::from(writer)] += 1;
            rest = later;
        }
        assert!(next.iter().all(|count| *count == 20), "seed {seed}: {next:?}");
    }
}
