//! Randomness that can be replayed.

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A seed, printed when a test that used it fails.
#[derive(Debug)]
pub struct Seed {
    value: u64,
}

impl Seed {
    /// The seed of `WEIR_TEST_SEED`, or a new one.
    pub fn new() -> Seed {
        let value = match std::env::var("WEIR_TEST_SEED") {
            Ok(text) => text.parse().expect("WEIR_TEST_SEED is a decimal number"),
            Err(_) => {
                use std::hash::{BuildHasher, RandomState};
                // The standard library seeds its hash tables from the system.
                RandomState::new().hash_one(std::process::id())
            }
        };
        Seed { value }
    }

    /// A generator; each `lane` has its own sequence.
    pub fn rng(&self, lane: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.value.wrapping_add(lane.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The number itself.
    pub fn value(&self) -> u64 {
        self.value
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with WEIR_TEST_SEED={} cargo test <this test>", self.value);
        }
    }
}
