//! Shows that the model has teeth: it is told small lies, and must complain of each.

use weir::stream::Direction;

use crate::content::pattern;
use crate::model::{Asked, Complaint, Model, Spec};
use crate::support::Message;
use crate::support::message::base64_arg;

const STREAM: u64 = 3;
const AGENT: usize = 0;
const HOST: usize = 1;

/// A patterned stream of 20 bytes, all accepted, and a host attached at its beginning.
fn model(stall: Option<u64>) -> Model {
    let mut model = Model::default();
    model.specs.push(Spec {
        stream_type: "log",
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
    assert_eq!(say(&mut model, HOST, Asked::Subscribe("*"), &[""]), Ok(()));
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
