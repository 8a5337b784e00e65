//! The whole broker in one thread, by seed: the workers' loops, their mailboxes, a network that is
//! slow and breaks, peers that do as they like, and a model of what they were promised.
//!
//! `WEIR_SEED=n` runs one seed, `WEIR_SEEDS=n` that many (from `WEIR_FROM`), each of `WEIR_STEPS`,
//! and `WEIR_TRACE=1` prints what peers say and hear. `tools/sweep` runs many, optimised.

mod asked;
mod broker;
mod canary;
mod checks;
mod content;
mod habits;
mod hostile;
mod model;
mod network;
mod newcomers;
mod peer;
mod places;
mod poller;
mod reader;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::Rng;

use model::Complaint;
use world::World;

const SEEDS: u64 = 300;
/// Steps of the busy time, in a plain build and in an optimised one.
const STEPS: usize = if cfg!(debug_assertions) { 1500 } else { 4000 };
/// Seeds that may fail before a sweep ends.
const FAILURES_MAX: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn steps() -> usize {
    number("WEIR_STEPS").map_or(STEPS, |steps| steps as usize)
}

fn seeds() -> std::ops::Range<u64> {
    let from = number("WEIR_FROM").unwrap_or(0);
    match number("WEIR_SEED") {
        Some(seed) => seed..seed + 1,
        None => from..from + number("WEIR_SEEDS").unwrap_or(SEEDS),
    }
}

/// One whole run: a busy time, a rest in it, and everybody's end.
fn run(seed: u64) -> Result<(), Complaint> {
    let mut world = World::new(seed);
    let steps = steps();
    let rest_at = world.rng.random_range(steps / 3..steps);
    for step in 0..steps {
        world.step()?;
        if step % 16 == 0 {
            world.check_now()?;
        }
        if step == rest_at {
            world.rest()?;
            world.check_now()?;
            world.check_at_rest(false)?;
        }
    }
    world.rest()?;
    world.check_at_rest(false)?;
    if world.rng.random_bool(0.5) {
        world.pass(Duration::from_secs(3))?;
        world.check_now()?;
        world.check_at_rest(true)?;
    }
    world.serve_newcomers()?;
    if seed.is_multiple_of(3) {
        world.drain();
        for _ in 0..world.rng.random_range(0..200) {
            world.step()?;
        }
    }
    for index in 0..world.peers.len() {
        let way = world.rng.random_range(0..4);
        let Some(link) = &mut world.peers[index].link else { continue };
        match way {
            0 | 1 => link.leave(way == 0),
            _ if !link.reads || way == 2 => world.cut(index),
            _ => link.leave(true),
        }
        if let Some(link) = &mut world.peers[index].link {
            link.reads = true;
        }
    }
    world.pass(Duration::from_secs(60))?;
    // What parks on a stream that waits for its first reader may wait for ever, and what was sent
    // behind it.
    for index in 0..world.peers.len() {
        if world.waits_for_first_reader(index) {
            world.cut(index);
        }
    }
    world.pass(Duration::from_secs(60))?;
    world.check_empty()?;
    world.model.check_records()
}

/// What is wrong with one seed, in words.
fn complaint_of(seed: u64) -> Option<Complaint> {
    match catch_unwind(AssertUnwindSafe(|| run(seed))) {
        Ok(outcome) => outcome.err(),
        Err(_) => Some("a panic, told above".to_owned()),
    }
}

#[test]
fn promises_hold_whatever_happens() {
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().expect("no panic").len() >= FAILURES_MAX {
                        return;
                    }
                    if let Some(complaint) = complaint_of(seed) {
                        eprintln!("seed {seed}: {complaint}");
                        failed.lock().expect("no panic").push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    if let Some(seed) = failed.first() {
        let steps = steps();
        let replay = format!("WEIR_SEED={seed} WEIR_STEPS={steps} cargo test --test sim promises");
        panic!("seeds {failed:?} fail; replay with {replay}");
    }
}
