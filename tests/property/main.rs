//! Promises held against random input: the codec by any split of its bytes, the core against plain
//! models by seed. `WEIR_SEED=n` runs one seed of the core, `WEIR_SEEDS=n` that many, and
//! `WEIR_TRACE=1` prints every command and effect.

mod accounts;
mod attaching;
mod cluster;
mod core;
mod ended;
mod endings;
mod framing;
mod lost_places;
mod memory;
mod newcomers;
mod pair;
mod pauses;
mod places;
mod plain;
mod promises;
mod rights;
mod subscribing;
mod takeover;
mod turns;
mod whole_writes;
