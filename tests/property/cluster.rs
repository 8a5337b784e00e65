//! Several engines in one thread, with mailboxes between them that a test may stuff and delay.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir::access::Principal;
use weir::id::{ChannelId, Door, StreamId, Token, WorkerId};
use weir::stream::{Command, CoreLimits, Effect, Engine, Flow, Message, Reply};
use weir::time::Instant;

/// The seeds to run: one from `WEIR_SEED`, or `WEIR_SEEDS` many, or `count`.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("WEIR_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WEIR_SEEDS").unwrap_or(count),
    }
}

/// Something that a channel was told.
#[derive(Debug)]
pub enum Told {
    Reply(u64, Reply),
    Created(StreamId),
    Disposed(StreamId),
}

/// Engines and the mailboxes between them.
pub struct Cluster {
    pub engines: Vec<Engine>,
    pub now: Instant,
    pub rng: SmallRng,
    mail: HashMap<(WorkerId, WorkerId), VecDeque<Message>>,
    mailbox_max: usize,
    is_traced: bool,
    slots: Vec<u32>,
    tokens: u64,
    pub channels: HashMap<ChannelId, Outside>,
}

/// A channel as the outside sees it.
#[derive(Default)]
pub struct Outside {
    pub waits: bool,
    pub is_finished: bool,
    pub is_overrun: bool,
    pub pending: HashMap<u64, &'static str>,
    pub told: VecDeque<Told>,
}

impl Cluster {
    pub fn new(seed: u64, workers: u16, mailbox_max: usize, limits: &CoreLimits) -> Cluster {
        Cluster {
            engines: (0..workers)
                .map(|worker| Engine::new(WorkerId(worker), workers, limits.clone()))
                .collect(),
            now: Instant(1),
            rng: SmallRng::seed_from_u64(seed),
            mail: HashMap::new(),
            mailbox_max,
            is_traced: std::env::var_os("WEIR_TRACE").is_some(),
            slots: vec![0; usize::from(workers)],
            tokens: 0,
            channels: HashMap::new(),
        }
    }

    pub fn open(&mut self, worker: usize) -> ChannelId {
        self.open_as(worker, Principal::everybody())
    }

    /// A channel with certain rights.
    pub fn open_as(&mut self, worker: usize, principal: Principal) -> ChannelId {
        let slot = self.slots[worker];
        self.slots[worker] += 1;
        let id = ChannelId { worker: WorkerId(worker as u16), slot, generation: 0 };
        let peer = Arc::from(format!("peer-{id}"));
        self.engines[worker].open_through(id, principal, Door::Tcf, peer);
        self.channels.insert(id, Outside::default());
        id
    }

    /// Hands one command in; the channel must not wait.
    pub fn send(&mut self, channel: ChannelId, name: &'static str, command: Command<'_>) -> u64 {
        self.tokens += 1;
        let number = self.tokens;
        if self.is_traced {
            eprintln!("{channel} #{number} {command:?}");
        }
        let token = Token::new(number.to_string().as_bytes());
        let state = self.channels.get_mut(&channel).expect("an open channel");
        assert!(!state.waits, "a waiting channel hands in nothing");
        state.pending.insert(number, name);
        let engine = &mut self.engines[channel.worker.index()];
        if engine.execute(self.now, channel, &token, command) == Flow::Wait {
            state.waits = true;
        }
        self.take_effects(channel.worker);
        number
    }

    pub fn finish(&mut self, channel: ChannelId) {
        self.engines[channel.worker.index()].finish(self.now, channel);
        self.take_effects(channel.worker);
    }

    pub fn close(&mut self, channel: ChannelId) {
        self.engines[channel.worker.index()].close(self.now, channel);
        self.channels.remove(&channel);
        self.take_effects(channel.worker);
    }

    pub fn take_effects(&mut self, worker: WorkerId) {
        self.engines[worker.index()].check_invariants();
        while let Some(effect) = self.engines[worker.index()].poll_effect() {
            let id = effect.channel();
            if self.is_traced {
                eprintln!("    {effect:?}");
            }
            let state = self.channels.get_mut(&id).expect("effects name open channels");
            match effect {
                Effect::Reply { token, reply, .. } => {
                    let text = std::str::from_utf8(token.as_bytes()).expect("our token");
                    let number = text.parse().expect("our token");
                    let known = state.pending.remove(&number);
                    assert!(known.is_some(), "{id}: a second reply to {number}: {reply:?}");
                    state.told.push_back(Told::Reply(number, reply));
                }
                Effect::Created { stream, .. } => state.told.push_back(Told::Created(stream)),
                Effect::Disposed { stream, .. } => state.told.push_back(Told::Disposed(stream)),
                Effect::Overrun { .. } => state.is_overrun = true,
                Effect::Resume { .. } => state.waits = false,
                Effect::Finished { .. } => state.is_finished = true,
            }
        }
    }

    /// One turn of one worker: some of its mail, timers, settle, and what it has to say. Returns
    /// how many messages moved.
    pub fn turn(&mut self, worker: usize, mail_max: usize) -> usize {
        let me = WorkerId(worker as u16);
        let mut moved = 0;
        for from in 0..self.engines.len() {
            let from = WorkerId(from as u16);
            for _ in 0..mail_max {
                let Some(queue) = self.mail.get_mut(&(from, me)) else { break };
                let Some(message) = queue.pop_front() else { break };
                self.engines[worker].handle_message(self.now, from, message);
                moved += 1;
            }
        }
        if self.engines[worker].next_deadline().is_some_and(|at| at <= self.now) {
            self.engines[worker].handle_timeout(self.now);
        }
        self.engines[worker].settle(self.now);
        self.take_effects(me);
        for to in 0..self.engines.len() {
            let to = WorkerId(to as u16);
            let queue = self.mail.entry((me, to)).or_default();
            while to != me && queue.len() < self.mailbox_max {
                let Some(message) = self.engines[worker].poll_message(to) else { break };
                queue.push_back(message);
                moved += 1;
            }
        }
        self.take_effects(me);
        moved
    }

    /// Some turns of some workers.
    pub fn stir(&mut self) {
        for _ in 0..self.rng.random_range(0..4) {
            let worker = self.rng.random_range(0..self.engines.len());
            let mail = self.rng.random_range(0..4);
            self.turn(worker, mail);
        }
    }

    /// Turns until nothing moves at the present time.
    pub fn rest(&mut self) {
        for _ in 0..10_000 {
            let mut is_quiet = true;
            for worker in 0..self.engines.len() {
                is_quiet &= self.turn(worker, usize::MAX) == 0;
            }
            is_quiet &=
                self.engines.iter().all(|e| e.next_deadline().is_none_or(|at| at > self.now));
            if is_quiet {
                return;
            }
        }
        panic!("the engines do not come to rest");
    }

    /// Everything that one channel was told since the last time.
    pub fn told(&mut self, channel: ChannelId) -> Vec<Told> {
        self.channels.get_mut(&channel).map(|c| c.told.drain(..).collect()).unwrap_or_default()
    }
}
