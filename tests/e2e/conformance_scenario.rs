//! The scenario of the Java client's own conformance test for `Streams`: a pair of test streams,
//! overlapped reads and writes of odd sizes, an end, and a disposal in an order of its own.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::support::message::{error_code, json};
use crate::support::peer::{ReadReply, quoted};
use crate::support::{Message, RawPeer, Seed, TestServer};

const CHANNELS: u64 = 4;
const ROUNDS: usize = 3;
const BYTES: usize = 60_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    Yes,
    No,
}

#[test]
fn scenario_passes_on_four_channels_at_once() {
    let seed = Seed::new();
    let mut server = TestServer::start();
    for subscribed in [Subscribed::No, Subscribed::Yes] {
        std::thread::scope(|scope| {
            for lane in 0..CHANNELS {
                let (address, mut rng) = (server.address(), seed.rng(lane));
                scope.spawn(move || {
                    let services: &[&str] = match lane % 2 {
                        0 => &["ZeroCopy", "Locator", "Diagnostics"],
                        _ => &["Locator"],
                    };
                    Scenario::new(address, services, subscribed).run(&mut rng);
                });
            }
        });
    }
    server.assert_well();
}

/// One channel's part.
struct Scenario {
    peer: RawPeer,
    subscribed: Subscribed,
    /// Streams that were told of and whose `disposed` has not come.
    live: BTreeSet<String>,
    /// Streams of the other channels, which a subscriber must leave.
    leaving: BTreeSet<String>,
    own: Vec<String>,
    disposed_own: Vec<String>,
    /// Replies wanted, all of success.
    expected: Vec<String>,
    reads: VecDeque<String>,
    got: Vec<u8>,
    has_ended: bool,
}

impl Scenario {
    fn new(address: SocketAddr, services: &[&str], subscribed: Subscribed) -> Scenario {
        Scenario {
            peer: RawPeer::open(address, services),
            subscribed,
            live: BTreeSet::new(),
            leaving: BTreeSet::new(),
            own: Vec::new(),
            disposed_own: Vec::new(),
            expected: Vec::new(),
            reads: VecDeque::new(),
            got: Vec::new(),
            has_ended: false,
        }
    }

    fn run(mut self, rng: &mut SmallRng) {
        if self.subscribed == Subscribed::Yes {
            assert_eq!(self.peer.streams("subscribe", &[b"\"Diagnostics\""]), 0);
        }
        for _ in 0..ROUNDS {
            self.round(rng);
        }
        if self.subscribed == Subscribed::Yes {
            self.send("Streams", "unsubscribe", &[b"\"Diagnostics\""]);
            self.settle();
        }
        self.peer.send_end();
        let (_, report) = self.peer.expect_end();
        assert_eq!(error_code(&report), 0);
    }

    fn round(&mut self, rng: &mut SmallRng) {
        let (inp, out) = self.peer.create_test_streams(1001, 771);
        self.own = vec![inp.clone(), out.clone()];
        self.disposed_own.clear();
        self.got.clear();
        self.has_ended = false;

        let data: Vec<u8> = (0..BYTES).map(|_| rng.random()).collect();
        // The first bytes are on their way before their reader is; none may fall away.
        self.send("Streams", "connect", &[&quoted(&inp)]);
        let mut written = self.write_some(rng, &inp, &data, 0);
        self.send("Streams", "connect", &[&quoted(&out)]);
        for _ in 0..8 {
            self.start_read(rng, &out);
        }
        while !self.has_ended || !self.reads.is_empty() {
            if written < data.len() && self.expected.len() < 10 {
                written = self.write_some(rng, &inp, &data, written);
                if written == data.len() {
                    self.send("Streams", "eos", &[&quoted(&inp)]);
                }
                continue;
            }
            let had = self.reads.len();
            self.take_message();
            if self.reads.len() < had && !self.has_ended {
                self.start_read(rng, &out);
            }
        }
        assert!(self.got == data, "what came out is what went in");

        let (inp_id, out_id) = (quoted(&inp), quoted(&out));
        self.send("Streams", "disconnect", &[&inp_id]);
        self.send("Diagnostics", "disposeTestStream", &[&inp_id]);
        self.send("Diagnostics", "disposeTestStream", &[&out_id]);
        self.send("Streams", "disconnect", &[&out_id]);
        self.settle();
        self.disposed_own.sort_unstable();
        let mut own = self.own.clone();
        own.sort_unstable();
        assert_eq!(self.disposed_own, own, "disposed comes once for each stream");
    }

    /// Writes a piece; now and then an empty one.
    fn write_some(&mut self, rng: &mut SmallRng, inp: &str, data: &[u8], from: usize) -> usize {
        let size = if rng.random_range(0..8) == 0 { 0 } else { rng.random_range(1..=400) };
        let to = (from + size).min(data.len());
        let token = self.peer.start_write(inp, &data[from..to]);
        self.expected.push(token);
        to
    }

    fn start_read(&mut self, rng: &mut SmallRng, out: &str) {
        let token = self.peer.start_read(out, rng.random_range(223..=241));
        self.reads.push_back(token);
    }

    fn send(&mut self, service: &str, name: &str, args: &[&[u8]]) {
        let token = self.peer.command(service, name, args);
        self.expected.push(token);
    }

    /// Waits until every command is answered.
    fn settle(&mut self) {
        while !self.expected.is_empty() {
            self.take_message();
        }
    }

    fn take_message(&mut self) {
        match self.peer.next_message() {
            Message::Reply { token, args } => self.take_reply(&token, &args),
            Message::Event { service, name, args } => {
                assert_eq!(service, "Streams");
                self.take_event(&name, &args);
            }
            other => panic!("{other:?}"),
        }
    }

    fn take_reply(&mut self, token: &[u8], args: &[Vec<u8>]) {
        if self.reads.front().is_some_and(|read| read.as_bytes() == token) {
            self.reads.pop_front();
            let reply = ReadReply::parse(args);
            assert_eq!((reply.code, reply.lost), (0, 0));
            assert!(reply.data.len() <= 241);
            assert!(!self.has_ended || reply.data.is_empty(), "bytes behind the end");
            self.got.extend(reply.data);
            self.has_ended |= reply.eos;
            return;
        }
        let index = self.expected.iter().position(|want| want.as_bytes() == token);
        let index = index.unwrap_or_else(|| panic!("a reply out of order: {token:?}"));
        self.expected.remove(index);
        assert_eq!(error_code(&args[0]), 0, "{}", args[0].escape_ascii());
    }

    fn take_event(&mut self, name: &str, args: &[Vec<u8>]) {
        let stream = json(&args[1]).as_str().expect("an ID").to_owned();
        match name {
            "created" => {
                assert!(self.subscribed == Subscribed::Yes, "no events without a subscription");
                assert!(self.live.insert(stream.clone()), "{stream} told of twice");
                // Events of our own pair precede the reply that named it, for which `round` has
                // waited: this is another channel's, and a subscriber that does not want it leaves
                // it.
                if !self.own.contains(&stream) {
                    self.leaving.insert(stream.clone());
                    self.send("Streams", "disconnect", &[&quoted(&stream)]);
                }
            }
            "disposed" => {
                if self.own.contains(&stream) {
                    self.disposed_own.push(stream.clone());
                } else {
                    assert!(
                        self.leaving.remove(&stream),
                        "{stream} disposed twice or never told of"
                    );
                }
                self.live.remove(&stream);
            }
            other => panic!("event {other}"),
        }
    }
}
