//! What a careless or hostile peer may try, each as a row: done to the real program while others
//! want to be served, and measured against a bound.

mod broker;
mod peer;
pub mod rows;
mod witness;

use std::fmt::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

pub use broker::stop_all;
pub use rows::Row;

use broker::{Broker, DRAIN_TIMEOUT, Setting};
use peer::Peer;
use witness::{Testimony, Witnesses};

/// What the broker may hold above its memory limit, whatever peers do.
pub const ALLOWANCE_BYTES: u64 = 64 << 20;
/// The longest round trip of a quiet channel.
pub const QUIET_MAX: Duration = Duration::from_millis(150);
/// What a stop may take beyond the time for draining.
const STOP_SLACK: Duration = Duration::from_millis(500);

/// One thing that was measured, and what it had to be.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What.
    pub what: &'static str,
    /// How much.
    pub measured: String,
    /// What it had to be; empty where it is only told.
    pub bound: String,
    /// Whether it was.
    pub holds: bool,
}

/// One row on so many workers.
#[derive(Debug)]
pub struct Outcome {
    /// The row.
    pub name: &'static str,
    /// Workers of the broker.
    pub workers: u16,
    /// Everything that was measured.
    pub figures: Vec<Figure>,
    /// Why there is less than there should be.
    pub error: Option<String>,
}

impl Outcome {
    /// Whether every bound holds.
    pub fn holds(&self) -> bool {
        self.error.is_none() && self.figures.iter().all(|figure| figure.holds)
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let verdict = if self.holds() { "ok" } else { "FAILED" };
        let mut line = format!("| {} | {} | {verdict} |", self.name, self.workers);
        for Figure { what, measured, bound, holds } in &self.figures {
            let mark = if *holds { "" } else { "!! " };
            let bound = if bound.is_empty() { String::new() } else { format!(" ({bound})") };
            let _ = write!(line, " {mark}{what} {measured}{bound};");
        }
        if let Some(error) = &self.error {
            let _ = write!(line, " !! {error}");
        }
        line + " |"
    }
}

/// One row under way: the broker, and what has been seen.
#[derive(Debug)]
pub struct Siege {
    broker: Broker,
    workers: u16,
    limit_bytes: u64,
    /// The part of a row's size that is used, 0 to 1.
    scale: f64,
    figures: Vec<Figure>,
    /// Peers that stay to the end.
    kept: Vec<Peer>,
}

impl Siege {
    /// A row's number, scaled.
    fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale) as usize).max(1)
    }

    fn note(&mut self, what: &'static str, measured: impl ToString) {
        let measured = measured.to_string();
        self.figures.push(Figure { what, measured, bound: String::new(), holds: true });
    }

    fn demand(
        &mut self,
        what: &'static str,
        measured: impl ToString,
        bound: impl ToString,
        holds: bool,
    ) {
        let (measured, bound) = (measured.to_string(), bound.to_string());
        self.figures.push(Figure { what, measured, bound, holds });
    }

    /// The peers stay as they are until the broker is asked to stop.
    fn keep(&mut self, peers: impl IntoIterator<Item = Peer>) {
        self.kept.extend(peers);
    }

    /// A peer that listens.
    fn peer(&self) -> Result<Peer> {
        Peer::open(self.broker.address)
    }

    /// A peer that will not.
    fn deaf_peer(&self) -> Result<Peer> {
        Peer::open_deaf(self.broker.address)
    }

    /// So many of them.
    fn deaf_peers(&self, count: usize) -> Result<Vec<Peer>> {
        (0..count).map(|_| self.deaf_peer()).collect()
    }

    /// A peer on each worker.
    fn one_for_each(&self) -> Result<Vec<Peer>> {
        witness::one_for_each(self.broker.address, self.workers)
    }

    /// Lets what has been done have its effect.
    fn wait(&self, time: Duration) {
        thread::sleep(time);
    }

    fn judge(&mut self, told: &Testimony, row: &Row) {
        let mib = |bytes: u64| bytes >> 20;
        let most = self.limit_bytes + ALLOWANCE_BYTES;
        let peak = self.broker.peak_bytes();
        self.demand("peak MiB", mib(peak), format!("<= {}", mib(most)), peak <= most);
        let worst = told.quiet.last().copied().unwrap_or_default();
        let p99 = percentile(&told.quiet, 0.99);
        let bound = format!("<= {} ms", QUIET_MAX.as_millis());
        let holds = worst <= QUIET_MAX && !told.quiet.is_empty();
        let measured = format!("{} / p99 {} ms", millis(worst), millis(p99));
        self.demand("quiet worst", measured, bound, holds || row.may_be_slow);
        self.note("machine's own", format!("{} ms", millis(told.noise)));
        for (what, account) in [("create+write", &told.citizens), ("prompt", &told.prompt)] {
            let mut measured = format!("{} ok, worst {} ms", account.rounds, millis(account.worst));
            if account.failures > 0 {
                let first = account.first.as_deref().unwrap_or_default();
                let _ = write!(measured, ", {} FAILED: {first}", account.failures);
            }
            let holds = account.failures == 0 && account.rounds > 0;
            self.demand(what, measured, "none fails", holds);
        }
        let lost = told.prompt.lost_bytes;
        self.demand("prompt lost", lost, "0", lost == 0);
        let log = self.broker.log();
        let mut panics = log.lines().skip_while(|line| !line.contains("panicked at"));
        if let Some(place) = panics.next() {
            let what = panics.next().unwrap_or_default();
            self.demand("panic", format!("{place} {what}"), "none", false);
        }
    }

    fn stop(&mut self) {
        let most = DRAIN_TIMEOUT + STOP_SLACK;
        let bound = format!("<= {} s", most.as_secs_f64());
        match self.broker.stop() {
            Some(time) => {
                let measured = format!("{:.2} s", time.as_secs_f64());
                self.demand("stop", measured, bound, time <= most);
            }
            None => self.demand("stop", "not in order", bound, false),
        }
    }
}

/// Where and how rows are run.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The program.
    pub weir: PathBuf,
    /// Its workers.
    pub workers: u16,
    /// The part of each row's size that is used, 0 to 1.
    pub scale: f64,
}

/// Runs one row.
pub fn run(row: &Row, ground: &Ground) -> Outcome {
    let workers = ground.workers;
    let mut outcome = Outcome { name: row.name, workers, figures: Vec::new(), error: None };
    let setting = Setting {
        weir: ground.weir.clone(),
        workers,
        limit_bytes: row.limit_mib << 20,
        limits: row.limits.to_owned(),
        files: row.files,
    };
    let broker = match Broker::start(&setting) {
        Ok(broker) => broker,
        Err(error) => {
            outcome.error = Some(format!("{error:#}"));
            return outcome;
        }
    };
    let mut siege = Siege {
        broker,
        workers,
        limit_bytes: setting.limit_bytes,
        scale: ground.scale,
        figures: Vec::new(),
        kept: Vec::new(),
    };
    outcome.error = besiege(row, &mut siege).err().map(|error| format!("{error:#}"));
    if let Some(verdict) = siege.broker.verdict() {
        outcome.error = Some(verdict);
    }
    outcome.figures = std::mem::take(&mut siege.figures);
    outcome
}

fn besiege(row: &Row, siege: &mut Siege) -> Result<()> {
    let prepared = (row.prepare)(siege)?;
    let witnesses = Witnesses::call(siege.broker.address, siege.workers)?;
    let from = now();
    let attacked = (row.attack)(siege, prepared);
    siege.note("took", format!("{:.1} s", from.elapsed().as_secs_f64()));
    // Whatever the attack has come to, what it did to the others counts.
    let told = witnesses.dismiss();
    siege.judge(&told, row);
    siege.stop();
    attacked
}

/// The time, which only the room `time` may read inside of the broker.
#[expect(clippy::disallowed_methods, reason = "waiting and measuring outside of the broker")]
fn now() -> Instant {
    Instant::now()
}

fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
