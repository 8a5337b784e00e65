//! One worker's share of the core.

use std::sync::Arc;

use crate::id::{ChannelId, Token, WorkerId};
use crate::stream::{Command, Effect, EngineReport, Flow, Limits, Message};
use crate::time::Instant;

/// One worker's share of the core. After any call that changes it, take what `poll_effect` and
/// `poll_message` give until they give nothing.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// An engine for worker `me` of `workers`.
    pub fn new(me: WorkerId, workers: u16, limits: Limits) -> Engine {
        let _ = (me, workers, limits);
        Engine {}
    }

    /// Makes a channel of this worker known. `peer` is its address, for people.
    pub fn open(&mut self, channel: ChannelId, peer: Arc<str>) {
        let _ = (channel, peer);
    }

    /// Carries out one command, or parks it. Replies come as effects, at once or later.
    pub fn execute(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        command: Command<'_>,
    ) -> Flow {
        let _ = (now, channel, token, command);
        unimplemented!()
    }

    /// The peer will send nothing more: what still pends is answered with `Cancelled`, then
    /// [`Effect::Finished`] comes (at once, or after other workers have answered). The caller hands in no
    /// further command.
    pub fn finish(&mut self, now: Instant, channel: ChannelId) {
        let _ = (now, channel);
        unimplemented!()
    }

    /// Forgets a channel and all that it owned. No effect names it afterwards.
    pub fn close(&mut self, now: Instant, channel: ChannelId) {
        let _ = (now, channel);
        unimplemented!()
    }

    /// Serves no parked read of this channel until `resume_reads`: its unsent bytes are over their bound.
    pub fn pause_reads(&mut self, channel: ChannelId) {
        let _ = channel;
        unimplemented!()
    }

    /// Serves the channel's parked reads again.
    pub fn resume_reads(&mut self, channel: ChannelId) {
        let _ = channel;
        unimplemented!()
    }

    /// Serves everything parked that the calls since the last time made possible: reads that have data,
    /// writes that have space, ends whose turn has come. Called once after a batch of commands, so that
    /// many small writes leave in one reply.
    pub fn settle(&mut self, now: Instant) {
        let _ = now;
        unimplemented!()
    }

    /// Takes in what another engine said.
    pub fn handle_message(&mut self, now: Instant, from: WorkerId, message: Message) {
        let _ = (now, from, message);
        unimplemented!()
    }

    /// The next effect, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        unimplemented!()
    }

    /// The next message for worker `to`. Asked only while `to` has room for one, since the engine gathers
    /// what it has to say until then. Call after `settle`.
    pub fn poll_message(&mut self, to: WorkerId) -> Option<Message> {
        let _ = to;
        unimplemented!()
    }

    /// When `handle_timeout` must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        unimplemented!()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
        unimplemented!()
    }

    /// A copy of the numbers.
    pub fn report(&self) -> EngineReport {
        unimplemented!()
    }
}
