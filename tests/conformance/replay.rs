//! Plays a recording against a real broker.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::{Bindings, same_args};
use crate::support::framing::{Decoder, Unit};
use crate::support::message::{binary, error_code, json};
use crate::support::peer::ReadReply;
use crate::support::{Message, PATIENCE, RawPeer, TestServer};
use crate::transcript::{self, Record, Way};

/// Plays the recording and checks every answer.
///
/// # Panics
///
/// Where the broker answers otherwise than the reference did.
pub fn replay(name: &str) {
    let mut server = TestServer::start();
    let mut bindings = Bindings::default();
    let mut connections: BTreeMap<String, Connection> = BTreeMap::new();
    for record in transcript::read(name) {
        let connection = connections
            .entry(record.connection.clone())
            .or_insert_with(|| Connection::new(RawPeer::connect(server.address())));
        let done = match record.way {
            Way::ToServer => connection.send(&record, &bindings),
            Way::ToClient => connection.expect(&record, &mut bindings),
        };
        if let Err(why) = done {
            panic!("{name}.jsonl:{}: connection {}: {why}", record.line, record.connection);
        }
    }
    for (label, connection) in &mut connections {
        if let Err(why) = connection.finish(&bindings) {
            panic!("{name}.jsonl, at the end: connection {label}: {why}");
        }
    }
    server.assert_well();
}

/// What kind of answer a message is, for its place among others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Data or end of stream for a read.
    Data,
    /// A write or an end that was accepted.
    Accepted,
    /// A write or an end that was not.
    NotAccepted,
    /// `disposed` of a stream that a command has disposed: design.md lets it come at once.
    DisposedByCommand,
    /// All else.
    Fixed,
}

impl Kind {
    fn is_free_against(&self, other: &Kind) -> bool {
        use Kind::{Accepted, Data, DisposedByCommand, NotAccepted};
        matches!(
            (self, other),
            (Data, Accepted)
                | (Accepted, Data)
                | (Accepted, NotAccepted)
                | (NotAccepted, Accepted)
                | (DisposedByCommand, _)
                | (_, DisposedByCommand)
        )
    }
}

#[derive(Clone, Debug)]
struct Command {
    name: String,
    /// The recorded ID of the stream in the first argument.
    stream: String,
    order: usize,
}

/// What reads of one stream have brought.
#[derive(Debug, Default)]
struct Bytes {
    recorded: Vec<u8>,
    ours: Vec<u8>,
    recorded_eos: bool,
    our_eos: bool,
}

struct Connection {
    peer: RawPeer,
    sent: Decoder,
    recorded: Decoder,
    commands: BTreeMap<Vec<u8>, Command>,
    /// What the broker has sent.
    received: Vec<Message>,
    /// For each of them, the place of the recorded message that it answers, and what it is.
    places: Vec<Option<(usize, Kind)>>,
    next_place: usize,
    bytes: BTreeMap<String, Bytes>,
    disposed_by_command: BTreeSet<String>,
    is_closed: bool,
}

impl Connection {
    fn new(peer: RawPeer) -> Connection {
        Connection {
            peer,
            sent: Decoder::default(),
            recorded: Decoder::default(),
            commands: BTreeMap::new(),
            received: Vec::new(),
            places: Vec::new(),
            next_place: 0,
            bytes: BTreeMap::new(),
            disposed_by_command: BTreeSet::new(),
            is_closed: false,
        }
    }

    fn send(&mut self, record: &Record, bindings: &Bindings) -> Result<(), String> {
        self.sent.push(&record.bytes);
        // What cannot be decoded is malformed on purpose.
        while let Ok(Some(unit)) = self.sent.next_unit() {
            if let Ok(Message::Command { token, name, args, .. }) = Message::parse(unit) {
                self.note_command(token, name, args.first());
            }
        }
        self.peer
            .try_send_raw(&bindings.substitute(&record.bytes))
            .map_err(|error| format!("the broker does not read: {error}"))
    }

    fn note_command(&mut self, token: Vec<u8>, name: String, first: Option<&Vec<u8>>) {
        let first: Option<String> = first.and_then(|arg| serde_json::from_slice(arg).ok());
        let stream = first.unwrap_or_default();
        if name == "disposeTestStream" {
            self.disposed_by_command.insert(stream.clone());
        }
        let order = self.commands.len();
        self.commands.insert(token, Command { name, stream, order });
    }

    fn expect(&mut self, record: &Record, bindings: &mut Bindings) -> Result<(), String> {
        let place = self.next_place;
        self.next_place += 1;
        if record.bytes.is_empty() {
            self.is_closed = true;
            return self.wait(place, Kind::Fixed, bindings, |message, _| *message == Message::Fin);
        }
        self.recorded.push(&record.bytes);
        let unit = self.recorded.next_unit()?.ok_or("a record that is no whole message")?;
        let is_end = matches!(unit, Unit::End(_));
        match Message::parse(unit)? {
            Message::Reply { token, args } => self.expect_reply(place, token, args, bindings),
            Message::Event { service, name, args } => {
                self.expect_event(place, service, name, args, bindings)
            }
            recorded @ Message::NotRecognized { .. } => {
                self.wait(place, Kind::Fixed, bindings, |message, _| *message == recorded)
            }
            Message::End { report } => {
                debug_assert!(is_end);
                let code = error_code(&report);
                let mut ours = Vec::new();
                self.wait(place, Kind::Fixed, bindings, |message, _| match message {
                    Message::End { report } => {
                        ours.clone_from(report);
                        true
                    }
                    _ => false,
                })?;
                let our_code = error_code(&ours);
                if our_code == code {
                    return Ok(());
                }
                Err(format!("closed with {our_code} ({}), recorded {code}", ours.escape_ascii()))
            }
            other => Err(format!("a record of another kind: {other:?}")),
        }
    }

    fn expect_event(
        &mut self,
        place: usize,
        service: String,
        name: String,
        args: Vec<Vec<u8>>,
        bindings: &mut Bindings,
    ) -> Result<(), String> {
        if name == "Hello" {
            return self.wait(place, Kind::Fixed, bindings, |message, _| match message {
                Message::Event { name, args, .. } => name == "Hello" && is_our_hello(args),
                _ => false,
            });
        }
        let stream = args.get(1).and_then(|arg| json(arg).as_str().map(str::to_owned));
        let by_command = name == "disposed"
            && stream.is_some_and(|stream| self.disposed_by_command.contains(&stream));
        let kind = if by_command { Kind::DisposedByCommand } else { Kind::Fixed };
        self.wait(place, kind, bindings, |message, bindings| match message {
            Message::Event { service: our_service, name: our_name, args: our_args } => {
                *our_service == service
                    && *our_name == name
                    && same_args(&args, our_args, bindings).is_ok()
            }
            _ => false,
        })
    }

    fn expect_reply(
        &mut self,
        place: usize,
        token: Vec<u8>,
        args: Vec<Vec<u8>>,
        bindings: &mut Bindings,
    ) -> Result<(), String> {
        let command = self.commands.get(&token).cloned();
        let name = command.as_ref().map_or("", |command| &command.name);
        if name == "read" && error_code(&args[1]) == 0 {
            let stream = command.map(|command| command.stream).unwrap_or_default();
            return self.expect_data(place, &token, &stream, &args);
        }
        let kind = match name {
            "write" | "eos" if error_code(&args[0]) == 0 => Kind::Accepted,
            "write" | "eos" => Kind::NotAccepted,
            _ => Kind::Fixed,
        };
        let mut ours = None;
        self.wait(place, kind, bindings, |message, _| match message {
            Message::Reply { token: our_token, args } if *our_token == token => {
                ours = Some(args.clone());
                true
            }
            _ => false,
        })?;
        let ours = ours.expect("the reply was taken");
        same_args(&args, &ours, bindings)
            .map_err(|why| format!("the reply to {name} ({}) is {why}", token.escape_ascii()))
    }

    /// Waits until either the read is answered or what it was to bring has come with earlier ones.
    fn expect_data(
        &mut self,
        place: usize,
        token: &[u8],
        stream: &str,
        args: &[Vec<u8>],
    ) -> Result<(), String> {
        let recorded = ReadReply::parse(args);
        let bytes = self.bytes.entry(stream.to_owned()).or_default();
        bytes.recorded.extend_from_slice(&recorded.data);
        bytes.recorded_eos |= recorded.eos;
        let may_be_early = !recorded.data.is_empty();
        loop {
            let found = self.received.iter().position(|message| message.token() == Some(token));
            if let Some(found) = found {
                self.places[found] = Some((place, Kind::Data));
                return self.check_data(stream);
            }
            let bytes = &self.bytes[stream];
            if may_be_early && bytes.ours.len() >= bytes.recorded.len() {
                return self.check_data(stream);
            }
            self.receive()?;
        }
    }

    fn check_data(&self, stream: &str) -> Result<(), String> {
        let bytes = &self.bytes[stream];
        let both = bytes.ours.len().min(bytes.recorded.len());
        if bytes.ours[..both] == bytes.recorded[..both] {
            return Ok(());
        }
        Err(format!(
            "{stream} brought {:?}, recorded {:?}",
            bytes.ours.escape_ascii().to_string(),
            bytes.recorded.escape_ascii().to_string()
        ))
    }

    /// Waits for the first message not yet placed that `wanted` wants, and places it.
    fn wait(
        &mut self,
        place: usize,
        kind: Kind,
        bindings: &mut Bindings,
        mut wanted: impl FnMut(&Message, &mut Bindings) -> bool,
    ) -> Result<(), String> {
        let mut index = 0;
        loop {
            while index < self.received.len() {
                if self.places[index].is_none() && wanted(&self.received[index], bindings) {
                    self.places[index] = Some((place, kind));
                    return Ok(());
                }
                index += 1;
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<(), String> {
        let Some(message) = self.peer.try_next(PATIENCE) else {
            return Err(format!("it does not come; unexpected so far: {:?}", self.unplaced()));
        };
        if let Message::Reply { token, args } = &message {
            let command = self.commands.get(token).ok_or("a reply to a token never sent")?;
            if command.name == "read" && error_code(&args[1]) == 0 {
                let reply = ReadReply::parse(args);
                if reply.lost != 0 {
                    return Err(format!("{} bytes lost", reply.lost));
                }
                let bytes = self.bytes.entry(command.stream.clone()).or_default();
                bytes.ours.extend_from_slice(&binary(&args[0]));
                bytes.our_eos |= reply.eos;
            }
        }
        if message == Message::Fin && !self.is_closed && !self.has_end() {
            return Err(format!("the connection broke off: {:?}", self.unplaced()));
        }
        self.received.push(message);
        self.places.push(None);
        Ok(())
    }

    fn has_end(&self) -> bool {
        self.received.iter().any(|message| matches!(message, Message::End { .. }))
    }

    fn unplaced(&self) -> Vec<&Message> {
        let pairs = self.received.iter().zip(&self.places);
        pairs.filter(|(_, place)| place.is_none()).map(|(message, _)| message).collect()
    }

    fn finish(&mut self, bindings: &Bindings) -> Result<(), String> {
        if !self.is_closed {
            self.read_the_rest(bindings)?;
            self.barrier()?;
        }
        for (stream, bytes) in &self.bytes {
            self.check_data(stream)?;
            if bytes.ours.len() < bytes.recorded.len() {
                return Err(format!("{stream} brought fewer bytes than recorded"));
            }
            if bytes.recorded_eos && !bytes.our_eos {
                return Err(format!("{stream} did not end"));
            }
        }
        self.check_leftovers()?;
        self.check_order()
    }

    /// Reads on where the broker split the bytes into more replies than the reference did.
    fn read_the_rest(&mut self, bindings: &Bindings) -> Result<(), String> {
        let streams: Vec<String> = self.bytes.keys().cloned().collect();
        for stream in streams {
            for round in 0.. {
                let bytes = &self.bytes[&stream];
                let has_all = bytes.ours.len() >= bytes.recorded.len()
                    && (bytes.our_eos || !bytes.recorded_eos);
                if has_all {
                    break;
                }
                let token = format!("rest-{stream}-{round}");
                self.note_command(token.clone().into_bytes(), "read".to_owned(), None);
                let command = self.commands.get_mut(token.as_bytes()).expect("just noted");
                command.stream.clone_from(&stream);
                let id = crate::support::peer::quoted(bindings.ours(&stream));
                self.peer.command_as(token.as_bytes(), "Streams", "read", &[&id, b"1000"]);
                let before = self.bytes[&stream].ours.len();
                let had_eos = self.bytes[&stream].our_eos;
                while self.bytes[&stream].ours.len() == before
                    && self.bytes[&stream].our_eos == had_eos
                {
                    self.receive()?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the broker has answered all that it answers at once.
    fn barrier(&mut self) -> Result<(), String> {
        let token = b"barrier".to_vec();
        self.note_command(token.clone(), "sync".to_owned(), None);
        self.peer.command_as(&token, "Locator", "sync", &[]);
        let place = self.next_place;
        loop {
            self.receive()?;
            let last = self.received.len() - 1;
            if self.received[last].token() == Some(&token) {
                self.places[last] = Some((place, Kind::Fixed));
                return Ok(());
            }
        }
    }

    /// Only what a different split or an earlier acceptance explains may be there beyond the
    /// recording.
    fn check_leftovers(&self) -> Result<(), String> {
        for message in self.unplaced() {
            let explained = match message {
                Message::Reply { token, args } => match self.commands[token].name.as_str() {
                    "read" => error_code(&args[1]) == 0,
                    "write" | "eos" => error_code(&args[0]) == 0,
                    _ => false,
                },
                _ => false,
            };
            if !explained {
                return Err(format!("not recorded: {message:?}"));
            }
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), String> {
        for (late, place) in self.places.iter().enumerate() {
            let Some((late_place, late_kind)) = place else { continue };
            for early in 0..late {
                let Some((early_place, early_kind)) = &self.places[early] else { continue };
                if early_place > late_place && !early_kind.is_free_against(late_kind) {
                    return Err(format!(
                        "wrong order: {:?} before {:?}",
                        self.received[early], self.received[late]
                    ));
                }
            }
        }
        self.check_order_of(|name| name == "read")?;
        self.check_order_of(|name| name == "write" || name == "eos")
    }

    /// Successes of these commands come in the order of the commands, stream by stream.
    fn check_order_of(&self, is_of_kind: impl Fn(&str) -> bool) -> Result<(), String> {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for message in &self.received {
            let Message::Reply { token, args } = message else { continue };
            let command = &self.commands[token];
            let report = if command.name == "read" { 1 } else { 0 };
            if !is_of_kind(&command.name) || error_code(&args[report]) != 0 {
                continue;
            }
            let before = last.insert(&command.stream, command.order);
            if before.is_some_and(|before| before > command.order) {
                return Err(format!("{} answered out of order: {message:?}", command.name));
            }
        }
        Ok(())
    }
}

/// The services that Weir has; a peer without ZeroCopy is told the same.
fn is_our_hello(args: &[Vec<u8>]) -> bool {
    let Some([list]) = args.first_chunk::<1>() else { return false };
    let list = json(list);
    let names: Vec<&str> =
        list.as_array().into_iter().flatten().flat_map(|name| name.as_str()).collect();
    ["Locator", "Streams", "Diagnostics", "ZeroCopy", "StreamBroker"]
        .iter()
        .all(|service| names.contains(service))
}
