//! The broker in one thread: the workers' very loops, the real mailboxes and bells between them,
//! and a driver that lets each sleep until it has a reason to be awake. So a wake-up that anybody
//! forgets shows as something that never happens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir::id::{ChannelId, Door, WorkerId};
use weir::time::{Instant, Now};
use weir::worker::{
    Doorbell, Favour, Identity, Limits, Links, Mail, Outbox, Phase, PhaseFlag, Placement, Shard,
    ShardReport, Tuning, TurnBudget, Wake, mailbox,
};

use crate::poller::{Carrying, Registered, SharedConn, SimPoller, SimSocket, Wiring};

/// The connections by their number, which both sides use.
pub type Conns = BTreeMap<usize, SharedConn>;

#[derive(Default)]
struct Flag(Arc<AtomicBool>);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One worker, and how long it sleeps.
pub struct Worker {
    worker: weir::worker::Worker<SimPoller>,
    registered: Registered,
    bell: Arc<Doorbell>,
    is_woken: Arc<AtomicBool>,
    /// How long it may sleep, and when it wakes by itself.
    allowed: Option<Duration>,
    wakes_at: Option<Instant>,
}

/// All workers.
pub struct Broker {
    pub workers: Vec<Worker>,
    now: Rc<Cell<Now>>,
    phase: Arc<PhaseFlag>,
    placement: Arc<Placement>,
}

impl Broker {
    /// Workers with mailboxes for `mail_max`, each with a budget of its own, by `rng`.
    pub fn new(workers: u16, mail_max: usize, limits: &Limits, rng: &mut SmallRng) -> Broker {
        // Long arguments would come byte by byte otherwise.
        let read_min = if limits.wire.argument_bytes_max > 5000 { 20 } else { 1 };
        let identity = Arc::new(Identity {
            agent_id: "0583851d".to_owned(),
            name: "Weir".to_owned(),
            listens: Vec::new(),
        });
        let now = Rc::new(Cell::new(Now { instant: Instant(1), unix_ms: 5 }));
        let phase = Arc::new(PhaseFlag::default());
        let placement = Arc::new(Placement::new(workers));
        let tuning = Arc::new(Tuning::new(limits.clone(), usize::MAX));
        let favour = Arc::new(Favour::default());
        let server_bell = Arc::new(Doorbell::new(Flag::default()));
        let flags: Vec<_> = (0..workers).map(|_| Arc::<AtomicBool>::default()).collect();
        let bells: Vec<_> =
            flags.iter().map(|flag| Arc::new(Doorbell::new(Flag(Arc::clone(flag))))).collect();
        let mut outboxes: Vec<Vec<(WorkerId, Outbox<Mail<SimSocket>>)>> =
            (0..workers).map(|_| Vec::new()).collect();
        let mut inboxes = Vec::new();
        for to in 0..usize::from(workers) {
            let others: Vec<_> = (0..usize::from(workers)).filter(|from| *from != to).collect();
            let senders: Vec<_> = others.iter().map(|from| Arc::clone(&bells[*from])).collect();
            let (ends, inbox) = mailbox(mail_max, &bells[to], &senders);
            inboxes.push(inbox);
            for (from, end) in others.into_iter().zip(ends) {
                outboxes[from].push((WorkerId(to as u16), end));
            }
        }
        let parts = inboxes.into_iter().zip(outboxes).zip(bells.into_iter().zip(flags));
        let make = |(me, ((inbox, outboxes), (bell, is_woken))): (usize, _)| {
            let registered = Registered::default();
            let wiring = Wiring {
                now: Rc::clone(&now),
                rng: Rc::new(RefCell::new(SmallRng::seed_from_u64(rng.random()))),
                bytes_per_read: [read_min, 20, usize::MAX][rng.random_range(0..3)],
            };
            let links = Links {
                poller: SimPoller { wiring, registered: Rc::clone(&registered) },
                bell: Arc::clone(&bell),
                inbox,
                outboxes,
                placement: Arc::clone(&placement),
                tuning: Arc::clone(&tuning),
                favour: Arc::clone(&favour),
                phase: Arc::clone(&phase),
                server_bell: Arc::clone(&server_bell),
            };
            let me = WorkerId(me as u16);
            let mut worker =
                weir::worker::Worker::new(me, limits.clone(), Arc::clone(&identity), links);
            worker.set_budget(budget(rng));
            let (allowed, wakes_at) = (Some(Duration::ZERO), Some(Instant::default()));
            Worker { worker, registered, bell, is_woken, allowed, wakes_at }
        };
        let workers = parts.enumerate().map(make).collect();
        Broker { workers, now, phase, placement }
    }

    pub fn reports(&self) -> Vec<ShardReport> {
        self.workers.iter().map(|worker| worker.worker.shard().report()).collect()
    }

    pub fn now(&self) -> Instant {
        self.now.get().instant
    }

    /// Moves the clock on to `instant`.
    pub fn pass_until(&mut self, instant: Instant) {
        let now = self.now.get();
        self.now.set(Now { instant: now.instant.max(instant), ..now });
    }

    /// The next moment at which a worker that sleeps would wake by itself.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.workers.iter().filter_map(|worker| worker.wakes_at).min()
    }

    /// Hands worker `index` a connection; gives its channel.
    pub fn open(
        &mut self,
        index: usize,
        conn: SharedConn,
        carrying: Carrying,
        peer: usize,
    ) -> ChannelId {
        let worker = &mut self.workers[index];
        self.placement.assign_to(WorkerId(index as u16));
        worker.bell.ring();
        let socket = SimSocket { conn, carrying };
        let channel = worker.worker.open(socket, Door::Tcf, format!("peer-{peer}").into());
        channel.expect("a simulated socket can be taken on")
    }

    /// Has all workers end their channels, each in its next turn.
    pub fn drain(&mut self) {
        self.phase.advance(Phase::Draining);
        for worker in &self.workers {
            worker.bell.ring();
        }
    }

    /// A turn of worker `index` where it has a reason to be awake; whether it had.
    pub fn turn(&mut self, index: usize) -> bool {
        let now = self.now();
        let worker = &mut self.workers[index];
        let is_due = worker.is_due(now);
        if is_due {
            worker.is_woken.store(false, Ordering::SeqCst);
            worker.allowed = worker.worker.step(worker.allowed).expect("nothing fails here");
            worker.wakes_at = worker.allowed.map(|allowed| now.plus(allowed));
            worker.shard().engine().check_invariants();
        }
        is_due
    }
}

impl Worker {
    pub fn shard(&self) -> &Shard {
        self.worker.shard()
    }

    /// Whether the worker holds nothing of any connection.
    pub fn is_idle(&self) -> bool {
        self.worker.is_idle()
    }

    fn is_due(&self, now: Instant) -> bool {
        self.is_woken.load(Ordering::SeqCst)
            || self.wakes_at.is_some_and(|at| at <= now)
            || self.registered.borrow().values().any(|conn| conn.borrow().is_ready())
    }
}

/// How much of one thing a worker does in one turn.
fn budget(rng: &mut SmallRng) -> TurnBudget {
    TurnBudget {
        mail_max: [1, 2, usize::MAX][rng.random_range(0..3)],
        others_min: [1, 2, usize::MAX][rng.random_range(0..3)],
        others_wait: Duration::from_millis([0, 10][rng.random_range(0..2)]),
        others_bytes: [1, 50, 4096][rng.random_range(0..3)],
        receive_bytes_min: [1, 50, 4096][rng.random_range(0..3)],
        ..TurnBudget::default()
    }
}
