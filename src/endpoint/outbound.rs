//! What is said to a peer: Hello, commands and what became of them, the end of the channel.

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::wire::{ErrorReport, MessageWriter, Output, WireError};

/// One call under way; its number is the token on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u64);

/// The half of an endpoint that speaks. `N` is what it notes about each call; one that makes no
/// calls has a type without values for it.
#[derive(Debug)]
pub struct Outbound<N> {
    /// What waits to be sent. Nothing may be put there behind our end of stream.
    pub output: Output,
    zero_copy: bool,
    is_ended: bool,
    last_call: u64,
    /// Bounded by what its user has under way; a peer adds none.
    calls: FxHashMap<u64, N>,
}

impl<N> Outbound<N> {
    /// Says Hello with the names of our `services`, plain: it waits for nothing, and nothing is
    /// known of the peer yet.
    pub fn new(services: &[&str]) -> Outbound<N> {
        let mut output = Output::default();
        let names = services.iter().map(|&name| Value::from(name)).collect();
        MessageWriter::event(&mut output, false, "Locator", "Hello")
            .json(&Value::Array(names))
            .end();
        let calls = FxHashMap::default();
        Outbound { output, zero_copy: false, is_ended: false, last_call: 0, calls }
    }

    /// Takes from the peer's Hello whether it lists `ZeroCopy`.
    pub fn greet(&mut self, services: &[String]) {
        self.zero_copy = services.iter().any(|name| name == "ZeroCopy");
    }

    /// Whether the peer understands BIN blocks and `(N)` data.
    pub fn zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Queues a command, `Service.name`, whose arguments `arguments` adds. Behind our end of stream
    /// it is dropped: no reply comes.
    pub fn call(
        &mut self,
        command: &'static str,
        note: N,
        arguments: impl FnOnce(MessageWriter<'_>) -> MessageWriter<'_>,
    ) -> CallId {
        let (service, name) = command.split_once('.').expect("commands are Service.name");
        self.last_call += 1;
        let id = self.last_call;
        if !self.is_ended {
            self.calls.insert(id, note);
            let mut digits = itoa::Buffer::new();
            let token = digits.format(id).as_bytes();
            let message =
                MessageWriter::command(&mut self.output, self.zero_copy, token, service, name);
            arguments(message).end();
        }
        CallId(id)
    }

    /// The call that a reply is for, which is over with it.
    ///
    /// # Errors
    /// No such call is under way: the peer answers what was never asked, or twice.
    pub fn take_call(&mut self, token: &[u8]) -> Result<(CallId, N), WireError> {
        let id = number(token).and_then(|id| Some((CallId(id), self.calls.remove(&id)?)));
        id.ok_or_else(|| unknown(token))
    }

    /// The call that a progress message is for, which goes on.
    ///
    /// # Errors
    /// No such call is under way.
    pub fn call_under_way(&self, token: &[u8]) -> Result<(CallId, &N), WireError> {
        let id = number(token).and_then(|id| Some((CallId(id), self.calls.get(&id)?)));
        id.ok_or_else(|| unknown(token))
    }

    /// How many calls are under way.
    pub fn calls_under_way(&self) -> usize {
        self.calls.len()
    }

    /// Answers a command of the peer as one that carries out none does: `Locator.sync`, which every
    /// peer must know, and nothing else.
    pub fn answer(&mut self, token: &[u8], service: &[u8], name: &[u8]) {
        if self.is_ended {
            return;
        }
        if (service, name) == (b"Locator", b"sync") {
            MessageWriter::reply(&mut self.output, self.zero_copy, token).error(None).end();
        } else {
            MessageWriter::not_recognized(&mut self.output, token);
        }
    }

    /// Says that a command is not known here.
    pub fn not_recognized(&mut self, token: &[u8]) {
        if !self.is_ended {
            MessageWriter::not_recognized(&mut self.output, token);
        }
    }

    /// Queues our end of stream, once.
    pub fn end(&mut self, report: Option<&ErrorReport>) {
        if !std::mem::replace(&mut self.is_ended, true) {
            MessageWriter::end_of_stream(&mut self.output, report);
        }
    }

    /// Whether our end of stream is queued, or has left.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }
}

fn number(token: &[u8]) -> Option<u64> {
    std::str::from_utf8(token).ok()?.parse().ok()
}

fn unknown(token: &[u8]) -> WireError {
    let token = token.escape_ascii();
    WireError::Protocol(format!("an answer to a command that was never sent, token {token}"))
}
