//! What does nothing costs next to nothing. `cargo bench --bench idle` gives the exact figures.

use crate::support::TestServer;
use crate::support::idle::idle_cost;

/// Twice what `benches/idle.rs` aims at: the test finds what has become fat, not a noisy kilobyte.
const CHANNEL_BYTES_MAX: f64 = 4096.0;
const STREAM_BYTES_MAX: f64 = 2048.0;

#[test]
fn idle_channels_and_streams_are_lean() {
    let mut server = TestServer::start();
    let cost = idle_cost(&server, 2000, 2000);
    assert!(cost.channel < CHANNEL_BYTES_MAX, "{cost:?}");
    assert!(cost.stream < STREAM_BYTES_MAX, "{cost:?}");
    server.assert_well();
}
