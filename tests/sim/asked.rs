//! What a peer may ask of the broker: as the model knows it, and as it is said on the wire.

use serde_json::{Value, json};
use weir::stream::Direction;

use crate::content::{Record, pattern};
use crate::model::Model;
use crate::places::Moment;

/// What `create` asked for.
#[derive(Clone, Debug)]
pub struct Spec {
    pub stream_type: String,
    pub direction: Direction,
    pub buffer: u64,
    pub history: u64,
    /// Milliseconds; `None` is for ever.
    pub stall: Option<u64>,
    pub hold: bool,
    pub linger: u64,
    pub key: Option<String>,
    pub keep_for: u64,
    /// One writer, and bytes known by their offset.
    pub is_patterned: bool,
    /// Who asked, in the order of peers.
    pub agent: usize,
    pub asked_at: u64,
}

/// How a place is to be taken.
#[derive(Clone, Debug)]
pub struct Placing {
    /// The peer whose place it is; `None` for one that peers take from each other.
    pub peer: Option<usize>,
    pub from: Option<u64>,
    /// Milliseconds; `None` is for ever.
    pub stall: Option<u64>,
    pub keep_for: u64,
    pub asked: Moment,
}

#[derive(Clone, Debug)]
pub enum Asked {
    Sync,
    List,
    Create(usize),
    Adopt(u64),
    Subscribe(String),
    Unsubscribe(String),
    Connect(u64),
    Attach {
        stream: u64,
        from: Option<u64>,
        stall: Option<Option<u64>>,
    },
    TakePlace(u64, Placing),
    Confirm {
        stream: u64,
        offset: u64,
        /// Whether it can only succeed, or only fail, where that is known.
        must_succeed: Option<bool>,
    },
    Disconnect(u64),
    Read {
        stream: u64,
        size: u64,
    },
    Write {
        stream: u64,
        offset: u64,
        len: u64,
    },
    WriteRecord {
        stream: u64,
        record: Record,
    },
    /// A write whose size does not match its data.
    WriteBadly(u64),
    Eos(u64),
    Dispose(u64),
    Unknown,
}

impl Asked {
    /// The service and the command.
    pub fn names(&self) -> (&'static str, &'static str) {
        match self {
            Asked::Sync => ("Locator", "sync"),
            Asked::List => ("StreamBroker", "list"),
            Asked::Create(_) => ("StreamBroker", "create"),
            Asked::Adopt(_) => ("StreamBroker", "adopt"),
            Asked::Attach { .. } | Asked::TakePlace(..) => ("StreamBroker", "attach"),
            Asked::Confirm { .. } => ("StreamBroker", "confirm"),
            Asked::Dispose(_) => ("StreamBroker", "dispose"),
            Asked::Subscribe(_) => ("Streams", "subscribe"),
            Asked::Unsubscribe(_) => ("Streams", "unsubscribe"),
            Asked::Connect(_) => ("Streams", "connect"),
            Asked::Disconnect(_) => ("Streams", "disconnect"),
            Asked::Read { .. } => ("Streams", "read"),
            Asked::Write { .. } | Asked::WriteRecord { .. } | Asked::WriteBadly(_) => {
                ("Streams", "write")
            }
            Asked::Eos(_) => ("Streams", "eos"),
            Asked::Unknown => ("Nobody", "knows"),
        }
    }

    /// All arguments but binary data.
    pub fn arguments(&self, model: &Model) -> Vec<Value> {
        let name = |id: &u64| json!(format!("VS{id}"));
        match self {
            Asked::Sync | Asked::Unknown => Vec::new(),
            Asked::List => vec![json!("*")],
            Asked::Create(serial) => {
                let spec = &model.specs[*serial];
                vec![json!(spec.stream_type), spec.properties(*serial)]
            }
            Asked::Adopt(id) => {
                let key = model.streams.get(id).and_then(|stream| stream.spec.key.clone());
                vec![name(id), json!(key.unwrap_or_else(|| "guessed".to_owned()))]
            }
            Asked::Subscribe(wanted) | Asked::Unsubscribe(wanted) => vec![json!(wanted)],
            Asked::Connect(id) | Asked::Disconnect(id) | Asked::Eos(id) | Asked::Dispose(id) => {
                vec![name(id)]
            }
            Asked::Attach { stream, from, stall } => {
                let mut options = json!({});
                if let Some(from) = from {
                    options["From"] = json!(from);
                }
                if let Some(stall) = stall {
                    options["StallTimeout"] = json!(stall);
                }
                vec![name(stream), options]
            }
            Asked::TakePlace(stream, placing) => vec![name(stream), placing.options()],
            Asked::Confirm { stream, offset, .. } => vec![name(stream), json!(offset)],
            Asked::Read { stream, size } => vec![name(stream), json!(size)],
            Asked::Write { stream, len, .. } => vec![name(stream), json!(len)],
            Asked::WriteRecord { stream, record } => vec![name(stream), json!(record.len)],
            Asked::WriteBadly(id) => vec![name(id), json!(7)],
        }
    }

    pub fn data(&self) -> Option<Vec<u8>> {
        match self {
            Asked::Write { stream, offset, len } => Some(pattern(*stream, *offset, *len)),
            Asked::WriteRecord { record, .. } => Some(record.bytes()),
            Asked::WriteBadly(_) => Some(vec![0; 9]),
            _ => None,
        }
    }

    /// Whether it may make the broker hold more, so that it may be refused where memory is short.
    pub fn takes_memory(&self) -> bool {
        match self {
            Asked::List
            | Asked::Create(_)
            | Asked::Adopt(_)
            | Asked::Subscribe(_)
            | Asked::Connect(_)
            | Asked::Attach { .. }
            | Asked::TakePlace(..)
            | Asked::Read { .. }
            | Asked::Write { .. }
            | Asked::WriteRecord { .. } => true,
            Asked::Sync
            | Asked::Unsubscribe(_)
            | Asked::Confirm { .. }
            | Asked::Disconnect(_)
            | Asked::WriteBadly(_)
            | Asked::Eos(_)
            | Asked::Dispose(_)
            | Asked::Unknown => false,
        }
    }

    /// Whether it may be answered with this error code; 0 is success.
    pub fn allows(&self, code: i64) -> bool {
        match self {
            Asked::Sync | Asked::List | Asked::Unknown | Asked::Read { .. } => code == 0,
            Asked::Create(_) => [0, 4].contains(&code),
            Asked::Adopt(_) => [0, 9, 16].contains(&code),
            Asked::Subscribe(_) => [0, 1].contains(&code),
            Asked::Unsubscribe(_) | Asked::Connect(_) | Asked::Dispose(_) => {
                [0, 16].contains(&code)
            }
            Asked::Attach { .. } => [0, 16, 20].contains(&code),
            Asked::TakePlace(..) => [0, 16, 20, 23].contains(&code),
            Asked::Confirm { must_succeed, .. } => match must_succeed {
                Some(must_succeed) => (code == 0) == *must_succeed && [0, 1, 20].contains(&code),
                None => [0, 1, 20].contains(&code),
            },
            Asked::Disconnect(_) => [0, 1].contains(&code),
            Asked::WriteBadly(_) => code == 15,
            Asked::Write { .. } => [0, 1, 6, 9, 23].contains(&code),
            Asked::WriteRecord { .. } => [0, 1, 4, 6, 9, 23].contains(&code),
            Asked::Eos(_) => [0, 1, 6, 9, 23].contains(&code),
        }
    }
}

impl Spec {
    /// What `create` is told.
    fn properties(&self, serial: usize) -> Value {
        let mut properties = json!({
            "ContextID": serial.to_string(), "Direction": self.direction.as_str(),
            "BufferSize": self.buffer, "History": self.history, "StallTimeout": self.stall,
            "Hold": self.hold, "Linger": self.linger, "KeepFor": self.keep_for,
        });
        if let Some(key) = &self.key {
            properties["Key"] = json!(key);
        }
        properties
    }
}

impl Placing {
    /// A peer's own, which loses nothing as long as its connection lasts.
    pub fn own(peer: usize, asked: Moment) -> Placing {
        Placing { peer: Some(peer), from: None, stall: None, keep_for: 0, asked }
    }

    /// The name of the place.
    pub fn name(&self) -> String {
        self.peer.map_or_else(|| "anybody's".to_owned(), |peer| format!("of peer {peer}"))
    }

    /// What `attach` is told.
    fn options(&self) -> Value {
        let mut options = json!({
            "Place": self.name(), "KeepFor": self.keep_for, "StallTimeout": self.stall,
        });
        if let Some(from) = self.from {
            options["From"] = json!(from);
        }
        options
    }
}
