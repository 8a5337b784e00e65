//! Shows that the model has teeth: it is told small lies, and must complain of each.

use std::time::Duration;

use weir::stream::Direction;

use crate::asked::{Asked, Placing, Spec};
use crate::content::pattern;
use crate::model::{Complaint, Model};
use crate::support::Message;
use crate::support::message::base64_arg;

const STREAM: u64 = 3;
const AGENT: usize = 0;
const HOST: usize = 1;
const BACK: usize = 2;

/// A patterned stream of 20 bytes, all accepted, and a host attached at its beginning.
fn model(stall: Option<u64>) -> Model {
    let mut model = Model::default();
    model.specs.push(Spec {
        stream_type: "log".to_owned(),
        direction: Direction::Out,
        buffer: 100,
        history: 0,
        stall,
        hold: false,
        linger: 0,
        key: Some("secret".to_owned()),
        keep_for: 5,
        is_patterned: true,
        agent: 0,
        asked_at: 0,
    });
    model.open(AGENT);
    model.open(HOST);
    say(&mut model, AGENT, Asked::Create(0), &["", "\"VS3\""]).expect("true");
    let write = Asked::Write { stream: STREAM, offset: 0, len: 20 };
    say(&mut model, AGENT, write, &[""]).expect("true");
    let attach = Asked::Attach { stream: STREAM, from: Some(0), stall: None };
    say(&mut model, HOST, attach, &["", "{\"Position\":0,\"Lost\":0}"]).expect("true");
    model
}

/// A command and its reply.
fn say(model: &mut Model, key: usize, asked: Asked, args: &[&str]) -> Result<(), Complaint> {
    let token = model.ask(key, asked);
    reply(model, key, token, args)
}

fn reply(model: &mut Model, key: usize, token: u64, args: &[&str]) -> Result<(), Complaint> {
    let args = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    model.take(key, &Message::Reply { token: token.to_string().into_bytes(), args })
}

fn event(model: &mut Model, key: usize, name: &str, args: &[&str]) -> Result<(), Complaint> {
    let args = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    model.take(key, &Message::Event { service: "Streams".into(), name: name.into(), args })
}

fn read(model: &mut Model, data: &[u8], lost: &str, eos: &str) -> Result<(), Complaint> {
    let data = String::from_utf8(base64_arg(data)).expect("text");
    say(model, HOST, Asked::Read { stream: STREAM, size: 20 }, &[&data, "", lost, eos])
}

fn bytes(from: u64, len: u64) -> Vec<u8> {
    pattern(STREAM, from, len)
}

#[test]
fn the_truth_passes() {
    let mut model = model(Some(5));
    assert_eq!(read(&mut model, &bytes(0, 8), "0", "false"), Ok(()));
    assert_eq!(read(&mut model, &bytes(10, 10), "2", "false"), Ok(()));
    assert_eq!(read(&mut model, &[], "0", "true"), Ok(()));
    assert_eq!(event(&mut model, HOST, "disposed", &["\"log\"", "\"VS3\""]), Ok(()));
    assert_eq!(say(&mut model, HOST, Asked::Disconnect(STREAM), &[""]), Ok(()));
}

#[test]
fn a_lost_a_doubled_and_a_changed_byte_are_noticed() {
    let mut changed = bytes(0, 8);
    changed[5] ^= 1;
    for lie in [bytes(1, 8), [bytes(0, 4), bytes(3, 4)].concat(), changed] {
        assert!(read(&mut model(None), &lie, "0", "false").is_err());
    }
    let mut model = model(None);
    assert_eq!(read(&mut model, &bytes(0, 8), "0", "false"), Ok(()));
    assert!(read(&mut model, &bytes(0, 8), "0", "false").is_err());
}

#[test]
fn a_gap_that_is_told_wrong_or_may_not_be_is_noticed() {
    assert!(read(&mut model(Some(5)), &bytes(10, 5), "9", "false").is_err());
    assert_eq!(read(&mut model(Some(5)), &bytes(10, 5), "10", "false"), Ok(()));
    assert!(read(&mut model(None), &bytes(10, 5), "10", "false").is_err());
}

#[test]
fn an_end_before_the_last_accepted_byte_is_noticed() {
    assert!(read(&mut model(None), &bytes(0, 19), "0", "true").is_err());
    assert_eq!(read(&mut model(None), &bytes(0, 20), "0", "true"), Ok(()));
}

#[test]
fn a_second_reply_one_out_of_order_and_one_to_nothing_are_noticed() {
    let mut model = model(None);
    let token = model.ask(HOST, Asked::Sync);
    assert_eq!(reply(&mut model, HOST, token, &[""]), Ok(()));
    assert!(reply(&mut model, HOST, token, &[""]).is_err());
    assert!(reply(&mut model, HOST, 77, &[""]).is_err());
    let first = model.ask(AGENT, Asked::Write { stream: STREAM, offset: 20, len: 5 });
    let second = model.ask(AGENT, Asked::Write { stream: STREAM, offset: 25, len: 5 });
    assert_eq!(reply(&mut model, AGENT, second, &[""]), Ok(()));
    assert!(reply(&mut model, AGENT, first, &[""]).is_err());
}

#[test]
fn events_at_the_wrong_time_are_noticed() {
    let mut model = model(None);
    let created = ["\"log\"", "\"VS3\"", "\"0\""];
    assert!(event(&mut model, HOST, "created", &created).is_err(), "nobody subscribed");
    assert_eq!(say(&mut model, HOST, Asked::Subscribe("*".to_owned()), &[""]), Ok(()));
    assert_eq!(event(&mut model, HOST, "created", &created), Ok(()));
    assert!(event(&mut model, HOST, "created", &created).is_err(), "twice");
    assert!(say(&mut model, HOST, Asked::Create(0), &["", "\"VS9\""]).is_err(), "not announced");
    let disposed = ["\"log\"", "\"VS3\""];
    assert!(say(&mut model, HOST, Asked::Disconnect(STREAM), &[""]).is_err(), "not told");
    assert_eq!(say(&mut model, HOST, Asked::Connect(STREAM), &[""]), Ok(()));
    assert_eq!(event(&mut model, HOST, "disposed", &disposed), Ok(()));
    assert!(event(&mut model, HOST, "disposed", &disposed).is_err(), "twice");
}

#[test]
fn a_wrong_place_after_adopt_is_noticed() {
    for (place, is_true) in [(19, false), (20, true), (21, false)] {
        let mut model = model(None);
        let answer = format!("{{\"Position\":{place}}}");
        let told = say(&mut model, AGENT, Asked::Adopt(STREAM), &["", &answer]);
        assert_eq!(told.is_ok(), is_true, "{place}");
    }
}

/// A host has read 8 of 20 bytes at its place and confirmed 5 and 7, the last without an answer,
/// when its connection breaks. It is back after `away`.
fn model_of_place(stall: Option<u64>, away: Duration) -> Model {
    let mut model = model(None);
    take_place(&mut model, HOST, stall, &["", "{\"Position\":0,\"Lost\":0}"]).expect("true");
    read(&mut model, &bytes(0, 8), "0", "false").expect("true");
    let confirm = model.confirm(HOST, STREAM, 5);
    say(&mut model, HOST, confirm, &[""]).expect("true");
    let confirm = model.confirm(HOST, STREAM, 7);
    model.ask(HOST, confirm);
    model.lose(HOST);
    model.rest();
    model.now = model.now.plus(away);
    model.open(BACK);
    model
}

fn take_place(
    model: &mut Model,
    key: usize,
    stall: Option<u64>,
    args: &[&str],
) -> Result<(), Complaint> {
    let placing = Placing { stall, keep_for: 100, ..Placing::own(9, model.moment()) };
    say(model, key, Asked::TakePlace(STREAM, placing), args)
}

#[test]
fn a_place_that_is_not_as_it_was_left_is_noticed() {
    let within = Duration::from_millis(99);
    let taken = |stall, away, position: u64, lost: u64| {
        let answer = format!("{{\"Position\":{position},\"Lost\":{lost}}}");
        take_place(&mut model_of_place(stall, away), BACK, stall, &["", &answer]).is_ok()
    };
    for (position, is_true) in [(4, false), (5, true), (6, false), (7, true), (8, false)] {
        assert_eq!(taken(None, within, position, 0), is_true, "{position}");
    }
    assert!(!taken(None, within, 9, 4), "it lost what it held");
    assert!(!taken(Some(200), within, 9, 4), "it was not silent for so long");
    assert!(taken(Some(0), within, 9, 4));
    assert!(!taken(Some(0), within, 9, 5), "not so much");
    assert!(taken(None, Duration::from_millis(100), 0, 0), "it was away for too long");
}

#[test]
fn a_place_that_is_refused_to_its_host_in_time_is_noticed() {
    let gone = "{\"Code\":16,\"Time\":5,\"Format\":\"No such stream\"}";
    for (ms, is_true) in [(99, false), (100, true)] {
        let mut model = model_of_place(None, Duration::from_millis(ms));
        let told = take_place(&mut model, BACK, None, &[gone, "null"]);
        assert_eq!(told.is_ok(), is_true, "{told:?}");
    }
}

#[test]
fn a_confirmation_that_must_not_be_refused_or_taken_is_noticed() {
    let refused = "{\"Code\":20,\"Time\":5,\"Format\":\"no\"}";
    for (offset, must_succeed) in [(8, true), (21, false)] {
        for is_taken in [true, false] {
            let mut model = model_of_place(None, Duration::ZERO);
            take_place(&mut model, BACK, None, &["", "{\"Position\":5,\"Lost\":0}"]).expect("true");
            let data = String::from_utf8(base64_arg(&bytes(5, 3))).expect("text");
            let asked = Asked::Read { stream: STREAM, size: 3 };
            say(&mut model, BACK, asked, &[&data, "", "0", "false"]).expect("true");
            let confirm = model.confirm(BACK, STREAM, offset);
            let told = say(&mut model, BACK, confirm, &[if is_taken { "" } else { refused }]);
            assert_eq!(told.is_ok(), is_taken == must_succeed, "{offset}: {told:?}");
        }
    }
}
