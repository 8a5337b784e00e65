//! An agent and a host, and what passes between them.

use std::time::Duration;

use weir::id::{ChannelId, StreamId};
use weir::stream::{
    AttachOptions, Command, CoreLimits, Payload, Properties, Refusal, Reply, StallTimeout,
};

use crate::cluster::{Cluster, Told};

pub const STALL: Duration = Duration::from_millis(100);

/// An agent on worker 0 and a host on worker 0 or 1.
pub struct Pair {
    pub cluster: Cluster,
    pub agent: ChannelId,
    pub host: ChannelId,
}

/// Runs a test with the host beside the stream and away from it.
pub fn both(test: impl Fn(Pair)) {
    for host_worker in [0, 1] {
        let mut cluster = Cluster::new(7, 2, 64, &CoreLimits::default());
        let agent = cluster.open(0);
        let host = cluster.open(host_worker);
        test(Pair { cluster, agent, host });
    }
}

pub fn small(stall_timeout: StallTimeout) -> Properties {
    let mut properties = Properties::new("log");
    properties.buffer_bytes = 10;
    properties.history_bytes = 0;
    properties.stall_timeout = stall_timeout;
    properties
}

impl Pair {
    pub fn run(&mut self, channel: ChannelId, command: Command<'_>) -> Vec<Told> {
        self.cluster.send(channel, "command", command);
        self.cluster.rest();
        self.cluster.told(channel)
    }

    pub fn create(&mut self, properties: Properties) -> StreamId {
        match self.run(self.agent, Command::Create(Box::new(properties)))[..] {
            [Told::Reply(_, Reply::Stream(Ok(stream)))] => stream,
            ref other => panic!("{other:?}"),
        }
    }

    /// Writes, and says whether the write was answered at once.
    pub fn write(&mut self, stream: StreamId, text: &str) -> Option<Result<(), Refusal>> {
        let data = Payload::Borrowed(text.as_bytes());
        match self.run(self.agent, Command::Write { stream, data }).pop() {
            None => None,
            Some(Told::Reply(_, Reply::Done(result))) => Some(result),
            Some(other) => panic!("{other:?}"),
        }
    }

    pub fn connect(&mut self, stream: StreamId) {
        let told = self.run(self.host, Command::Connect(stream));
        assert!(matches!(told[..], [Told::Reply(_, Reply::Done(Ok(())))]), "{told:?}");
    }

    pub fn attach(&mut self, stream: StreamId, options: AttachOptions) -> (u64, u64) {
        match self.run(self.host, Command::Attach(stream, options))[..] {
            [Told::Reply(_, Reply::Attached(Ok((position, lost))))] => (position.0, lost),
            ref other => panic!("{other:?}"),
        }
    }

    /// Reads what is there: bytes, lost size, end of stream.
    pub fn read(&mut self, stream: StreamId) -> (String, u64, bool) {
        let told = self.run(self.host, Command::Read { stream, size: u64::MAX });
        for told in told {
            if let Told::Reply(_, Reply::Read { data, error: None, lost, eos }) = told {
                return (String::from_utf8(data.to_vec()).expect("text"), lost, eos);
            }
        }
        panic!("the read is not answered");
    }

    pub fn wait(&mut self, time: Duration) {
        self.cluster.now = self.cluster.now.plus(time);
        self.cluster.rest();
    }

    pub fn answers(&mut self) -> usize {
        self.cluster.rest();
        let told = self.cluster.told(self.agent);
        let done = |told: &&Told| matches!(told, Told::Reply(_, Reply::Done(Ok(()))));
        told.iter().filter(done).count()
    }
}
