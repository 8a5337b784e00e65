//! One peer with everything that its worker keeps about it.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use crate::endpoint::{Endpoint, Heard, Held, Pause};
use crate::id::{ChannelId, Door, Token};
use crate::service::{self, Call, Core, Identity, Responder};
use crate::stream::{Command, Effect, Engine, Flow, Payload, Reply};
use crate::time::{Instant, Now};
use crate::wire::{self, Encodings, Plain, PlainCommands, WireError, plain_reply};
use crate::worker::shard::ChannelReport;

/// What no call is noted with: the broker makes none.
pub type NoCalls = std::convert::Infallible;

/// One peer: its endpoint, what it counts, and when it must come on.
#[derive(Debug)]
pub struct Peer {
    /// Its channel.
    pub id: ChannelId,
    /// Its address.
    pub address: Arc<str>,
    /// Through which door it came in.
    pub door: Door,
    /// When it was opened.
    pub opened_at: Instant,
    /// What it says and what is said to it. It makes calls, we make none.
    pub endpoint: Endpoint<NoCalls>,
    /// When the peer must have said Hello; `None` once it has.
    pub hello_deadline: Option<Instant>,
    /// Whether it stands in the shard's queue of ready channels.
    pub is_ready: bool,
    /// What it counts against the memory: bytes of a message under way, and bytes unsent.
    pub counted: Held,
    /// Whether the shard looks after its end.
    pub has_end_deadline: bool,
    /// Bytes sent when the end under way was last looked at.
    pub sent_at_check: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Commands received.
    commands: u64,
    /// Commands answered with an error.
    errors: Cell<u64>,
    /// Whether its last command to the core was a write.
    pub writes: bool,
    /// The turn of the last command, and how many came in it.
    turn: u64,
    commands_in_turn: usize,
    /// While the peer's end waits for the answers that there still are: bytes ever queued when last
    /// looked at.
    answered_bytes: Option<u64>,
}

/// What became of one frame.
#[derive(Debug)]
pub enum Step {
    /// All input is taken in, and more is needed.
    Starved,
    /// A message without consequences for the flow, or a command that was carried out.
    Done,
    /// The peer said Hello.
    Hello,
    /// The peer will send nothing more.
    Ended,
    /// The peer misbehaved.
    Malformed(WireError),
}

/// What a peer's steps need of its shard.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The core.
    pub engine: &'a mut Engine,
    /// What the broker says of itself.
    pub identity: &'a Identity,
    /// Bounds on what the peer may send.
    pub limits: &'a wire::WireLimits,
    /// The shared memory in which the input lies, if it does.
    pub buffer: Option<&'a Bytes>,
    /// The time.
    pub now: Now,
}

/// Hands one command to the core, in the name of its channel.
struct Submission<'a> {
    engine: &'a mut Engine,
    writes: &'a mut bool,
    now: Instant,
    channel: ChannelId,
    token: &'a Token,
}

/// The data of a write: few bytes to be copied, many kept where they lie.
fn payload<'i>(data: &'i [u8], buffer: Option<&Bytes>, limits: &wire::WireLimits) -> Payload<'i> {
    match buffer {
        Some(buffer) if data.len() >= limits.kept_bytes_min => {
            Payload::Owned(buffer.slice_ref(data))
        }
        _ => Payload::Borrowed(data),
    }
}

impl Core for Submission<'_> {
    fn execute(&mut self, command: Command<'_>) -> Flow {
        *self.writes = matches!(command, Command::Write { .. });
        self.engine.execute(self.now, self.channel, self.token, command)
    }
}

impl Peer {
    /// A new channel; our Hello is in its output.
    pub fn open(
        id: ChannelId,
        now: Instant,
        door: Door,
        address: Arc<str>,
        limits: &wire::WireLimits,
    ) -> Peer {
        Peer {
            id,
            address,
            door,
            opened_at: now,
            endpoint: Endpoint::open(&service::SERVICES, limits),
            hello_deadline: None,
            is_ready: false,
            counted: Held::default(),
            has_end_deadline: false,
            sent_at_check: 0,
            received_bytes: 0,
            commands: 0,
            writes: false,
            errors: Cell::new(0),
            turn: 0,
            commands_in_turn: 0,
            answered_bytes: None,
        }
    }

    /// Forgets what only the shard that it leaves knows: its place in queues, its share of a turn,
    /// what it counts there.
    pub fn leave(&mut self) {
        self.is_ready = false;
        self.counted = Held::default();
        (self.turn, self.commands_in_turn) = (0, 0);
    }

    /// Commands received in turn number `turn`.
    pub fn commands_in(&self, turn: u64) -> usize {
        if self.turn == turn { self.commands_in_turn } else { 0 }
    }

    fn count_command(&mut self, turn: u64) {
        self.commands_in_turn = self.commands_in(turn) + 1;
        self.turn = turn;
        self.commands += 1;
    }

    /// Takes commands of the data path in as long as they lie in front in whole and need no more
    /// than a reply or a place in a queue, up to `most` commands. What it leaves is for `step`.
    pub fn run_plain(
        &mut self,
        around: &mut Surroundings<'_>,
        turn: u64,
        most: usize,
        input: &mut &[u8],
    ) {
        if !self.endpoint.inbound.takes_command() {
            return;
        }
        let output = &mut self.endpoint.outbound.output;
        let mut commands = PlainCommands::new(input, around.limits);
        let mut taken = 0;
        let mut next = commands.take();
        while let Some(plain) = next {
            let taken_before = taken;
            match plain {
                Plain::Write { stream: id, .. } => {
                    let Some(mut writes) = around.engine.writes(self.id, id) else { break };
                    while let Some(Plain::Write { token, stream, data }) = next
                        && stream == id
                        && taken < most
                        && writes.append(&payload(data, around.buffer, around.limits))
                    {
                        plain_reply::success(output, token);
                        *input = commands.rest();
                        taken += 1;
                        next = commands.take();
                    }
                    self.writes = true;
                }
                Plain::Read { token, stream, size } => {
                    let token = Token::new(token.as_bytes());
                    if taken < most && around.engine.park_read(self.id, stream, &token, size) {
                        *input = commands.rest();
                        taken += 1;
                        next = commands.take();
                    }
                    self.writes = false;
                }
            }
            if taken == taken_before {
                break;
            }
        }
        self.commands_in_turn = self.commands_in(turn) + taken;
        self.turn = turn;
        self.commands += taken as u64;
    }

    /// Takes the next frame in and does what it says, up to what the core has to say about it.
    pub fn step(&mut self, around: Surroundings<'_>, turn: u64, input: &mut &[u8]) -> Step {
        let Endpoint { inbound, outbound, .. } = &mut self.endpoint;
        let done = match inbound.receive(around.limits, input) {
            Err(error) => return Step::Malformed(error),
            Ok(None) => return Step::Starved,
            Ok(Some(Heard::End)) => return Step::Ended,
            Ok(Some(Heard::Hello { services })) => {
                outbound.greet(&services);
                return Step::Hello;
            }
            // Events that nobody listens to.
            Ok(Some(Heard::Nothing | Heard::Event { .. })) => return Step::Done,
            Ok(Some(
                Heard::Reply { token, .. }
                | Heard::NotRecognized { token }
                | Heard::Progress { token, .. },
            )) => match outbound.take_call(&token) {
                Ok((_, none)) => match none {},
                Err(error) => return Step::Malformed(error),
            },
            Ok(Some(Heard::EarlyCommand { token })) => {
                outbound.not_recognized(&token);
                self.errors.set(self.errors.get() + 1);
                Ok(Flow::Continue)
            }
            Ok(Some(Heard::Command { token, service, name, arguments })) => {
                match service::find(&service, &name) {
                    None => {
                        outbound.not_recognized(&token);
                        self.errors.set(self.errors.get() + 1);
                        Ok(Flow::Continue)
                    }
                    Some(handler) => {
                        let token = Token::new(&token);
                        let (zero_copy, time) = (outbound.zero_copy(), around.now.unix_ms);
                        let output = &mut outbound.output;
                        let responder = Responder::new(output, zero_copy, token.as_bytes(), time)
                            .counting(&self.errors);
                        let mut core = Submission {
                            engine: around.engine,
                            writes: &mut self.writes,
                            now: around.now.instant,
                            channel: self.id,
                            token: &token,
                        };
                        let identity = around.identity;
                        handler(Call { arguments, responder, identity }, &mut core)
                    }
                }
            }
        };
        self.count_command(turn);
        match done {
            Ok(flow) => {
                if flow == Flow::Wait {
                    self.endpoint.pauses.insert(Pause::Core);
                }
                Step::Done
            }
            Err(error) => Step::Malformed(error),
        }
    }

    /// Does what the core asks for this channel, as far as it is a message. What the other effects
    /// mean is the shard's business.
    pub fn write_effect(&mut self, effect: Effect, now: Now, encodings: &mut Encodings) {
        let zero_copy = self.endpoint.outbound.zero_copy();
        let output = &mut self.endpoint.outbound.output;
        match effect {
            Effect::Reply { token, reply, .. } => {
                let responder = Responder::new(output, zero_copy, token.as_bytes(), now.unix_ms)
                    .counting(&self.errors);
                match reply {
                    Reply::Read { data, error: None, lost, eos } => {
                        responder.deliver(&data, lost, eos, encodings);
                    }
                    reply => responder.answer(reply),
                }
            }
            Effect::Created { stream_type, stream, context, .. } => {
                let context = context.as_deref();
                service::streams::created(output, zero_copy, &stream_type, stream, context);
            }
            Effect::Disposed { stream_type, stream, .. } => {
                service::streams::disposed(output, zero_copy, &stream_type, stream);
            }
            Effect::Overrun { .. } | Effect::Resume { .. } | Effect::Finished { .. } => {}
        }
    }

    /// Notes that the peer has said its last, and gets the answers that there still are.
    pub fn begin_answering(&mut self) {
        self.answered_bytes = Some(self.queued_bytes());
    }

    /// Whether another turn may answer more; asked once a turn. It may where this one did, or where
    /// the peer must take in what it has got before.
    pub fn may_get_more(&mut self) -> bool {
        let Some(answered_bytes) = self.answered_bytes else { return false };
        self.answered_bytes = Some(self.queued_bytes());
        let is_paused = self.endpoint.pauses.contains(Pause::Unsent);
        is_paused || self.queued_bytes() != answered_bytes
    }

    /// Ends the time of answers; false where it had ended or not begun.
    pub fn stop_answering(&mut self) -> bool {
        self.answered_bytes.take().is_some()
    }

    /// Commands answered with an error.
    pub fn errors(&self) -> u64 {
        self.errors.get()
    }

    fn queued_bytes(&self) -> u64 {
        self.endpoint.outbound.output.queued_bytes()
    }

    /// Through which door it came in.
    pub fn door(&self) -> Door {
        self.door
    }

    /// Bytes that wait to be sent.
    pub fn unsent_bytes(&self) -> u64 {
        self.endpoint.outbound.output.len() as u64
    }

    /// A copy of the numbers.
    pub fn report(&self) -> ChannelReport {
        let output = &self.endpoint.outbound.output;
        ChannelReport {
            id: self.id,
            peer: self.address.clone(),
            introduction: None,
            door: self.door,
            opened_at: self.opened_at,
            services: self.endpoint.inbound.services().into(),
            commands: self.commands,
            errors: self.errors.get(),
            received_bytes: self.received_bytes,
            sent_bytes: output.sent_bytes(),
            unsent_bytes: self.unsent_bytes(),
        }
    }
}
