//! Those who want nothing but to be served meanwhile: on each worker a quiet channel, a citizen who
//! creates and writes, and a prompt reader.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::siege::now;
use crate::siege::peer::{PATIENCE, Peer, quoted, show, zeros};

/// Between two round trips of a quiet channel.
const QUIET_INTERVAL: Duration = Duration::from_millis(10);
/// Between two streams of a citizen.
const CITIZEN_INTERVAL: Duration = Duration::from_millis(50);
/// Between two rounds of a prompt reader.
const PROMPT_INTERVAL: Duration = Duration::from_millis(20);
/// Connections made to find one for each worker.
const TRIES_MAX: usize = 256;
/// The buffer of a prompt reader's stream; its writer always has more to say than that.
const PROMPT_BUFFER_BYTES: usize = 1 << 10;
/// Writes of a round, each as large as the buffer.
const PROMPT_WRITES: usize = 4;

/// Everybody who watches.
#[derive(Debug)]
pub struct Witnesses {
    is_over: Arc<AtomicBool>,
    quiet: Vec<JoinHandle<Vec<Duration>>>,
    citizens: Vec<JoinHandle<Account>>,
    prompt: Vec<JoinHandle<Account>>,
    noise: JoinHandle<Duration>,
}

/// What a citizen or a prompt reader has to tell.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Rounds that went as they should.
    pub rounds: u64,
    /// The longest of them.
    pub worst: Duration,
    /// Bytes that a prompt reader was told it has lost.
    pub lost_bytes: u64,
    /// Rounds that did not, and how the first went wrong.
    pub failures: u64,
    /// How the first failure read.
    pub first: Option<String>,
}

/// All accounts.
#[derive(Clone, Debug, Default)]
pub struct Testimony {
    /// Round trips of quiet channels, all workers, shortest first.
    pub quiet: Vec<Duration>,
    /// Citizens.
    pub citizens: Account,
    /// Prompt readers.
    pub prompt: Account,
    /// How late this process itself was woken at worst: what of `quiet` the machine may have done.
    pub noise: Duration,
}

impl Account {
    fn add(&mut self, other: Account) {
        self.rounds += other.rounds;
        self.worst = self.worst.max(other.worst);
        self.lost_bytes += other.lost_bytes;
        self.failures += other.failures;
        self.first = self.first.take().or(other.first);
    }
}

impl Witnesses {
    /// Calls witnesses to each of `workers`.
    ///
    /// # Errors
    /// The broker does not serve them, before anything has begun.
    pub fn call(address: SocketAddr, workers: u16) -> Result<Witnesses> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut witnesses = Witnesses {
            is_over: Arc::clone(&is_over),
            quiet: Vec::new(),
            citizens: Vec::new(),
            prompt: Vec::new(),
            noise: spawn(&is_over, |is_over| listen_to_noise(&is_over))?,
        };
        let mut quiet = one_for_each(address, workers)?;
        let mut citizens = one_for_each(address, workers)?;
        let mut writers = one_for_each(address, workers)?;
        let mut readers = one_for_each(address, workers)?;
        // Each reads from another worker, where there is one.
        readers.rotate_left(1);
        for _ in 0..workers {
            let mut peer = quiet.pop().context("one for each")?;
            witnesses.quiet.push(spawn(&is_over, move |is_over| stay_quiet(&is_over, &mut peer))?);
            let mut peer = citizens.pop().context("one for each")?;
            witnesses.citizens.push(spawn(&is_over, move |is_over| {
                repeat(&is_over, CITIZEN_INTERVAL, |account| create_and_write(&mut peer, account))
            })?);
            let mut writer = writers.pop().context("one for each")?;
            let mut reader = readers.pop().context("one for each")?;
            let properties = json!({"BufferSize": PROMPT_BUFFER_BYTES, "History": 0});
            let stream = writer.create("Prompt", &properties)?;
            ensure!(reader.attach(&stream, &json!({}))? == 0, "attaching a prompt reader");
            witnesses.prompt.push(spawn(&is_over, move |is_over| {
                repeat(&is_over, PROMPT_INTERVAL, |account| {
                    read_promptly(&mut writer, &mut reader, &stream, account)
                })
            })?);
        }
        Ok(witnesses)
    }

    /// Ends the watch.
    pub fn dismiss(self) -> Testimony {
        self.is_over.store(true, Ordering::Relaxed);
        let mut told = Testimony::default();
        for quiet in self.quiet {
            told.quiet.extend(quiet.join().unwrap_or_default());
        }
        told.quiet.sort_unstable();
        for citizen in self.citizens {
            told.citizens.add(citizen.join().unwrap_or_default());
        }
        for prompt in self.prompt {
            told.prompt.add(prompt.join().unwrap_or_default());
        }
        told.noise = self.noise.join().unwrap_or_default();
        told
    }
}

fn spawn<T: Send + 'static>(
    is_over: &Arc<AtomicBool>,
    watch: impl FnOnce(Arc<AtomicBool>) -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let is_over = Arc::clone(is_over);
    Ok(thread::Builder::new().name("siege-witness".to_owned()).spawn(move || watch(is_over))?)
}

/// A peer on each worker, in order. A stream's number tells the worker of its creator.
///
/// # Errors
/// The broker does not serve them, or does not use all of its workers.
pub fn one_for_each(address: SocketAddr, workers: u16) -> Result<Vec<Peer>> {
    let mut found: Vec<Option<Peer>> = (0..workers).map(|_| None).collect();
    // Those that were not needed stay until the end, or the next would come to the same worker.
    let mut spare = Vec::new();
    for _ in 0..TRIES_MAX {
        let mut peer = Peer::open(address)?;
        let stream = peer.create("Where", &json!({}))?;
        peer.call("StreamBroker", "dispose", &[&quoted(&stream)])?;
        let number: u64 = stream.trim_start_matches("VS").parse().context("a stream's number")?;
        let slot = &mut found[(number % u64::from(workers)) as usize];
        match slot {
            None => *slot = Some(peer),
            Some(_) => spare.push(peer),
        }
        if found.iter().all(Option::is_some) {
            return Ok(found.into_iter().flatten().collect());
        }
    }
    anyhow::bail!("connections do not come to all of {workers} workers")
}

fn stay_quiet(is_over: &AtomicBool, peer: &mut Peer) -> Vec<Duration> {
    let mut trips = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let from = now();
        let outcome = peer.echo();
        trips.push(if outcome.is_ok() { from.elapsed() } else { PATIENCE });
        if outcome.is_err() {
            break;
        }
        thread::sleep(QUIET_INTERVAL);
    }
    trips
}

fn listen_to_noise(is_over: &AtomicBool) -> Duration {
    let pause = Duration::from_millis(1);
    let mut worst = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let from = now();
        thread::sleep(pause);
        worst = worst.max(from.elapsed().saturating_sub(pause));
    }
    worst
}

/// Goes on until it is over, or a connection breaks.
fn repeat(
    is_over: &AtomicBool,
    interval: Duration,
    mut round: impl FnMut(&mut Account) -> Result<Option<String>>,
) -> Account {
    let mut account = Account::default();
    while !is_over.load(Ordering::Relaxed) {
        let from = now();
        let outcome = round(&mut account);
        let is_broken = outcome.is_err();
        match outcome.unwrap_or_else(|error| Some(format!("{error:#}"))) {
            None => {
                account.rounds += 1;
                account.worst = account.worst.max(from.elapsed());
            }
            Some(failure) => {
                account.failures += 1;
                account.first.get_or_insert(failure);
            }
        }
        if is_broken {
            break;
        }
        thread::sleep(interval);
    }
    account
}

/// One stream from its beginning to its end; what went wrong, if something was refused.
fn create_and_write(peer: &mut Peer, _account: &mut Account) -> Result<Option<String>> {
    let args: [&[u8]; 2] = [b"\"Citizen\"", b"{}"];
    let reply = peer.call("StreamBroker", "create", &args)?;
    if reply.code() != 0 {
        return Ok(Some(format!("create: {}", show(&reply))));
    }
    let stream = reply.result(0).as_str().context("an ID")?.to_owned();
    let token = peer.queue_write(&stream, 100, &zeros(100));
    peer.flush()?;
    let written = peer.reply(&token)?;
    let disposed = peer.call("StreamBroker", "dispose", &[&quoted(&stream)])?;
    for (what, reply) in [("write", written), ("dispose", disposed)] {
        if reply.code() != 0 {
            return Ok(Some(format!("{what}: {}", show(&reply))));
        }
    }
    Ok(None)
}

/// A few buffers full, each read as soon as it is there. The stream is full all the time.
fn read_promptly(
    writer: &mut Peer,
    reader: &mut Peer,
    stream: &str,
    account: &mut Account,
) -> Result<Option<String>> {
    let text = zeros(PROMPT_BUFFER_BYTES);
    let mut tokens = Vec::new();
    for _ in 0..PROMPT_WRITES {
        tokens.push(writer.queue_write(stream, PROMPT_BUFFER_BYTES, &text));
    }
    writer.flush()?;
    let mut left = (PROMPT_WRITES * PROMPT_BUFFER_BYTES) as i64;
    while left > 0 {
        let token = reader.queue_read(stream, PROMPT_BUFFER_BYTES);
        reader.flush()?;
        let reply = reader.reply(&token)?;
        // A read's reply has its data before its error report.
        let field = |at: usize| reply.fields.get(at).map_or(&[][..], Vec::as_slice);
        if !matches!(field(2), b"" | b"null") {
            return Ok(Some(format!("read: {}", field(2).escape_ascii())));
        }
        let data: String = serde_json::from_slice(field(1)).unwrap_or_default();
        let lost: i64 = serde_json::from_slice(field(3)).unwrap_or_default();
        account.lost_bytes += lost.unsigned_abs();
        let padding = data.bytes().rev().take_while(|&byte| byte == b'=').count();
        let got = data.len() / 4 * 3 - padding;
        ensure!(got > 0 || lost > 0, "a read gave nothing: {}", show(&reply));
        left -= got as i64 + lost;
    }
    for token in tokens {
        let reply = writer.reply(&token)?;
        if reply.code() != 0 {
            return Ok(Some(format!("write: {}", show(&reply))));
        }
    }
    Ok(None)
}
