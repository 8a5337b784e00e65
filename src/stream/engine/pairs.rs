//! Pairs of test streams (`Diagnostics`): what is written to one comes out of the other.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::access::Right;
use crate::id::{ChannelId, StreamId, Token};
use crate::stream::account::stream_bytes;
use crate::stream::engine::Engine;
use crate::stream::home::Stream;
use crate::stream::meta::Meta;
use crate::stream::pump::Pump;
use crate::stream::{Direction, Payload, Properties, Refusal, Reply, StallTimeout};
use crate::time::Instant;

/// The type of test streams, as in the reference agent.
const TEST_STREAM_TYPE: &str = "Diagnostics";

/// The pairs of one engine.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// By input, so in order of age: where its bytes go. Gone with the input.
    pumps: BTreeMap<StreamId, Pump>,
    /// By output: where its bytes come from. Gone with the output.
    inputs: FxHashMap<StreamId, StreamId>,
}

impl Pairs {
    pub(super) fn contains(&self, id: StreamId) -> bool {
        self.pumps.contains_key(&id) || self.inputs.contains_key(&id)
    }

    /// Streams of pairs that are there.
    fn streams(&self) -> usize {
        self.pumps.len() + self.inputs.len()
    }

    pub(super) fn forget(&mut self, id: StreamId) {
        if self.inputs.remove(&id).is_none() {
            self.pumps.remove(&id);
        }
    }
}

impl Engine {
    /// `Diagnostics.createTestStreams`: a pair that outlives the channel and never loses.
    pub(super) fn create_test_streams(
        &mut self,
        now: Instant,
        channel: ChannelId,
        token: &Token,
        input_bytes: u64,
        output_bytes: u64,
    ) {
        let result = self.create_pair(now, channel, input_bytes, output_bytes);
        self.front.reply(channel, token.clone(), Reply::TestStreams(result));
    }

    fn create_pair(
        &mut self,
        now: Instant,
        channel: ChannelId,
        input_bytes: u64,
        output_bytes: u64,
    ) -> Result<(StreamId, StreamId), Refusal> {
        let most = self.front.limits.buffer_bytes_max;
        for size in [input_bytes, output_bytes] {
            if size == 0 || size > most {
                return Err(Refusal::InvalidValue(format!("a size is {size}, not 1 to {most}")));
            }
        }
        let party = self.front.parties.get(channel);
        if !party.is_some_and(|party| party.principal.has(Right::Create)) {
            return Err(Refusal::Denied(Right::Create));
        }
        self.admits_streams(now, &[input_bytes, output_bytes], false)?;
        let pairs = self.front.limits.test_streams_max;
        while self.pairs.streams() >= 2 * pairs {
            if !self.forget_idle_pair() {
                let error = format!("there are {pairs} pairs of test streams here; dispose some");
                return Err(Refusal::Limit(error));
            }
        }
        let (input, output) = (self.take_id(), self.take_id());
        let make = |id, direction, size| {
            let mut properties = Properties::new(TEST_STREAM_TYPE);
            properties.direction = direction;
            properties.buffer_bytes = size;
            properties.history_bytes = 0;
            properties.stall_timeout = StallTimeout::Never;
            let meta = Meta::new(id, self.front.me, now, &properties, self.front.budget.segments());
            let mut stream = Stream::new(meta.into(), None);
            stream.overhead = stream_bytes(&properties);
            stream
        };
        let mut source = make(input, Direction::In, input_bytes);
        source.pumped_to = Some(source.log.start());
        let mut sink = make(output, Direction::Out, output_bytes);
        // What is written right before a client connects to the output is there for it; a writer
        // that nobody reads is not kept waiting all the same (`pump`).
        sink.is_held = true;
        self.pairs.pumps.insert(input, Pump::new(output));
        self.pairs.inputs.insert(output, input);
        self.introduce(now, source, None);
        self.introduce(now, sink, None);
        Ok((input, output))
    }

    /// Forgets the oldest pair that nobody is attached to. False where there is none.
    pub(super) fn forget_idle_pair(&mut self) -> bool {
        let is_idle = |id: &StreamId| self.streams.get(id).is_none_or(Stream::is_unattached);
        let oldest =
            self.pairs.pumps.iter().find(|(id, pump)| is_idle(id) && is_idle(&pump.output));
        let Some((&input, pump)) = oldest else { return false };
        let output = pump.output;
        self.forget(input);
        self.forget(output);
        true
    }

    /// Moves what the output of a pair of test streams has room for.
    pub(super) fn pump(&mut self, id: StreamId) {
        let Engine { front, streams, pairs, .. } = self;
        if let Some(input) = pairs.inputs.get(&id) {
            let Some(output) = streams.get_mut(&id) else { return };
            let ceiling = output.ceiling(&front.budget);
            if output.space(ceiling) > 0
                && let Some(input) = streams.get_mut(input)
                && let Some(pump) = pairs.pumps.get(&input.meta.id)
                && !pump.is_drained(&input.log)
            {
                front.mark(input);
            }
            return;
        }
        let Some(pump) = pairs.pumps.get_mut(&id) else { return };
        let mut output = streams.remove(&pump.output);
        let Some(input) = streams.get_mut(&id) else { return };
        if let Some(output) = &mut output
            && !input.parked.is_empty()
        {
            // The pair is full and has had no reader: as in the reference, its bytes are dropped.
            output.is_held = false;
        }
        let before = pump.cursor;
        let mut ceiling = 0;
        let space = match &mut output {
            Some(output) if !output.is_ended => {
                ceiling = output.ceiling(&front.budget);
                output.space(ceiling)
            }
            // Nobody will ever read it.
            _ => u64::MAX,
        };
        for piece in pump.take(&mut input.log, space) {
            if let Some(output) = output.as_mut().filter(|output| !output.is_ended) {
                let len = piece.len();
                front.append(output, &Payload::Owned(piece), len, ceiling);
                front.mark(output);
            }
        }
        if pump.cursor != before {
            input.pumped_to = Some(pump.cursor);
            if !input.parked.is_empty() {
                front.mark(input);
            }
        }
        if input.is_ended && pump.is_drained(&input.log) && input.pumped_to.is_some() {
            // The output knows its end then, and the input is needed no more.
            input.pumped_to = None;
            front.mark(input);
            if let Some(output) = &mut output {
                output.is_ended = true;
                output.has_news = true;
                front.mark(output);
            }
        }
        if let Some(output) = output {
            streams.insert(output);
        }
    }
}
