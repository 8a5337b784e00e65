//! Engines of several workers in one thread, their messages passed by hand.

use weir::id::{ChannelId, StreamId, Token, WorkerId};
use weir::stream::{Command, CoreLimits, Effect, Engine, Payload, Properties, Reply};
use weir::time::Instant;

const NOW: Instant = Instant(1);

/// What one read asks for: everything.
const READ_BYTES: u64 = 1 << 20;

/// The engines of a broker.
pub struct Cluster {
    pub engines: Vec<Engine>,
    channels: u32,
}

impl Cluster {
    pub fn new(workers: u16) -> Cluster {
        let engine = |me| Engine::new(WorkerId(me), workers, CoreLimits::default());
        Cluster { engines: (0..workers).map(engine).collect(), channels: 0 }
    }

    fn open(&mut self, worker: u16) -> ChannelId {
        let slot = self.channels;
        self.channels += 1;
        let channel = ChannelId { worker: WorkerId(worker), slot, generation: 0 };
        self.engine(channel).open(channel, "127.0.0.1:5".into());
        channel
    }

    fn engine(&mut self, channel: ChannelId) -> &mut Engine {
        &mut self.engines[channel.worker.index()]
    }

    /// A channel on this worker with a stream of its own.
    pub fn agent(&mut self, worker: u16) -> (ChannelId, StreamId) {
        let channel = self.open(worker);
        let create = Command::Create(Box::new(Properties::new("bench")));
        self.execute(channel, create);
        let stream = std::iter::from_fn(|| self.engine(channel).poll_effect())
            .find_map(|effect| match effect {
                Effect::Reply { reply: Reply::Stream(Ok(stream)), .. } => Some(stream),
                _ => None,
            })
            .expect("a stream is made at once");
        self.settle();
        (channel, stream)
    }

    /// A channel on this worker that is connected to the stream.
    pub fn host(&mut self, worker: u16, stream: StreamId) -> ChannelId {
        let channel = self.open(worker);
        self.execute(channel, Command::Connect(stream));
        self.settle();
        channel
    }

    pub fn write(&mut self, agent: ChannelId, stream: StreamId, data: &[u8]) {
        let mut writes = self.engine(agent).writes(agent, stream).expect("nobody waits");
        assert!(writes.append(&Payload::Borrowed(data)), "there is space");
    }

    pub fn read(&mut self, host: ChannelId, stream: StreamId) {
        self.execute(host, Command::Read { stream, size: READ_BYTES });
    }

    fn execute(&mut self, channel: ChannelId, command: Command<'_>) {
        let _ = self.engine(channel).execute(NOW, channel, &Token::new(b"123456"), command);
    }

    /// Lets everything follow, and returns the bytes that readers got.
    pub fn settle(&mut self) -> usize {
        let mut bytes = 0;
        loop {
            for engine in &mut self.engines {
                engine.settle(NOW);
                while let Some(effect) = engine.poll_effect() {
                    if let Effect::Reply { reply: Reply::Read { data, .. }, .. } = effect {
                        bytes += data.len();
                    }
                }
            }
            if !self.exchange() {
                return bytes;
            }
        }
    }

    /// Passes the engines' messages on; false where there were none.
    fn exchange(&mut self) -> bool {
        let mut has_passed = false;
        for from in 0..self.engines.len() {
            for to in (0..self.engines.len()).filter(|to| *to != from) {
                let (from_id, to_id) = (WorkerId(from as u16), WorkerId(to as u16));
                while let Some(message) = self.engines[from].poll_message(to_id) {
                    has_passed = true;
                    self.engines[to].handle_message(NOW, from_id, message);
                }
            }
        }
        has_passed
    }
}
