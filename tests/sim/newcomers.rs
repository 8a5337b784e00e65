//! Whatever others make the broker hold: somebody new can create a stream, write, and be read.

use weir::stream::Direction;

use crate::asked::{Asked, Spec};
use crate::model::{Complaint, Key};
use crate::network::Conn;
use crate::peer::{Peer, Role};
use crate::world::World;

/// Writes, of half a buffer each.
const WRITES: u64 = 6;

/// What their connections take at once.
const CONN_BYTES: usize = 20_000;

impl World {
    /// An agent and a host come, and are served.
    pub fn serve_newcomers(&mut self) -> Result<(), Complaint> {
        let (agent, host) = (self.arrive(Role::Agent)?, self.arrive(Role::Host)?);
        let serial = self.model.specs.len();
        let buffer = self.scale.bytes;
        self.model.specs.push(Spec {
            stream_type: "new".to_owned(),
            direction: Direction::Out,
            buffer,
            history: 0,
            // Who subscribes to everything and reads nothing holds nobody up.
            stall: Some(0),
            hold: false,
            linger: 0,
            key: None,
            keep_for: 0,
            is_patterned: true,
            agent,
            asked_at: self.model.step,
        });
        self.say(agent, Asked::Create(serial))?;
        let mut streams = self.model.streams.iter();
        let created = streams.find(|(_, stream)| stream.spec.agent == agent);
        let Some((&stream, _)) = created else {
            return Err("a newcomer may create no stream".to_owned());
        };
        self.say(host, Asked::Attach { stream, from: Some(0), stall: Some(None) })?;
        let len = buffer / 2;
        for write in 0..WRITES {
            self.say(agent, Asked::Write { stream, offset: write * len, len })?;
            self.say(host, Asked::Read { stream, size: buffer })?;
        }
        self.say(agent, Asked::Eos(stream))?;
        self.say(host, Asked::Read { stream, size: 1 })?;
        let (acked, whole) = (self.model.streams[&stream].acked, WRITES * len);
        let reader = &self.model.channel(self.key_of(host)?).readers[&stream];
        match acked == whole && reader.got == whole && reader.has_end {
            true => Ok(()),
            false => Err(format!("newcomers: of {whole} bytes {acked} are accepted, {reader:?}")),
        }
    }

    fn key_of(&self, index: usize) -> Result<Key, Complaint> {
        let link = self.peers[index].link.as_ref();
        link.map(|link| link.key).ok_or_else(|| format!("newcomer {index} has lost its connection"))
    }

    fn arrive(&mut self, role: Role) -> Result<usize, Complaint> {
        let index = self.peers.len();
        self.peers.push(Peer::new(index, role));
        self.connect_through(index, Conn::new(CONN_BYTES, CONN_BYTES));
        self.peers[index].greet(&mut self.model, &mut self.rng);
        self.say(index, Asked::Sync)?;
        Ok(index)
    }

    /// A newcomer says something, which must be answered when everything has come to rest.
    fn say(&mut self, index: usize, asked: Asked) -> Result<(), Complaint> {
        self.peers[index].ask(&mut self.model, asked, &mut self.rng);
        self.rest()?;
        let key = self.key_of(index)?;
        match self.model.channel(key).pending.first_key_value() {
            Some((_, asked)) => Err(format!("newcomer {key} has no answer to {asked:?}")),
            None => Ok(()),
        }
    }
}
