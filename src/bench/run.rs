//! The loop that puts a load on a server.

use std::time::Duration;

use mio::{Events, Interest, Poll};

use crate::bench::flow::{Flow, Parties};
use crate::bench::lane::{Lane, Role};
use crate::bench::report::{Counts, Times};
use crate::bench::{BenchError, Pattern, Plan, ProcessSample, Protocol, Report, Span};
use crate::time::{Clock, Instant};

/// Bytes received at once: large enough for few system calls, small enough for the processor's
/// cache.
const SCRATCH_BYTES: usize = 256 << 10;

/// How long nothing may move before the run is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long servers may take to end the connections, once all is counted.
const FAREWELL: Duration = Duration::from_secs(3);

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
    /// Nothing is written any more; what is under way is waited for.
    Draining,
}

/// Puts the load of `plan` on the server that `protocol` knows.
///
/// # Errors
/// What went wrong; anything lost, repeated or changed is an error too.
pub fn run(protocol: &mut dyn Protocol, plan: &Plan) -> Result<Report, BenchError> {
    plan.check()?;
    let mut run = Run::open(protocol, plan)?;
    let report = run.go()?;
    run.close(protocol.farewell())?;
    Ok(report)
}

struct Run<'a> {
    plan: &'a Plan,
    poll: Poll,
    clock: Clock,
    pattern: Pattern,
    lanes: Vec<Lane>,
    /// The window of each stream.
    flows: Vec<Flow>,
    /// How many of them are not over.
    waiting: usize,
    streams_per_lane: usize,
    batch_bytes: u64,
    counts: Counts,
    delivery: Times,
    round: Times,
    /// When something was last delivered.
    moved: Instant,
    /// Streams whose window has opened.
    opened: Vec<usize>,
    /// Lanes that have writes to send since, and lanes that have something else to send.
    unsent: Vec<usize>,
    answering: Vec<usize>,
}

impl<'a> Run<'a> {
    fn open(protocol: &mut dyn Protocol, plan: &'a Plan) -> Result<Run<'a>, BenchError> {
        let shape = plan.shape();
        let batch_bytes = shape.batch_writes * plan.write_bytes;
        let pattern = Pattern::new(shape.ring_writes() * plan.write_bytes, plan.check);
        let per_lane = protocol.streams_per_lane().max(1);
        let parties =
            Parties { readers: plan.readers as u32, acknowledges: protocol.acknowledges() };
        let limit = match plan.span {
            Span::Time { .. } => u64::MAX,
            Span::Writes(writes) => writes.max(1).div_ceil(shape.batch_writes as u64),
        };
        let chunks: Vec<_> = (0..plan.streams)
            .step_by(per_lane)
            .map(|from| from..(from + per_lane).min(plan.streams))
            .collect();
        let (mut lanes, mut flows) = (Vec::new(), Vec::new());
        for streams in &chunks {
            let opened = protocol.open_publisher(plan, streams.clone())?;
            let mut encoded = Vec::new();
            for stream in streams.clone() {
                let mut slots = Vec::with_capacity(shape.slots);
                for slot in 0..shape.slots {
                    let from = encoded.len();
                    for number in slot * shape.batch_writes..(slot + 1) * shape.batch_writes {
                        let offset = (number * plan.write_bytes) as u64;
                        let payload = &pattern.at(stream, offset)[..plan.write_bytes];
                        protocol.encode_write(stream, number, payload, &mut encoded);
                    }
                    slots.push(from..encoded.len());
                }
                flows.push(Flow::new(slots, shape, parties, limit));
            }
            lanes.push(Lane::new(opened, Role::Publisher, streams.clone(), encoded)?);
        }
        for streams in &chunks {
            for _ in 0..plan.readers {
                let opened = protocol.open_reader(plan, streams.clone())?;
                lanes.push(Lane::new(opened, Role::Reader, streams.clone(), Vec::new())?);
            }
        }
        protocol.opened()?;
        let poll = Poll::new()?;
        for (key, lane) in lanes.iter_mut().enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut lane.socket, mio::Token(key), interest)?;
        }
        Ok(Run {
            plan,
            poll,
            clock: Clock::start(),
            pattern,
            lanes,
            opened: (0..flows.len()).collect(),
            waiting: flows.len(),
            flows,
            streams_per_lane: per_lane,
            batch_bytes: batch_bytes as u64,
            counts: Counts::default(),
            delivery: Times::new(),
            round: Times::new(),
            moved: Instant::default(),
            unsent: Vec::new(),
            answering: Vec::new(),
        })
    }

    /// Runs until every reader has everything.
    fn go(&mut self) -> Result<Report, BenchError> {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; SCRATCH_BYTES];
        for lane in &mut self.lanes {
            lane.flush()?;
        }
        let mut now = self.clock.now().instant;
        self.moved = now;
        let (mut phase, mut change) = match self.plan.span {
            Span::Time { warm_up, .. } => (Phase::WarmUp, now.plus(warm_up)),
            Span::Writes(_) => (Phase::Measured, now.plus(Duration::MAX)),
        };
        let (mut from, mut from_at) = (self.sample(), now);
        let mut to = None;
        loop {
            self.publish(now)?;
            if self.waiting == 0 {
                break;
            }
            let wait = if phase == Phase::Draining { PATIENCE } else { change.since(now) };
            match self.poll.poll(&mut events, Some(wait.min(PATIENCE))) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                _ => {}
            }
            for event in &events {
                let key = event.token().0;
                if event.is_writable() && self.lanes[key].has_unsent() {
                    self.lanes[key].flush()?;
                }
                if event.is_readable() {
                    self.receive(key, &mut scratch)?;
                }
            }
            now = self.clock.now().instant;
            if now.since(self.moved) > PATIENCE {
                return Err(BenchError::Stuck(self.stuck()));
            }
            if phase != Phase::Draining && now >= change {
                (phase, change) = match (phase, self.plan.span) {
                    (Phase::WarmUp, Span::Time { measured, .. }) => {
                        (from, from_at) = (self.sample(), now);
                        self.delivery.clear();
                        self.round.clear();
                        (Phase::Measured, now.plus(measured))
                    }
                    _ => {
                        to = Some((self.sample(), now, self.times()));
                        self.stop();
                        (Phase::Draining, now)
                    }
                };
            }
        }
        let (to, to_at, times) = to.unwrap_or_else(|| (self.sample(), now, self.times()));
        let done: u64 = self.flows.iter().map(Flow::done).sum();
        self.check_positions()?;
        let writes_total = done * self.plan.shape().batch_writes as u64;
        Ok(Report::new(self.plan, &from, &to, to_at.since(from_at), writes_total, times))
    }

    fn times(&self) -> [crate::bench::Percentiles; 2] {
        [self.delivery.percentiles(), self.round.percentiles()]
    }

    fn sample(&self) -> Counts {
        Counts {
            server: self.plan.pid.and_then(ProcessSample::take),
            generator: ProcessSample::take(std::process::id()),
            ..self.counts
        }
    }

    /// Sends as much as the windows allow, and then what else there is: a write that is timed does
    /// not wait behind what readers say.
    fn publish(&mut self, now: Instant) -> Result<(), BenchError> {
        for stream in self.opened.drain(..) {
            let key = stream / self.streams_per_lane;
            while let Some(range) = self.flows[stream].queue(now) {
                self.lanes[key].queue(range);
                if self.unsent.last() != Some(&key) {
                    self.unsent.push(key);
                }
            }
        }
        for key in self.unsent.drain(..).chain(self.answering.drain(..)) {
            self.lanes[key].flush()?;
        }
        Ok(())
    }

    /// Receives what there is and counts it. What it is answered with is sent once all that was
    /// ready is received, so that no reader's time runs on while another one sends.
    fn receive(&mut self, key: usize, scratch: &mut [u8]) -> Result<(), BenchError> {
        loop {
            let has_more = self.lanes[key].receive(scratch, &self.pattern)?;
            self.count(key)?;
            if !has_more {
                break;
            }
        }
        if self.lanes[key].has_unsent() {
            self.answering.push(key);
        }
        Ok(())
    }

    /// Carries what a lane has counted over to the windows of its streams.
    fn count(&mut self, key: usize) -> Result<(), BenchError> {
        let lane = &mut self.lanes[key];
        if lane.touched.is_empty() {
            return Ok(());
        }
        let now = self.clock.now().instant;
        self.moved = now;
        for local in lane.touched.drain(..) {
            let stream = lane.streams.start + local;
            let batches = lane.passed[local]..lane.positions[local] / self.batch_bytes;
            if batches.is_empty() {
                continue;
            }
            lane.passed[local] = batches.end;
            let bytes = (batches.end - batches.start) * self.batch_bytes;
            let flow = &mut self.flows[stream];
            let has_opened = match lane.role {
                Role::Reader => {
                    self.counts.delivered_bytes += bytes;
                    let (delivery, round) = (&mut self.delivery, &mut self.round);
                    flow.deliver(batches, |queued_at, is_last| {
                        delivery.record(now.since(queued_at));
                        if is_last {
                            round.record(now.since(queued_at));
                        }
                    })?
                }
                Role::Publisher => {
                    self.counts.acknowledged_bytes += bytes;
                    flow.acknowledge(batches)?
                }
            };
            if has_opened {
                self.opened.push(stream);
                self.waiting -= usize::from(self.flows[stream].is_over());
            }
        }
        Ok(())
    }

    /// Writes nothing any more.
    fn stop(&mut self) {
        self.flows.iter_mut().for_each(Flow::stop);
        self.waiting = self.flows.iter().filter(|flow| !flow.is_over()).count();
    }

    /// Checks that nobody got more than was written. That nobody got less is what was waited for.
    fn check_positions(&self) -> Result<(), BenchError> {
        for lane in &self.lanes {
            for (stream, &position) in lane.streams.clone().zip(&lane.positions) {
                let written = self.flows[stream].done() * self.batch_bytes;
                let is_counted = lane.role == Role::Reader || position > 0;
                if is_counted && position != written {
                    return Err(BenchError::Misbehaved(format!(
                        "stream {stream}: {written} bytes were written, {position} came"
                    )));
                }
            }
        }
        Ok(())
    }

    fn stuck(&self) -> String {
        let (waiting, all) = (self.waiting, self.flows.len());
        format!("nothing came for {} s; {waiting} of {all} streams wait", PATIENCE.as_secs())
    }

    /// Ends all connections in good order, so that the server is free for the next load.
    fn close(mut self, farewell: &[u8]) -> Result<(), BenchError> {
        let mut scratch = vec![0; SCRATCH_BYTES];
        let mut events = Events::with_capacity(1024);
        let mut open = self.lanes.len();
        let mut is_open = vec![true; open];
        for lane in &mut self.lanes {
            lane.say(farewell);
            // Who has gone already cannot be told, and all is counted.
            let _ = lane.flush();
            let _ = lane.socket.shutdown(std::net::Shutdown::Write);
        }
        let deadline = self.clock.now().instant.plus(FAREWELL);
        for (key, lane) in self.lanes.iter_mut().enumerate() {
            is_open[key] = lane.forget(&mut scratch);
            open -= usize::from(!is_open[key]);
        }
        while open > 0 {
            let left = deadline.since(self.clock.now().instant);
            if left.is_zero() {
                break;
            }
            match self.poll.poll(&mut events, Some(left)) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                _ => {}
            }
            for event in &events {
                let key = event.token().0;
                if is_open[key] && !self.lanes[key].forget(&mut scratch) {
                    is_open[key] = false;
                    open -= 1;
                }
            }
        }
        Ok(())
    }
}
