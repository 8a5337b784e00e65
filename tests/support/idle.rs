//! What channels and streams cost the broker that do nothing.

use serde_json::json;

use super::peer::RawPeer;
use super::server::TestServer;

/// Resident bytes of the broker for each; the kernel's memory for sockets is not among them.
#[derive(Clone, Copy, Debug)]
pub struct IdleCost {
    pub channel: f64,
    pub stream: f64,
}

/// Opens `channels` idle channels and creates `streams` idle streams, and says what one of each
/// costs. Before it measures, it opens and creates a few, so that what is needed once is there.
pub fn idle_cost(server: &TestServer, channels: usize, streams: usize) -> IdleCost {
    raise_descriptor_limit();
    let mut creators: Vec<RawPeer> = (0..8).map(|_| server.peer()).collect();
    for creator in &mut creators {
        creator.create("Idle", json!({}));
    }
    let before = server.resident_memory();
    let mut peers: Vec<RawPeer> = (0..channels).map(|_| server.peer()).collect();
    for peer in &mut peers {
        peer.sync();
    }
    let with_channels = server.resident_memory();
    for number in 0..streams {
        creators[number % 8].create("Idle", json!({"Name": "console"}));
    }
    let with_streams = server.resident_memory();
    let each = |more: u64, less: u64, count: usize| more.saturating_sub(less) as f64 / count as f64;
    IdleCost {
        channel: each(with_channels, before, channels),
        stream: each(with_streams, with_channels, streams),
    }
}

/// Lifts the bound on file descriptors of this process, which holds the other ends.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a soft bound may be as high as the hard one");
}
