//! When streams are told of, joined and let go.

use serde_json::json;

use crate::differs::{read_exactly, read_to_end};
use crate::support::message::error_code;
use crate::support::peer::quoted;
use crate::support::{Message, PATIENCE, TestServer, wait_until};

fn events(messages: &[Message], wanted: &str) -> usize {
    let is_wanted =
        |message: &&Message| matches!(message, Message::Event { name, .. } if name == wanted);
    messages.iter().filter(is_wanted).count()
}

#[test]
fn connect_starts_at_the_oldest_byte_kept() {
    let server = TestServer::start();
    let (mut writer, mut early, mut late) = (server.peer(), server.peer(), server.peer());
    let stream = writer.create("Log", json!({"BufferSize": 100, "History": 10}));
    assert_eq!(early.streams("connect", &[&quoted(&stream)]), 0);
    assert_eq!(writer.write(&stream, b"0123456789abcdef"), 0);
    assert_eq!(read_exactly(&mut early, &stream, 16), b"0123456789abcdef");
    assert_eq!(late.streams("connect", &[&quoted(&stream)]), 0);
    let data = late.read(&stream, 100).data;
    assert!(b"0123456789abcdef".ends_with(&data), "{}", data.escape_ascii());
    assert!(data.len() >= 10, "the last `History` bytes are kept: {}", data.escape_ascii());
    assert_eq!(early.streams("connect", &[&quoted(&stream)]), 0, "connected already: no effect");
    let pending = early.start_read(&stream, 1);
    assert_eq!(early.drain(), [], "its position has not moved");
    assert_eq!(writer.write(&stream, b"!"), 0);
    assert_eq!(early.read_reply(&pending).data, b"!");
}

#[test]
fn creator_hears_of_its_stream_before_it_knows_the_id() {
    let server = TestServer::start();
    let mut peer = server.peer();
    assert_eq!(peer.streams("subscribe", &[b"\"T\""]), 0);
    assert_eq!(peer.streams("subscribe", &[b"\"*\""]), 0);
    let token = peer.command("StreamBroker", "create", &[b"\"T\"", b"{\"ContextID\":\"P7\"}"]);
    let Message::Event { service, name, args } = peer.next_message() else {
        panic!("the event comes first");
    };
    assert_eq!((&*service, &*name), ("Streams", "created"));
    let reply = peer.reply(&token);
    assert_eq!(args, [b"\"T\"".to_vec(), reply[1].clone(), b"\"P7\"".to_vec()]);
    assert_eq!(peer.drain(), [], "two subscriptions, one event");
}

#[test]
fn dispose_tells_those_who_cannot_read_at_once() {
    let server = TestServer::start();
    let (mut creator, mut reader) = (server.peer(), server.peer());
    let stream = creator.create("T", json!({}));
    assert_eq!(reader.streams("connect", &[&quoted(&stream)]), 0);
    assert_eq!(creator.write(&stream, b"rest"), 0);
    let dispose = creator.call("StreamBroker", "dispose", &[&quoted(&stream)]);
    assert_eq!(error_code(&dispose[0]), 0);
    assert_eq!(events(&creator.drain(), "disposed"), 1);
    assert_eq!(events(&reader.drain(), "disposed"), 0, "it has bytes to read");
    let again = creator.call("StreamBroker", "dispose", &[&quoted(&stream)]);
    assert_eq!(error_code(&again[0]), 16);
    assert_eq!(read_to_end(&mut reader, &stream), b"rest");
    assert_eq!(reader.streams("disconnect", &[&quoted(&stream)]), 0, "also behind the event");
    assert_eq!(events(&reader.drain(), "disposed"), 1);
    wait_until(PATIENCE, "the stream is forgotten", || creator.listed(&stream).is_none());
}

#[test]
fn creator_that_breaks_off_ends_its_streams() {
    let server = TestServer::start();
    let (mut creator, mut reader) = (server.peer(), server.peer());
    let stream = creator.create("T", json!({}));
    assert_eq!(reader.streams("connect", &[&quoted(&stream)]), 0);
    assert_eq!(creator.write(&stream, b"last words"), 0);
    drop(creator);
    assert_eq!(read_to_end(&mut reader, &stream), b"last words");
}

#[test]
fn keyed_stream_is_adopted_where_it_stopped() {
    let server = TestServer::start();
    let (mut creator, mut reader, mut heir) = (server.peer(), server.peer(), server.peer());
    let stream = creator.create("T", json!({"Key": "secret", "KeepFor": 60_000}));
    assert_eq!(reader.streams("connect", &[&quoted(&stream)]), 0);
    assert_eq!(creator.write(&stream, b"one "), 0);
    drop(creator);
    let id = quoted(&stream);
    let wrong = heir.call("StreamBroker", "adopt", &[&id, b"\"guess\""]);
    assert_eq!(error_code(&wrong[0]), 16);
    let adopted = heir.call("StreamBroker", "adopt", &[&id, b"\"secret\""]);
    assert_eq!(error_code(&adopted[0]), 0);
    assert_eq!(crate::support::message::json(&adopted[1]), json!({"Position": 4}));
    assert_eq!(heir.write(&stream, b"two"), 0);
    assert_eq!(heir.streams("eos", &[&id]), 0);
    assert_eq!(read_to_end(&mut reader, &stream), b"one two");
    assert!(!server.log().contains("secret"), "a key is in no log");
    assert!(!server.stats().to_string().contains("secret"), "nor in /stats");
}

#[test]
fn created_reaches_subscribers_on_every_worker() {
    let server = TestServer::start_with(&["--workers", "3"]);
    let mut peers: Vec<_> = (0..9).map(|_| server.peer()).collect();
    for peer in &mut peers {
        assert_eq!(peer.streams("subscribe", &[b"\"T\""]), 0);
    }
    let mut creator = server.peer();
    let stream = creator.create("T", json!({"History": 0}));
    assert_eq!(creator.write(&stream, b"from the first byte"), 0);
    assert_eq!(creator.streams("eos", &[&quoted(&stream)]), 0);
    for peer in &mut peers {
        assert_eq!(peer.event("created")[1], quoted(&stream));
        assert_eq!(read_to_end(peer, &stream), b"from the first byte");
    }
}
