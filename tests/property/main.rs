//! Random commands by seed against plain models. `WEIR_SEED=n` runs one seed, `WEIR_SEEDS=n` that many, and
//! `WEIR_TRACE=1` prints every command and effect.

mod cluster;
mod core;
mod promises;
