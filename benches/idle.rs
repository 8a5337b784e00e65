//! The memory that idle channels and idle streams cost a real broker: `cargo bench --bench idle`.
//!
//! Aims: 2 KiB a channel, 1 KiB a stream, with 10,000 of each at once. `WEIR_IDLE_COUNT` sets
//! another count.

#[path = "../tests/support/mod.rs"]
mod support;

use support::TestServer;
use support::idle::idle_cost;

fn main() {
    let count = std::env::var("WEIR_IDLE_COUNT").ok();
    let count = count.map_or(10_000, |text| text.parse().expect("WEIR_IDLE_COUNT is a number"));
    let server = TestServer::start();
    let cost = idle_cost(&server, count, count);
    println!("idle channel: {:6.0} bytes (aim: 2048)", cost.channel);
    println!("idle stream:  {:6.0} bytes (aim: 1024)", cost.stream);
    println!("broker with {count} of each: {} MiB resident", server.resident_memory() >> 20);
}
