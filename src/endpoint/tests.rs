//! Each state of a channel, what it lets through and what ends it; calls and what answers them.

use super::*;
use crate::wire::{ErrorReport, WireError, WireLimits};

/// A caller's endpoint that notes a number with each call.
fn open() -> Endpoint<u32> {
    Endpoint::open(&["Locator", "ZeroCopy"], &WireLimits::default())
}

fn greeted() -> Endpoint<u32> {
    let mut endpoint = open();
    assert_eq!(take_in(&mut endpoint, "E|Locator|Hello|[]|"), Ok("hello".to_owned()));
    endpoint.outbound.output.advance(endpoint.outbound.output.len());
    endpoint
}

/// The bytes of one message, `|` standing for NUL.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = text.replace('|', "\0").into_bytes();
    bytes.extend([3, 1]);
    bytes
}

fn said(endpoint: &Endpoint<u32>) -> String {
    let text = String::from_utf8(endpoint.outbound.output.to_vec()).unwrap();
    text.replace("\x03\x01", "$").replace("\x03\x02", "#").replace('\0', "|")
}

/// Takes in one message and says what it asks.
fn take_in(endpoint: &mut Endpoint<u32>, text: &str) -> Result<String, WireError> {
    take_bytes(endpoint, &bytes(text))
}

fn take_bytes(endpoint: &mut Endpoint<u32>, mut input: &[u8]) -> Result<String, WireError> {
    let limits = WireLimits::default();
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
    let incoming = endpoint.inbound.receive(&limits, &mut input)?;
    assert!(input.is_empty() || matches!(incoming, Some(Heard::End)));
    Ok(match incoming.expect("a whole message") {
        Heard::Command { token, service, name, mut arguments } => {
            let rest = if arguments.is_empty() {
                String::new()
            } else {
                text(&arguments_of(&mut arguments))
            };
            format!("command {} {}.{} {rest}", text(&token), text(&service), text(&name))
        }
        Heard::EarlyCommand { token } => format!("early {}", text(&token)),
        Heard::Reply { token, .. } => format!("reply {}", text(&token)),
        Heard::NotRecognized { token } => format!("not recognized {}", text(&token)),
        Heard::Progress { token, .. } => format!("progress {}", text(&token)),
        Heard::Event { service, name, .. } => {
            format!("event {}.{}", text(&service), text(&name))
        }
        Heard::Hello { .. } => "hello".to_owned(),
        Heard::Nothing => "nothing".to_owned(),
        Heard::End => "end".to_owned(),
    })
}

fn arguments_of(arguments: &mut crate::wire::Arguments<'_>) -> Vec<u8> {
    arguments.string().unwrap().into_owned().into_bytes()
}

const SYNC: &str = "C|1|Locator|sync|";

#[test]
fn our_hello_leaves_at_once_and_plain() {
    let endpoint = open();
    assert_eq!(said(&endpoint), "E|Locator|Hello|[\"Locator\",\"ZeroCopy\"]|$");
    assert!(endpoint.wants_input() && !endpoint.is_closed());
    assert!(!endpoint.outbound.zero_copy());
}

#[test]
fn commands_count_from_hello_to_the_end() {
    let mut endpoint = open();
    assert!(!endpoint.inbound.takes_command());
    assert_eq!(take_in(&mut endpoint, SYNC), Ok("early 1".to_owned()));
    assert_eq!(take_in(&mut endpoint, "E|Foo|bar|\"x\"|"), Ok("event Foo.bar".to_owned()));
    assert!(!endpoint.inbound.takes_command(), "no other event opens the channel");
    assert_eq!(take_in(&mut endpoint, "E|Foo|Hello|[]|"), Ok("event Foo.Hello".to_owned()));
    assert_eq!(take_in(&mut endpoint, "E|Locator|bye|[]|"), Ok("event Locator.bye".to_owned()));
    assert!(!endpoint.inbound.takes_command());
    assert_eq!(take_in(&mut endpoint, "E|Locator|Hello|[]|"), Ok("hello".to_owned()));
    assert!(endpoint.inbound.takes_command());
    assert_eq!(take_in(&mut endpoint, SYNC), Ok("command 1 Locator.sync ".to_owned()));
    let echo = take_in(&mut endpoint, "C|2|Diagnostics|echo|\"x\"|");
    assert_eq!(echo, Ok("command 2 Diagnostics.echo x".to_owned()));
    assert!(endpoint.finish(None));
    assert!(!endpoint.inbound.takes_command() && !endpoint.inbound.takes_input());
    for late in [SYNC, "R|7||", "E|Foo|bar|", "E|Locator|Hello|{|", "F|7|", "N|7|", "P|7|"] {
        assert_eq!(take_in(&mut endpoint, late), Ok("nothing".to_owned()), "{late}");
    }
    assert_eq!(endpoint.inbound.congestion(), 0);
    assert_eq!((said(&endpoint).contains('#'), endpoint.is_closed()), (false, false));
    endpoint.close();
    assert!(said(&endpoint).ends_with("#|$") && endpoint.is_closed());
}

#[test]
fn a_command_is_taken_only_where_a_message_begins() {
    let mut endpoint = greeted();
    let limits = WireLimits::default();
    let message = bytes(SYNC);
    for cut in 1..message.len() {
        let (mut front, mut rest) = message.split_at(cut);
        assert!(endpoint.inbound.receive(&limits, &mut front).unwrap().is_none());
        assert!(!endpoint.inbound.takes_command(), "{cut} bytes of a message are here");
        assert!(endpoint.inbound.receive(&limits, &mut rest).unwrap().is_some());
        assert!(endpoint.inbound.takes_command());
    }
}

#[test]
fn a_channel_reads_while_nothing_speaks_against_it() {
    let mut endpoint = open();
    assert!(endpoint.wants_input(), "Hello is to come");
    take_in(&mut endpoint, "E|Locator|Hello|[]|").unwrap();
    for reason in [Pause::Core, Pause::Unsent, Pause::Memory] {
        assert!(endpoint.wants_input());
        endpoint.pauses.insert(reason);
        assert!(!endpoint.wants_input() && endpoint.inbound.takes_input());
        endpoint.pauses.remove(reason);
    }
    endpoint.finish(None);
    assert!(!endpoint.wants_input());
}

#[test]
fn zero_copy_is_what_the_first_hello_says() {
    for (names, zero_copy) in [
        ("\"Locator\",\"ZeroCopy\"", true),
        ("\"Locator\"", false),
        ("\"ZeroCopy2\"", false),
        ("", false),
    ] {
        let mut endpoint = open();
        let limits = WireLimits::default();
        let hello = bytes(&format!("E|Locator|Hello|[{names}]|"));
        match endpoint.inbound.receive(&limits, &mut &hello[..]) {
            Ok(Some(Heard::Hello { services })) => endpoint.outbound.greet(&services),
            other => panic!("{other:?}"),
        }
        assert_eq!(endpoint.outbound.zero_copy(), zero_copy, "{names}");
        assert_eq!(endpoint.inbound.services(), names.replace('"', ""));
        let again = take_in(&mut endpoint, "E|Locator|Hello|[\"Other\"]|");
        assert_eq!(again, Ok("nothing".to_owned()));
        assert_eq!(endpoint.inbound.services(), names.replace('"', ""));
    }
}

#[test]
fn names_of_services_are_kept_up_to_a_bound() {
    let services = |lengths: &[usize]| {
        let names: Vec<String> =
            lengths.iter().map(|&n| format!("\"{}\"", "s".repeat(n))).collect();
        let mut endpoint = open();
        take_in(&mut endpoint, &format!("E|Locator|Hello|[{}]|", names.join(","))).unwrap();
        endpoint.inbound.services().len()
    };
    assert_eq!(services(&[1023]), 1023);
    assert_eq!(services(&[1024]), 0);
    assert_eq!(services(&[500, 523]), 500 + 1 + 523);
    assert_eq!(services(&[500, 524]), 500);
    assert_eq!(services(&[500, 524, 3]), 500, "what comes behind is left out too");
}

#[test]
fn a_malformed_hello_is_the_end() {
    for (arguments, code) in
        [("{}|", 3), ("null|", 3), ("[1]|", 3), ("[null]|", 3), ("[]|[]|", 2), ("[|", 2), ("", 3)]
    {
        let mut endpoint = open();
        let error = take_in(&mut endpoint, &format!("E|Locator|Hello|{arguments}"));
        assert_eq!(error.unwrap_err().code(), code, "{arguments}");
        assert!(!endpoint.inbound.takes_command(), "{arguments}");
    }
}

#[test]
fn congestion_is_noted_before_and_after_hello() {
    let mut endpoint = open();
    assert_eq!(take_in(&mut endpoint, "F|100|"), Ok("nothing".to_owned()));
    assert_eq!(endpoint.inbound.congestion(), 100);
    take_in(&mut endpoint, "E|Locator|Hello|[]|").unwrap();
    assert_eq!(take_in(&mut endpoint, "F|-5"), Ok("nothing".to_owned()));
    assert_eq!(endpoint.inbound.congestion(), -5);
}

#[test]
fn the_peers_end_is_told_and_what_follows_is_swallowed() {
    let mut endpoint = greeted();
    assert_eq!(take_bytes(&mut endpoint, b"\x03\x02\0\x03\x01"), Ok("end".to_owned()));
    let limits = WireLimits::default();
    let mut rest = &b"C\x001\0Locator\0sync\0\x03\x01"[..];
    assert!(endpoint.inbound.receive(&limits, &mut rest).unwrap().is_none());
    assert!(rest.is_empty());
}

#[test]
fn the_first_reason_to_end_is_the_one_that_is_told_and_only_once() {
    let mut endpoint = greeted();
    let report = |code| ErrorReport { code, time_ms: 5, text: "no".to_owned() };
    assert!(endpoint.finish(Some(report(3))));
    assert!(!endpoint.finish(Some(report(1))));
    endpoint.close();
    endpoint.close();
    assert_eq!(said(&endpoint), "#{\"Code\":3,\"Time\":5,\"Format\":\"no\"}|$");
}

#[test]
fn a_channel_may_be_closed_from_every_state() {
    for endpoint in [open(), greeted()] {
        let mut endpoint = endpoint;
        endpoint.close();
        assert!(endpoint.is_closed() && !endpoint.inbound.takes_input());
        assert!(said(&endpoint).ends_with("#|$"));
        assert!(!endpoint.finish(None), "it has begun");
    }
}

#[test]
fn calls_are_matched_with_what_answers_them_in_any_order() {
    let mut endpoint = greeted();
    let outbound = &mut endpoint.outbound;
    let read = outbound.call("Streams.read", 7, |message| message.string("VS1").integer(5));
    let sync = outbound.call("Locator.sync", 8, |message| message);
    assert_eq!((read, sync, outbound.calls_under_way()), (CallId(1), CallId(2), 2));
    assert_eq!(said(&endpoint), "C|1|Streams|read|\"VS1\"|5|$C|2|Locator|sync|$");
    assert_eq!(take_in(&mut endpoint, "R|2||"), Ok("reply 2".to_owned()));
    assert_eq!(take_in(&mut endpoint, "P|1|5|"), Ok("progress 1".to_owned()));
    assert_eq!(take_in(&mut endpoint, "N|1|"), Ok("not recognized 1".to_owned()));
    let outbound = &mut endpoint.outbound;
    assert_eq!(outbound.take_call(b"2"), Ok((sync, 8)));
    assert_eq!(outbound.call_under_way(b"1"), Ok((read, &7)), "progress ends no call");
    assert_eq!(outbound.take_call(b"1"), Ok((read, 7)));
    assert_eq!(outbound.calls_under_way(), 0);
}

#[test]
fn an_answer_to_nothing_is_an_error() {
    let mut endpoint = greeted();
    let outbound = &mut endpoint.outbound;
    outbound.call("Locator.sync", 0, |message| message);
    outbound.take_call(b"1").unwrap();
    for token in [&b"1"[..], b"2", b"", b"x", b"\xff", b"-1", b"18446744073709551616"] {
        assert_eq!(outbound.take_call(token).unwrap_err().code(), 3);
        assert_eq!(outbound.call_under_way(token).unwrap_err().code(), 3);
    }
    let text = outbound.take_call(b"a\n").unwrap_err().to_string();
    assert!(text.contains("an answer to a command that was never sent, token a\\n"), "{text}");
}

#[test]
fn nothing_follows_our_end_of_stream() {
    let mut endpoint = greeted();
    let outbound = &mut endpoint.outbound;
    outbound.end(None);
    assert!(outbound.is_ended());
    assert_eq!(outbound.call("Locator.sync", 0, |message| message), CallId(1));
    assert_eq!(outbound.calls_under_way(), 0, "no reply is waited for");
    outbound.answer(b"1", b"Locator", b"sync");
    outbound.not_recognized(b"1");
    outbound.end(None);
    assert_eq!(said(&endpoint), "#|$");
    assert!(endpoint.inbound.takes_input(), "a peer may answer what came before");
}

#[test]
fn a_caller_answers_sync_and_knows_nothing_else() {
    let mut endpoint = greeted();
    let outbound = &mut endpoint.outbound;
    outbound.answer(b"1", b"Locator", b"sync");
    outbound.answer(b"2", b"Locator", b"getPeers");
    outbound.answer(b"3", b"Streams", b"sync");
    outbound.not_recognized(b"4");
    assert_eq!(said(&endpoint), "R|1||$N|2|$N|3|$N|4|$");
}

#[test]
fn binary_data_goes_as_it_is_where_the_peer_knows_it() {
    for (services, data) in [("ZeroCopy", "(2)\x03\x03\x02hi|"), ("Locator", "\"aGk=\"|")] {
        let mut endpoint = greeted();
        endpoint.outbound.greet(&[services.to_owned()]);
        endpoint.outbound.call("Streams.write", 0, |message| {
            message.string("VS1").integer(2).binary(&[bytes::Bytes::from_static(b"hi")])
        });
        let said = endpoint.outbound.output.to_vec();
        let said = String::from_utf8_lossy(&said).replace('\0', "|");
        assert!(said.starts_with(&format!("C|1|Streams|write|\"VS1\"|2|{data}")), "{said}");
    }
}

#[test]
fn what_is_held_is_the_message_under_way_and_the_unsent_bytes() {
    let mut endpoint = greeted();
    assert_eq!(endpoint.held(), Held::default());
    let limits = WireLimits::default();
    assert!(endpoint.inbound.receive(&limits, &mut &b"C\x001\0Loc"[..]).unwrap().is_none());
    endpoint.outbound.output.put_slice(&[b'x'; 2050]);
    endpoint.outbound.output.put_shared(vec![b'y'; 5000].into());
    let Held { receiving, unsent } = endpoint.held();
    assert!((7..=16).contains(&receiving) && unsent == 2048, "{receiving}, {unsent}");
    endpoint.outbound.output.advance(1000);
    assert_eq!(endpoint.held(), Held { receiving, unsent: 1024 });
}

#[test]
fn a_large_block_is_received_where_it_stays() {
    let mut endpoint = greeted();
    let limits = WireLimits::default();
    assert!(endpoint.inbound.direct().is_none());
    let mut input = b"C\x001\0Streams\0write\0\"VS1\"\x004096\0(4096)\0".to_vec();
    input.truncate(input.len() - 1);
    input.extend([3, 3, 0x80, 0x20]);
    assert!(endpoint.inbound.receive(&limits, &mut &input[..]).unwrap().is_none());
    let mut left = 4096;
    while left > 0 {
        let room = endpoint.inbound.direct().expect("the block is under way").len();
        assert!((1..=left).contains(&room));
        endpoint.inbound.filled(room);
        left -= room;
    }
    assert!(endpoint.inbound.direct().is_none());
    assert!(endpoint.inbound.held_bytes() >= 4096);
}

#[test]
fn the_halves_go_their_own_ways() {
    let mut endpoint = greeted();
    endpoint.outbound.call("Locator.sync", 5, |message| message);
    let (mut inbound, mut outbound) = endpoint.split();
    let limits = WireLimits::default();
    let reply = bytes("R|1||");
    match inbound.receive(&limits, &mut &reply[..]) {
        Ok(Some(Heard::Reply { token, .. })) => {
            assert_eq!(outbound.take_call(&token), Ok((CallId(1), 5)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_peer_says_at_its_end_is_read_however_it_is_cut() {
    let limits = WireLimits::default();
    let whole = b"{\"Code\":5,\"Format\":\"Gone\"}\0\x03\x01";
    for cut in 0..whole.len() {
        let mut report = ClosingReport::new(&limits);
        assert_eq!(report.receive(&whole[..cut]), None);
        assert_eq!(report.receive(&whole[cut..]), Some(Some("Gone".to_owned())), "{cut}");
    }
    for nothing in [&b"\0\x03\x01"[..], b"\x03\x01", b"{\0\x03\x01", b"\x03\x02", b"\x03\x07"] {
        assert_eq!(ClosingReport::new(&limits).receive(nothing), Some(None), "{nothing:?}");
    }
}
