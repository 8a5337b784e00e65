//! Weir's own service: what its commands take and what they refuse.

use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::message::{error_code, error_text};
use crate::support::peer::{quoted, unquoted};

#[test]
fn create_names_what_is_wrong_with_its_properties() {
    let mut server = TestServer::start();
    let mut peer = server.peer();
    for (properties, named) in [
        (json!({"Bufersize": 1}), "Bufersize"),
        (json!({"BufferSize": 0}), "BufferSize"),
        (json!({"BufferSize": -1}), "BufferSize"),
        (json!({"BufferSize": 1u64 << 60}), "BufferSize"),
        (json!({"BufferSize": 10, "History": 11}), "History"),
        (json!({"Direction": "sideways"}), "Direction"),
        (json!({"StallTimeout": -1}), "StallTimeout"),
        (json!({"Linger": -1}), "Linger"),
    ] {
        let text = properties.to_string();
        let reply = peer.call("StreamBroker", "create", &[b"\"T\"", text.as_bytes()]);
        assert_eq!(error_code(&reply[0]), 20, "{text}: {}", reply[0].escape_ascii());
        assert!(error_text(&reply[0]).contains(named), "{text}: {}", error_text(&reply[0]));
    }
    assert_eq!(peer.list(), Vec::<Value>::new(), "nothing was created");
    server.assert_well();
}

#[test]
fn attach_refuses_what_it_does_not_know() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let stream = peer.create("T", json!({"Direction": "bus"}));
    let reply = peer.call("StreamBroker", "attach", &[&quoted(&stream), b"{\"Form\":\"oldest\"}"]);
    assert_eq!(error_code(&reply[0]), 20);
    assert!(error_text(&reply[0]).contains("Form"));
    assert_eq!(peer.attach("VS999", json!({})).0, 16);
    assert_eq!(peer.attach("bogus", json!({})).0, 16);
}

#[test]
fn json_of_the_wrong_type_closes_the_channel() {
    let mut server = TestServer::start();
    for (name, args) in [
        ("create", &[&b"\"T\""[..], b"[]"][..]),
        ("create", &[b"7", b"{}"]),
        ("create", &[b"\"T\"", b"{\"BufferSize\":\"large\"}"]),
        ("attach", &[b"\"VS0\"", b"\"oldest\""]),
        ("list", &[b"1"]),
        ("list", &[b"null", b"null"]),
        ("adopt", &[b"\"VS0\"", b"{}"]),
    ] {
        let mut peer = server.peer();
        peer.command("StreamBroker", name, args);
        let code = peer.expect_error_end();
        assert!(matches!(code, 2 | 3), "{name}: {code}");
    }
    server.assert_well();
}

#[test]
fn directions_decide_who_writes() {
    let server = TestServer::start();
    let (mut creator, mut other) = (server.peer(), server.peer());
    let output = creator.create("T", json!({"Direction": "out"}));
    let input = creator.create("T", json!({"Direction": "in"}));
    for stream in [&output, &input] {
        assert_eq!(other.streams("connect", &[&quoted(stream)]), 0);
    }
    assert_eq!(other.write(&output, b"x"), 23);
    assert_eq!(other.streams("eos", &[&quoted(&output)]), 23);
    assert_eq!(other.read(&input, 1).code, 23);
    assert_eq!(creator.write(&input, b"x"), 23);
    assert_eq!(creator.read(&output, 1).code, 23);
    assert_eq!(other.write(&input, b"typed"), 0);
    assert_eq!(creator.read(&input, 10).data, b"typed");
}

#[test]
fn list_describes_streams_by_type() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let first = peer.create("A", json!({"Name": "n", "ContextID": "c", "Key": "k", "KeepFor": 1}));
    let second = peer.create("B", json!({}));
    let listed = |peer: &mut crate::support::RawPeer, filter: &[u8]| -> Vec<String> {
        let reply = peer.call("StreamBroker", "list", &[filter]);
        assert_eq!(error_code(&reply[0]), 0);
        let objects = crate::support::message::json(&reply[1]);
        let objects = objects.as_array().expect("an array").clone();
        objects.iter().map(|object| unquoted(object["ID"].to_string().as_bytes())).collect()
    };
    assert_eq!(listed(&mut peer, b"\"A\""), [&*first]);
    for all in [&b"\"*\""[..], b"null"] {
        let mut ids = listed(&mut peer, all);
        ids.sort();
        let mut want = [first.clone(), second.clone()];
        want.sort();
        assert_eq!(ids, want);
    }
    let object = peer.listed(&first).expect("it is listed");
    for (name, value) in [
        ("Type", json!("A")),
        ("ContextID", json!("c")),
        ("Name", json!("n")),
        ("Direction", json!("out")),
        ("BufferSize", json!(1 << 20)),
        ("History", json!(64 << 10)),
        ("StallTimeout", json!(5000)),
        ("Start", json!(0)),
        ("End", json!(0)),
        ("EOS", json!(false)),
        ("Readers", json!(0)),
        ("ParkedWrites", json!(0)),
        ("Owner", json!(peer.local_address().to_string())),
    ] {
        assert_eq!(object[name], value, "{name}");
    }
    assert!(object.get("Key").is_none());
}

#[test]
fn adopted_stream_is_taken_from_its_creator() {
    let server = TestServer::start();
    let (mut old, mut new) = (server.peer(), server.peer());
    let stream = old.create("T", json!({"Key": "k", "BufferSize": 10, "Hold": true}));
    assert_eq!(old.write(&stream, b"0123456789"), 0);
    let parked = old.start_write(&stream, b"late");
    old.sync();
    let adopted = new.call("StreamBroker", "adopt", &[&quoted(&stream), b"\"k\""]);
    assert_eq!(error_code(&adopted[0]), 0);
    assert_eq!(crate::support::message::json(&adopted[1]), json!({"Position": 10}));
    assert_eq!(old.code_of(&parked), 6, "what was parked is answered");
    assert_eq!(old.write(&stream, b"x"), 23, "it may no longer write");
    let keyless = new.create("T", json!({}));
    let reply = old.call("StreamBroker", "adopt", &[&quoted(&keyless), b"\"\""]);
    assert_eq!(error_code(&reply[0]), 16, "a stream without a key is nobody else's");
    assert_eq!(new.streams("eos", &[&quoted(&stream)]), 0);
    let reply = old.call("StreamBroker", "adopt", &[&quoted(&stream), b"\"k\""]);
    assert_eq!(error_code(&reply[0]), 9, "after the end");
}
