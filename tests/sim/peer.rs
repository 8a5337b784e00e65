//! One peer: what it says, byte for byte, and what it makes of the answers.

use std::collections::VecDeque;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::asked::Asked;
use crate::hostile::Habit;
use crate::model::{Complaint, Key, Model};
use crate::network::{Conn, Read};
use crate::support::Message;
use crate::support::framing::{Decoder, bin_block, escape};
use crate::support::message::{base64_arg, counted_arg};

/// What a peer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Writes patterned streams and reads nothing.
    Agent,
    /// Reads, and writes records where it may.
    Host,
    /// Sends something malformed sooner or later.
    Vandal,
    /// Makes the broker hold what it can.
    Hostile(Habit),
}

/// How far a connection's end has come, as its peer wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    No,
    /// What waits is sent, then the direction is shut.
    Shutting,
    Shut,
}

/// A peer's connection.
#[derive(Debug)]
pub struct Link {
    pub key: Key,
    decoder: Decoder,
    outgoing: VecDeque<u8>,
    pub zero_copy: bool,
    /// Whether the peer takes in what the broker sends.
    pub reads: bool,
    /// It has not read for a while at some time, so the broker may have given it up.
    pub has_stalled: bool,
    pub leaving: Leaving,
    pub has_greeted: bool,
    pub sent_nonsense: bool,
    /// It has begun a message that it will not end.
    pub is_half: bool,
    pub is_hostile: bool,
    /// How long tokens are at least.
    pub token_chars: usize,
}

#[derive(Debug)]
pub struct Peer {
    pub index: usize,
    pub role: Role,
    pub link: Option<Link>,
    /// Places where readings broke off: stream and next offset.
    pub bookmarks: Vec<(u64, u64)>,
    pub is_traced: bool,
}

/// What came of listening to a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    Something,
    /// The broker's end of stream and FIN.
    End,
    Broken,
}

impl Link {
    pub fn new(key: Key, zero_copy: bool) -> Link {
        Link {
            key,
            decoder: Decoder::default(),
            outgoing: VecDeque::new(),
            zero_copy,
            reads: true,
            has_stalled: false,
            leaving: Leaving::No,
            has_greeted: false,
            sent_nonsense: false,
            is_half: false,
            is_hostile: false,
            token_chars: 1,
        }
    }

    /// Whether more may be said; what was said before is on its way.
    pub fn may_speak(&self) -> bool {
        let is_whole = !self.sent_nonsense && !self.is_half;
        self.leaving == Leaving::No && self.outgoing.len() < 2000 && is_whole
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.outgoing.extend(bytes);
    }

    /// Ends the connection's way up behind what was said before.
    pub fn leave(&mut self, with_eos: bool) {
        if self.leaving == Leaving::No {
            if with_eos {
                self.say(b"\x03\x02\x03\x01");
            }
            self.leaving = Leaving::Shutting;
        }
    }

    /// Sends up to `max` bytes of what waits; whether anything moved.
    pub fn send(&mut self, conn: &mut Conn, max: usize) -> bool {
        let bytes: Vec<u8> = self.outgoing.iter().take(max).copied().collect();
        let count = conn.peer_write(&bytes);
        self.outgoing.drain(..count);
        if self.outgoing.is_empty() && self.leaving == Leaving::Shutting {
            conn.peer_shut();
            self.leaving = Leaving::Shut;
            return true;
        }
        count > 0
    }
}

impl Peer {
    pub fn new(index: usize, role: Role) -> Peer {
        let is_traced = std::env::var_os("WEIR_TRACE").is_some();
        Peer { index, role, link: None, bookmarks: Vec::new(), is_traced }
    }

    /// Reads up to `max` bytes and holds every message against the model.
    pub fn listen(
        &mut self,
        conn: &mut Conn,
        model: &mut Model,
        max: usize,
    ) -> Result<Heard, Complaint> {
        let Some(link) = &mut self.link else { return Ok(Heard::Nothing) };
        let bytes = match conn.peer_read(if link.reads { max } else { 0 }) {
            Read::Bytes(bytes) if bytes.is_empty() => return Ok(Heard::Nothing),
            Read::Bytes(bytes) => bytes,
            Read::Nothing => return Ok(Heard::Nothing),
            Read::End => return Ok(Heard::End),
            Read::Broken => return Ok(Heard::Broken),
        };
        link.decoder.push(&bytes);
        while let Some(unit) = link.decoder.next_unit()? {
            let message = Message::parse(unit)?;
            if self.is_traced {
                eprintln!("    {} <- {}", link.key, describe(&message));
            }
            let taken = model.take(link.key, &message);
            taken.map_err(|complaint| format!("channel {}: {complaint}", link.key))?;
            if matches!(message, Message::End { .. }) {
                link.leave(false);
            }
        }
        if link.decoder.bin_blocks() > 0 && !link.zero_copy {
            return Err(format!("a BIN block for channel {}, which has no ZeroCopy", link.key));
        }
        Ok(Heard::Something)
    }

    /// Says Hello, some commands perhaps before it.
    pub fn greet(&mut self, model: &mut Model, rng: &mut SmallRng) {
        if rng.random_bool(0.1) {
            self.ask(model, Asked::Unknown, rng);
        }
        let Some(link) = &mut self.link else { return };
        link.has_greeted = true;
        let services = if link.zero_copy { "[\"Locator\",\"ZeroCopy\"]" } else { "[\"Locator\"]" };
        link.say(format!("E\0Locator\0Hello\0{services}\0\x03\x01").as_bytes());
    }

    /// Sends one command.
    pub fn ask(&mut self, model: &mut Model, asked: Asked, rng: &mut SmallRng) {
        let Some(link) = &mut self.link else { return };
        let token = model.ask(link.key, asked.clone());
        if self.is_traced {
            eprintln!("{} -> {token} {asked:?}", link.key);
        }
        let (service, name) = asked.names();
        let mut body = Vec::new();
        let token = format!("{token:0>width$}", width = link.token_chars);
        for field in ["C", &token, service, name] {
            body.extend_from_slice(field.as_bytes());
            body.push(0);
        }
        let mut bytes = Vec::new();
        for arg in asked.arguments(model) {
            body.extend_from_slice(arg.to_string().as_bytes());
            body.push(0);
        }
        let Some(data) = asked.data() else {
            escape(&body, &mut bytes);
            bytes.extend_from_slice(b"\x03\x01");
            return link.say(&bytes);
        };
        match rng.random_range(0..3) {
            0 => {
                body.extend_from_slice(&base64_arg(&data));
                body.push(0);
                escape(&body, &mut bytes);
            }
            1 => {
                body.extend_from_slice(&counted_arg(&data));
                body.push(0);
                escape(&body, &mut bytes);
            }
            _ => {
                body.extend_from_slice(format!("({})", data.len()).as_bytes());
                escape(&body, &mut bytes);
                bin_block(&data, &mut bytes);
                bytes.push(0);
            }
        }
        bytes.extend_from_slice(b"\x03\x01");
        link.say(&bytes);
    }
}

fn describe(message: &Message) -> String {
    let text = format!("{message:?}");
    let args: Vec<String> = match message {
        Message::Reply { token, args } => std::iter::once(token)
            .chain(args)
            .map(|arg| arg[..arg.len().min(60)].escape_ascii().to_string())
            .collect(),
        Message::Event { name, args, .. } => std::iter::once(name.clone())
            .chain(args.iter().map(|arg| arg[..arg.len().min(60)].escape_ascii().to_string()))
            .collect(),
        _ => vec![text],
    };
    args.join(" | ")
}
