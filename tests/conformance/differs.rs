//! Recordings that Weir does not follow, played the right way round.

use crate::support::message::{base64_arg, error_code, error_text, json};
use crate::support::peer::{ReadReply, quoted};
use crate::support::{Message, RawPeer, TestServer, framing};

/// The bytes that a pair of test streams holds besides its two buffers.
pub const BETWEEN_TEST_STREAMS: usize = 111;

/// A pair of test streams that the peer is connected to.
pub fn connected_pair(peer: &mut RawPeer, input: u64, output: u64) -> (String, String) {
    let (inp, out) = peer.create_test_streams(input, output);
    assert_eq!(peer.streams("connect", &[&quoted(&inp)]), 0);
    assert_eq!(peer.streams("connect", &[&quoted(&out)]), 0);
    (inp, out)
}

/// Writes an argument area as it is: the code of the reply.
fn write_arg(peer: &mut RawPeer, stream: &str, size: &str, data: &[u8]) -> i64 {
    peer.streams("write", &[&quoted(stream), size.as_bytes(), data])
}

/// Reads until `size` bytes came.
pub fn read_exactly(peer: &mut RawPeer, stream: &str, size: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < size {
        let reply = peer.read(stream, (size - data.len()) as i64);
        assert_eq!((reply.code, reply.lost), (0, 0));
        assert!(!reply.data.is_empty() && !reply.eos, "the stream ended after {}", data.len());
        data.extend_from_slice(&reply.data);
    }
    data
}

/// Reads to the end of the stream.
pub fn read_to_end(peer: &mut RawPeer, stream: &str) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let reply = peer.read(stream, 1 << 20);
        assert_eq!((reply.code, reply.lost), (0, 0));
        data.extend_from_slice(&reply.data);
        if reply.eos {
            return data;
        }
    }
}

fn is_disposed_event(message: &Message, stream: &str) -> bool {
    match message {
        Message::Event { name, args, .. } => {
            name == "disposed" && json(&args[1]).as_str() == Some(stream)
        }
        _ => false,
    }
}

const END: ReadReply = ReadReply { data: Vec::new(), code: 0, lost: 0, eos: true };

#[test]
pub fn base64_forms_and_sizes() {
    let mut server = TestServer::start();
    for (size, arg, want) in [
        ("2", r#""YWI=""#, Ok("ab")),
        ("2", r#""YQ==YQ==""#, Ok("aa")),
        ("2", r#""YQ==""#, Err(15)),
        ("2", r#""""#, Err(15)),
    ] {
        let mut peer = server.peer();
        let (inp, out) = connected_pair(&mut peer, 100, 100);
        assert_eq!(
            write_arg(&mut peer, &inp, size, arg.as_bytes()),
            want.err().unwrap_or(0),
            "{arg}"
        );
        assert_eq!(peer.write(&inp, b"."), 0);
        let expected = format!("{}.", want.unwrap_or_default());
        assert_eq!(read_exactly(&mut peer, &out, expected.len()), expected.as_bytes(), "{arg}");
    }
    for (arg, code) in [
        (r#""YWI""#, 8),
        (r#""YQ""#, 8),
        (r#""YW Jj""#, 8),
        (r#""Y\u0057Jj""#, 8),
        (r#""====""#, 8),
        (r#""_-8=""#, 8),
    ] {
        let mut peer = server.peer();
        let (inp, _) = connected_pair(&mut peer, 100, 100);
        peer.command("Streams", "write", &[&quoted(&inp), b"2", arg.as_bytes()]);
        let got = peer.expect_error_end();
        // The reference reports the last two as a JSON error, since its reader stops at the first
        // byte that is no base64.
        assert!(got == code || got == 2, "{arg} closes with {got}");
    }
    server.assert_well();
}

#[test]
pub fn counted_value_past_its_message_closes() {
    let mut server = TestServer::start();
    for value in
        ["(10)abc", "(-1)abc", "(+3)abc", "(3)abcd", "(99999999999999999999)abc", "(3abc", "()abc"]
    {
        let mut peer = server.peer();
        let (inp, _) = connected_pair(&mut peer, 100, 100);
        peer.command("Streams", "write", &[&quoted(&inp), b"10", value.as_bytes()]);
        peer.command_as(b"behind", "Locator", "sync", &[]);
        let (before, report) = peer.expect_end();
        assert_eq!(before, [], "{value}: the message ends where it ends");
        assert!(matches!(error_code(&report), 2 | 3), "{value}: {}", report.escape_ascii());
    }
    server.assert_well();
}

#[test]
pub fn binary_data_in_its_forms() {
    let server = TestServer::start();
    let mut peer = server.zero_copy_peer();
    let (inp, out) = connected_pair(&mut peer, 1000, 1000);
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(peer.write(&inp, &all), 0);
    assert_eq!(read_exactly(&mut peer, &out, 256), all);
    assert_eq!(write_arg(&mut peer, &inp, "3", b"(5)abcde"), 15, "longer than its size");
    assert_eq!(write_arg(&mut peer, &inp, "8", b"( 3)abc"), 15, "shorter than its size");
    assert_eq!(write_arg(&mut peer, &inp, "3", b"( 3)abc"), 0, "a blank is taken");
    assert_eq!(write_arg(&mut peer, &inp, "4", b"(4)\x00\x03\x01\x02"), 0);
    assert_eq!(read_exactly(&mut peer, &out, 7), b"abc\x00\x03\x01\x02");
}

#[test]
pub fn echo_gives_back_what_it_got() {
    let mut server = TestServer::start();
    let mut peer = server.peer();
    let longest = format!("\"{}\"", "x".repeat(4095));
    for (arg, want) in [
        (r#""hello""#, "hello"),
        (r#""""#, ""),
        (r#""q\" b\\ s\/ \b\f\n\r\t""#, "q\" b\\ s/ \u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u20ac""#, "A\u{e9}\u{20ac}"),
        ("\"\u{e9}\u{20ac}\u{1f600}\"", "\u{e9}\u{20ac}\u{1f600}"),
        (r#""\ud83d\ude00""#, "\u{1f600}"),
        (r#""\u0000\u0001\u0003\u001f\u007f""#, "\0\u{1}\u{3}\u{1f}\u{7f}"),
        ("\"raw\u{1}\u{2}\u{3}\u{1f}\u{7f}\"", "raw\u{1}\u{2}\u{3}\u{1f}\u{7f}"),
        ("  \"ws\"  ", "ws"),
        (&longest, &longest[1..4096]),
    ] {
        let reply = peer.call("Diagnostics", "echo", &[arg.as_bytes()]);
        assert_eq!(reply.len(), 1, "echo has no error field");
        assert_eq!(json(&reply[0]).as_str(), Some(want), "{arg:?}");
        assert!(reply[0].iter().all(|&byte| byte >= 0x20 && byte != 0x7f), "{arg:?} is escaped");
    }
    for bytes in [&b"\"a\xff\xfeb\""[..], b"\"\xed\xa0\x80\"", b"\"\xed\xa0\xbd\xed\xb8\x80\""] {
        let reply = peer.call("Diagnostics", "echo", &[bytes]);
        assert_eq!(reply[0], bytes, "what is no UTF-8 comes back as it was");
    }
    server.assert_well();
}

#[test]
pub fn diagnostics_of_a_relay() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let reply = peer.call("Diagnostics", "getTestList", &[]);
    assert_eq!(reply, [b"".to_vec(), b"[]".to_vec()]);
    for (name, args) in [
        ("runTest", &[&b"\"NoSuch\""[..]][..]),
        ("cancelTest", &[b"\"P1.1\""]),
        ("getSymbol", &[b"\"P1.1\"", b"\"main\""]),
    ] {
        let token = peer.command("Diagnostics", name, args);
        match peer.take(|message| message.token() == Some(token.as_bytes())) {
            Message::NotRecognized { .. } => {}
            Message::Reply { args, .. } => assert_ne!(error_code(&args[0]), 0, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    peer.sync();
}

#[test]
pub fn commands_before_the_end_are_answered() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let mut segment = Vec::new();
    for fields in [
        &[&b"C"[..], b"1", b"Locator", b"sync"][..],
        &[b"C", b"2", b"Diagnostics", b"echo", b"\"x\""],
        &[b"C", b"3", b"Streams", b"subscribe", b"\"T\""],
    ] {
        segment.extend(framing::frame(&crate::support::peer::join(fields)));
    }
    segment.extend_from_slice(&[3, 2, 3, 1]);
    peer.send_raw(&segment);
    let (before, report) = peer.expect_end();
    assert_eq!(
        before,
        [
            Message::Reply { token: b"1".to_vec(), args: vec![Vec::new()] },
            Message::Reply { token: b"2".to_vec(), args: vec![b"\"x\"".to_vec()] },
            Message::Reply { token: b"3".to_vec(), args: vec![Vec::new()] },
        ]
    );
    assert_eq!(error_code(&report), 0);
}

#[test]
pub fn invalid_escape_is_named() {
    let mut server = TestServer::start();
    let mut peer = server.peer();
    peer.send_raw(b"C\x001\x00Loc\x03\x07ator\x00sync\x00\x03\x01");
    assert_eq!(peer.expect_error_end(), 3);
    server.assert_well();
}

#[test]
pub fn echo_is_bounded_like_every_argument() {
    let mut server = TestServer::start();
    let mut peer = server.peer();
    let text = "x".repeat(4096);
    let reply = peer.call("Diagnostics", "echo", &[&quoted(&text)]);
    assert_eq!(json(&reply[0]), text);
    peer.command("Diagnostics", "echo", &[&quoted(&"x".repeat(100_000))]);
    assert_eq!(peer.expect_error_end(), 4);
    server.assert_well();
}

#[test]
pub fn long_token_is_echoed_whole() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let token = vec![b'T'; 300];
    peer.command_as(&token, "Locator", "sync", &[]);
    assert_eq!(peer.next_message(), Message::Reply { token, args: vec![Vec::new()] });
}

#[test]
pub fn pending_at_close_is_cancelled() {
    let server = TestServer::start();
    let (mut closing, mut staying) = (server.peer(), server.peer());
    assert_eq!(staying.streams("subscribe", &[b"\"Diagnostics\""]), 0);
    let (_, out) = closing.create_test_streams(10, 10);
    staying.event("created");
    staying.event("created");
    assert_eq!(closing.streams("connect", &[&quoted(&out)]), 0);
    let token = closing.start_read(&out, 10);
    closing.send_end();
    let (before, report) = closing.expect_end();
    assert_eq!(error_code(&report), 0);
    let [Message::Reply { token: answered, args }] = &before[..] else {
        panic!("one reply before the end: {before:?}");
    };
    assert_eq!(*answered, token.into_bytes());
    let reply = ReadReply::parse(args);
    assert_eq!((reply.code, reply.eos, reply.data.len()), (6, true, 0));

    let token = staying.start_read(&out, 10);
    let disconnect = staying.command("Streams", "disconnect", &[&quoted(&out)]);
    assert!(is_disposed_event(&staying.next_message(), &out));
    let reply = staying.read_reply(&token);
    assert_eq!((reply.code, reply.eos), (6, true));
    assert_eq!(staying.code_of(&disconnect), 0);
}

#[test]
pub fn disconnect_cancels_parked_writes() {
    const WRITE: usize = 20;
    let server = TestServer::start();
    let mut peer = server.peer();
    assert_eq!(peer.streams("subscribe", &[b"\"Diagnostics\""]), 0);
    let (inp, _) = peer.create_test_streams(10, 10);
    peer.event("created");
    peer.event("created");
    let data = [b'x'; WRITE];
    let writes: Vec<String> = (0..17).map(|_| peer.start_write(&inp, &data)).collect();
    let end = peer.command("Streams", "eos", &[&quoted(&inp)]);
    let accepted = (10 + BETWEEN_TEST_STREAMS + 10) / WRITE;
    for token in &writes[..accepted] {
        assert_eq!(peer.code_of(token), 0);
    }
    assert_eq!(peer.drain(), [], "the others are parked");

    let disconnect = peer.command("Streams", "disconnect", &[&quoted(&inp)]);
    assert!(is_disposed_event(&peer.next_message(), &inp), "disposed comes first");
    for token in writes[accepted..].iter().chain([&end]) {
        let Message::Reply { token: answered, args } = peer.next_message() else {
            panic!("a reply to {token}");
        };
        assert_eq!((answered, error_code(&args[0])), (token.clone().into_bytes(), 6));
    }
    assert_eq!(peer.code_of(&disconnect), 0);
}

#[test]
pub fn reads_of_a_disposed_stream_get_its_end() {
    let server = TestServer::start();
    let mut peer = server.peer();
    assert_eq!(peer.streams("subscribe", &[b"\"Diagnostics\""]), 0);
    let (_, out) = peer.create_test_streams(100, 100);
    let pending = peer.start_read(&out, 10);
    let id = quoted(&out);
    let dispose = peer.command("Diagnostics", "disposeTestStream", &[&id]);
    assert_eq!(peer.code_of(&dispose), 0);
    assert_eq!(peer.read_reply(&pending), END, "what pended");
    assert_eq!(peer.read(&out, 10), END, "what comes later");
    let again = peer.call("Diagnostics", "disposeTestStream", &[&id]);
    assert_eq!(error_code(&again[0]), 16, "disposed twice");
    assert_eq!(peer.streams("disconnect", &[&id]), 0);
    assert_eq!(peer.streams("disconnect", &[&id]), 1, "no longer connected");
    assert_eq!(peer.streams("connect", &[&id]), 16, "the stream is gone");
    let disposed = peer.drain().iter().filter(|message| is_disposed_event(message, &out)).count();
    assert_eq!(disposed, 1, "one disposed event in all");
}

#[test]
pub fn readers_drain_a_disposed_stream() {
    let server = TestServer::start();
    let (mut owner, mut reader) = (server.peer(), server.peer());
    let (inp, out) = owner.create_test_streams(100, 100);
    assert_eq!(owner.streams("connect", &[&quoted(&inp)]), 0);
    assert_eq!(reader.streams("connect", &[&quoted(&out)]), 0);
    assert_eq!(owner.write(&inp, b"hello"), 0);
    let dispose = owner.call("Diagnostics", "disposeTestStream", &[&quoted(&out)]);
    assert_eq!(error_code(&dispose[0]), 0);
    assert_eq!(read_to_end(&mut reader, &out), b"hello");
    assert_eq!(reader.read(&out, 10), END);
    assert_eq!(reader.streams("disconnect", &[&quoted(&out)]), 0);
    let disposed = reader.drain().iter().filter(|message| is_disposed_event(message, &out)).count();
    assert_eq!(disposed, 1);
    assert_eq!(owner.streams("connect", &[&quoted(&out)]), 16);
    assert_eq!(owner.streams("disconnect", &[&quoted(&inp)]), 0);
}

#[test]
pub fn size_mismatch_writes_nothing() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let (inp, out) = connected_pair(&mut peer, 100, 100);
    for (size, data) in [("5", "\"YWJj\""), ("2", "\"YWJj\""), ("0", "\"YWJj\""), ("3", "null")] {
        assert_eq!(write_arg(&mut peer, &inp, size, data.as_bytes()), 15, "{size} {data}");
    }
    for data in ["\"\"", "null", "(0)"] {
        assert_eq!(write_arg(&mut peer, &inp, "0", data.as_bytes()), 0, "{data}");
    }
    let pending = peer.start_read(&out, 100);
    assert_eq!(peer.drain(), [], "nothing was written");
    assert_eq!(peer.write(&inp, b"abc"), 0);
    assert_eq!(peer.read_reply(&pending).data, b"abc");
}

#[test]
pub fn subscribe_tells_of_live_streams() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let kind: &[&[u8]] = &[b"\"Diagnostics\""];
    assert_eq!(peer.streams("subscribe", kind), 0);
    let twice = peer.call("Streams", "subscribe", kind);
    assert_eq!((error_code(&twice[0]), &*error_text(&twice[0])), (1, "Already subscribed"));
    assert_eq!(peer.streams("subscribe", &[b"\"NoSuchType\""]), 0);
    assert_eq!(peer.streams("subscribe", &[b"\"\""]), 0);
    assert_eq!(peer.streams("subscribe", &[b"null"]), 1, "null is the empty type");
    assert_eq!(peer.streams("unsubscribe", kind), 0);
    assert_eq!(peer.streams("unsubscribe", kind), 16);
    let (inp, out) = peer.create_test_streams(10, 10);
    assert_eq!(peer.drain(), [], "no event without a subscription");

    let subscribe = peer.command("Streams", "subscribe", kind);
    assert!(
        matches!(peer.next_message(), Message::Reply { token, .. } if token == subscribe.as_bytes())
    );
    for stream in [&inp, &out] {
        let args = peer.event("created");
        assert_eq!(args, [b"\"Diagnostics\"".to_vec(), quoted(stream), b"null".to_vec()]);
    }
    assert_eq!(peer.drain(), [], "each once");
    assert_eq!(peer.write(&inp, b"abc"), 0, "connected by the subscription");
    assert_eq!(read_exactly(&mut peer, &out, 3), b"abc");
}

#[test]
pub fn stream_ids_are_strict() {
    let server = TestServer::start();
    let mut peer = server.peer();
    let (inp, out) = peer.create_test_streams(10, 10);
    let number: u64 = inp.strip_prefix("VS").and_then(|text| text.parse().ok()).expect("an ID");
    let wrapped = format!("VS-{}", (1u64 << 32) - number);
    let long = format!("VS{}", "1".repeat(300));
    let padded = format!("VS0{number}");
    let blank = format!("VS {number}");
    let trailing = format!("{inp} ");
    for wrong in ["VS99", "bogus", "", "VS", "vs0", &wrapped, &long, &padded, &blank, &trailing] {
        let id = quoted(wrong);
        assert_eq!(peer.streams("connect", &[&id]), 16, "{wrong:?}");
        assert_eq!(peer.streams("disconnect", &[&id]), 1, "{wrong:?}");
        let read = peer.read(wrong, 10);
        assert_eq!((read.code, read.data.len(), read.lost, read.eos), (1, 0, 0, false));
        assert_eq!(peer.streams("write", &[&id, b"1", &base64_arg(b"a")]), 1, "{wrong:?}");
        assert_eq!(peer.streams("eos", &[&id]), 1, "{wrong:?}");
    }
    assert_eq!(peer.streams("connect", &[b"null"]), 16);
    let unknown = peer.call("Streams", "eos", &[b"\"VS99\""]);
    assert_eq!(error_text(&unknown[0]), "No such stream: VS99");
    for stream in [&inp, &out] {
        assert_eq!(peer.streams("connect", &[&quoted(stream)]), 0);
    }
}
