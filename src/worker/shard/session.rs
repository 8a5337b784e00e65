//! One channel with everything that belongs to it on its worker.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use crate::channel::{Channel, Incoming};
use crate::id::{ChannelId, Door, Token};
use crate::service::{self, Call, Core, Identity, Responder};
use crate::stream::{Command, Effect, Engine, Flow, Payload, Reply};
use crate::time::{Instant, Now};
use crate::wire::{
    self, Encodings, Frame, Framer, MessageWriter, Output, Plain, PlainCommands, WireError,
    plain_reply,
};
use crate::worker::shard::ChannelReport;
use crate::worker::shard::pause::{Pause, Pauses};

/// One channel: its decoder, its state, what waits to be sent, and why it may not go on.
#[derive(Debug)]
pub struct Session {
    /// Which channel.
    pub id: ChannelId,
    /// The peer's address.
    pub peer: Arc<str>,
    /// Through which door it came in.
    pub door: Door,
    /// When it was opened.
    pub opened_at: Instant,
    /// Takes framing off the peer's bytes.
    pub framer: Framer,
    /// The channel's state.
    pub channel: Channel,
    /// What waits to be sent.
    pub output: Output,
    /// When the peer must have said Hello; `None` once it has.
    pub hello_deadline: Option<Instant>,
    /// Why it is not read now.
    pub pauses: Pauses,
    /// Whether it stands in the shard's queue of ready channels.
    pub is_ready: bool,
    /// What it counts against the memory: bytes of a message under way, and bytes unsent.
    pub counted: Counted,
    /// Whether the shard looks after its end.
    pub has_end_deadline: bool,
    /// Bytes sent when the end under way was last looked at.
    pub sent_at_check: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes ever put into `output`.
    queued_bytes: u64,
    /// Commands received.
    commands: u64,
    /// Commands answered with an error.
    errors: Cell<u64>,
    /// Whether its last command to the core was a write.
    pub writes: bool,
    /// The turn of the last command, and how many came in it.
    turn: u64,
    commands_in_turn: usize,
    /// While the peer's end waits for the answers that there still are: `queued_bytes` when last
    /// looked at.
    answered_bytes: Option<u64>,
}

/// Bytes held for one channel outside of the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of a message under way.
    pub receiving: u64,
    /// That wait to be sent.
    pub unsent: u64,
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

/// What a session's steps need of its shard.
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

impl Session {
    /// A new channel; our Hello is in its output.
    pub fn open(
        id: ChannelId,
        now: Instant,
        door: Door,
        peer: Arc<str>,
        limits: &wire::WireLimits,
    ) -> Session {
        let mut output = Output::default();
        let channel = Channel::open(&service::SERVICES, &mut output);
        let queued_bytes = output.len() as u64;
        Session {
            id,
            peer,
            door,
            opened_at: now,
            framer: Framer::new(limits.clone()),
            channel,
            output,
            hello_deadline: None,
            pauses: Pauses::default(),
            is_ready: false,
            counted: Counted::default(),
            has_end_deadline: false,
            sent_at_check: 0,
            received_bytes: 0,
            queued_bytes,
            commands: 0,
            writes: false,
            errors: Cell::new(0),
            turn: 0,
            commands_in_turn: 0,
            answered_bytes: None,
        }
    }

    /// Whether further bytes of the peer can be taken in.
    pub fn wants_input(&self) -> bool {
        self.channel.takes_input() && self.pauses.is_empty()
    }

    /// Bytes that the driver has taken out of `output`, ever.
    pub fn sent_bytes(&self) -> u64 {
        self.queued_bytes - self.output.len() as u64
    }

    /// What it holds now.
    pub fn count(&self) -> Counted {
        Counted { receiving: self.framer.buffered_bytes() as u64, unsent: self.output.len() as u64 }
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
        if !self.channel.is_open() || !self.framer.is_at_start() {
            return;
        }
        let unsent = self.output.len();
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
                        plain_reply::success(&mut self.output, token);
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
        self.count_queued(unsent);
    }

    /// Takes the next frame in and does what it says, up to what the core has to say about it.
    pub fn step(&mut self, around: Surroundings<'_>, turn: u64, input: &mut &[u8]) -> Step {
        let message = match self.framer.decode(input) {
            Ok(Some(Frame::Message(message))) => message,
            Ok(Some(Frame::EndOfStream)) => return Step::Ended,
            Ok(None) => return Step::Starved,
            Err(error) => return Step::Malformed(error),
        };
        let incoming = match self.channel.handle_message(message, around.limits) {
            Ok(incoming) => incoming,
            Err(error) => return Step::Malformed(error),
        };
        let unsent = self.output.len();
        let done = match incoming {
            Incoming::Nothing => return Step::Done,
            Incoming::Hello => return Step::Hello,
            Incoming::EarlyCommand { token } => {
                MessageWriter::not_recognized(&mut self.output, &token);
                self.count_error();
                Ok(Flow::Continue)
            }
            Incoming::Command { token, service, name, arguments } => {
                match service::find(&service, &name) {
                    None => {
                        MessageWriter::not_recognized(&mut self.output, &token);
                        self.count_error();
                        Ok(Flow::Continue)
                    }
                    Some(handler) => {
                        let token = Token::new(&token);
                        let zero_copy = self.channel.zero_copy();
                        let (output, time) = (&mut self.output, around.now.unix_ms);
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
        self.count_queued(unsent);
        match done {
            Ok(flow) => {
                if flow == Flow::Wait {
                    self.pauses.insert(Pause::Core);
                }
                Step::Done
            }
            Err(error) => Step::Malformed(error),
        }
    }

    /// Does what the core asks for this channel, as far as it is a message. What the other effects
    /// mean is the shard's business.
    pub fn write_effect(&mut self, effect: Effect, now: Now, encodings: &mut Encodings) {
        let unsent = self.output.len();
        let zero_copy = self.channel.zero_copy();
        let output = &mut self.output;
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
            Effect::Resume { .. } | Effect::Finished { .. } => {}
        }
        self.count_queued(unsent);
    }

    /// Notes that the peer has said its last, and gets the answers that there still are.
    pub fn begin_answering(&mut self) {
        self.answered_bytes = Some(self.queued_bytes);
    }

    /// Whether another turn may answer more; asked once a turn. It may where this one did, or where
    /// the peer must take in what it has got before.
    pub fn may_get_more(&mut self) -> bool {
        let Some(answered_bytes) = self.answered_bytes else { return false };
        self.answered_bytes = Some(self.queued_bytes);
        self.pauses.contains(Pause::Unsent) || self.queued_bytes != answered_bytes
    }

    /// Ends the time of answers; false where it had ended or not begun.
    pub fn stop_answering(&mut self) -> bool {
        self.answered_bytes.take().is_some()
    }

    /// Writes our end of stream.
    pub fn close(&mut self) {
        let unsent = self.output.len();
        self.channel.close(&mut self.output);
        self.count_queued(unsent);
    }

    fn count_error(&self) {
        self.errors.set(self.errors.get() + 1);
    }

    /// Commands answered with an error.
    pub fn errors(&self) -> u64 {
        self.errors.get()
    }

    fn count_queued(&mut self, unsent_before: usize) {
        self.queued_bytes += (self.output.len() - unsent_before) as u64;
    }

    /// A copy of the numbers.
    pub fn report(&self) -> ChannelReport {
        let unsent_bytes = self.output.len() as u64;
        ChannelReport {
            id: self.id,
            peer: self.peer.clone(),
            introduction: None,
            door: self.door,
            opened_at: self.opened_at,
            services: self.channel.services().into(),
            commands: self.commands,
            errors: self.errors.get(),
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes(),
            unsent_bytes,
        }
    }
}
