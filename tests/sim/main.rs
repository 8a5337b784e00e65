//! The whole broker in one thread, by seed: shards, mailboxes and their driver, a network that is slow and
//! breaks, peers that do as they like, and a model of what they were promised.
//!
//! `WEIR_SEED=n` runs one seed, `WEIR_SEEDS=n` that many (from `WEIR_FROM`), and `WEIR_TRACE=1` prints what
//! peers say and hear. `tools/sweep` runs many seeds in an optimised build.

mod broker;
mod canary;
mod checks;
mod content;
mod habits;
mod model;
mod network;
mod peer;
mod reader;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::Rng;

use model::Complaint;
use world::World;

const SEEDS: u64 = 300;
const STEPS: usize = 3000;
/// Seeds that may fail before a sweep ends.
const FAILURES_MAX: usize = 5;

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let from = number("WEIR_FROM").unwrap_or(0);
    match number("WEIR_SEED") {
        Some(seed) => seed..seed + 1,
        None => from..from + number("WEIR_SEEDS").unwrap_or(SEEDS),
    }
}

/// One whole run: a busy time, a rest in it, and everybody's end.
fn run(seed: u64) -> Result<(), Complaint> {
    let mut world = World::new(seed);
    let rest_at = world.rng.random_range(STEPS / 3..STEPS);
    for step in 0..STEPS {
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
    if seed % 3 == 0 {
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
    world.check_empty()?;
    world.model.check_records()
}

#[test]
fn promises_hold_whatever_happens() {
    let mut failures = Vec::new();
    for seed in seeds() {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(seed)));
        let complaint = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(complaint)) => complaint,
            Err(_) => "a panic, told above".to_owned(),
        };
        eprintln!("seed {seed}: {complaint}");
        failures.push(seed);
        if failures.len() == FAILURES_MAX {
            break;
        }
    }
    if let Some(seed) = failures.first() {
        panic!(
            "seeds {failures:?} fail; replay with WEIR_SEED={seed} cargo test --test sim promises"
        );
    }
}
