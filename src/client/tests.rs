//! The client against a scripted peer.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::script::{HELLO, HELLO_PLAIN, Peer, peer};
use super::*;

/// Connects to a peer that plays `script`, runs `test`, and sees that the script was played to its
/// end.
fn with_peer(script: impl FnOnce(Peer) + Send + 'static, test: impl FnOnce(Connection)) {
    let (address, thread) = peer(script);
    test(Connection::connect(&address).unwrap());
    thread.join().unwrap();
}

#[test]
fn an_introduction_is_on_its_way_with_the_first_command_and_its_refusal_troubles_nobody() {
    for answer in ["N|1|$", r#"R|1|{"Code":20,"Time":1,"Format":"No names here"}|$"#, "R|1||$"] {
        with_peer(
            move |mut peer| {
                peer.say(HELLO);
                peer.hear(r#"C|1|StreamBroker|introduce|{"Name":"n","Program":"p"}|$"#);
                peer.hear("C|2|Locator|sync|$");
                peer.say(answer);
                peer.say("R|2||$");
            },
            |mut connection| {
                connection.introduce(&Introduction {
                    name: Some("n".to_owned()),
                    program: Some("p".to_owned()),
                    ..Introduction::default()
                });
                connection.sync().unwrap();
                assert!(connection.receiver().buffered().unwrap().is_none());
            },
        );
    }
}

#[test]
fn calls_are_answered_also_one_byte_at_a_time() {
    with_peer(
        |mut peer| {
            peer.say_in_pieces(HELLO);
            peer.hear(r#"C|1|StreamBroker|create|"log"|{"Name":"x"}|$"#);
            peer.say_in_pieces(r#"E|Streams|created|"log"|"VS4"|null|$R|1||"VS4"|$"#);
            peer.hear(r#"C|2|StreamBroker|attach|"VS4"|{"From":9}|$"#);
            peer.say_in_pieces(r#"R|2||{"Position":12,"Lost":3}|$"#);
            peer.hear(r#"C|3|Streams|read|"VS4"|100|$"#);
            peer.say_in_pieces("R|3|(5)a~~\x02\x03\x01bc||7|true|$");
        },
        |mut connection| {
            assert!(connection.has_service("StreamBroker"));
            assert!(!connection.has_service("Diagnostics"));
            let options = CreateOptions { name: Some("x".to_owned()), ..Default::default() };
            assert_eq!(connection.create("log", &options).unwrap(), "VS4");
            let created = Event::Created {
                stream_type: "log".to_owned(),
                id: "VS4".to_owned(),
                context: None,
            };
            assert_eq!(connection.wait_event().unwrap(), created);
            let from = AttachOptions { from: Some(Position::Offset(9)), ..Default::default() };
            let attached = connection.attach("VS4", &from).unwrap();
            assert_eq!(attached, Attached { position: 12, lost: 3 });
            let reply = connection.read("VS4", 100).unwrap();
            assert_eq!(&reply.data[..], b"a\x03\x01bc");
            assert_eq!((reply.lost, reply.eos), (Some(7), true));
        },
    );
}

#[test]
fn replies_of_overlapped_commands_may_come_in_any_order() {
    with_peer(
        |mut peer| {
            peer.say(HELLO_PLAIN);
            peer.hear(r#"C|1|Streams|read|"VS1"|10|$"#);
            peer.hear(r#"C|2|Streams|write|"VS0"|3|"YWJj"|$"#);
            peer.hear(r#"C|3|Locator|sync|$"#);
            peer.say(r#"R|3||$R|2||$E|Streams|disposed|"log"|"VS0"|$R|1|"YWJj"||0|false|$"#);
        },
        |connection| {
            let (sender, mut receiver) = connection.split();
            let read = sender.read("VS1", 10);
            let write = sender.write("VS0", Bytes::from_static(b"abc"));
            let sync = sender.sync();
            let flushing = sender.clone();
            thread::spawn(move || flushing.flush()).join().unwrap().unwrap();
            assert!(matches!(receiver.wait(write).unwrap(), Reply::Done));
            match receiver.receive().unwrap() {
                Incoming::Reply { call, command, result } => {
                    assert_eq!((call, command), (sync, "Locator.sync"));
                    assert!(result.is_ok());
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(receiver.receive().unwrap(), Incoming::Event(Event::Disposed { .. })));
            match receiver.wait(read).unwrap() {
                Reply::Read(reply) => assert_eq!(&reply.data[..], b"abc"),
                other => panic!("{other:?}"),
            }
        },
    );
}

#[test]
fn large_data_arrives_whole_in_both_directions() {
    let payload: Vec<u8> = (0..300_000u32).map(|i| (i * 7) as u8).collect();
    let echo = payload.clone();
    with_peer(
        move |mut peer| {
            peer.say(HELLO);
            peer.hear("C|1|Streams|write|\"VS0\"|300000|(300000)");
            // The client may put any part of the data into blocks; the data is known to be whole
            // where the rest of the message is where it belongs.
            let mut rest = Vec::new();
            while !rest.ends_with(&[0, 3, 1]) {
                let mut byte = [0; 4096];
                let read = peer.socket.read(&mut byte).unwrap();
                assert!(read > 0, "the client is gone");
                rest.extend_from_slice(&byte[..read]);
            }
            assert!(rest.windows(1000).any(|window| window == &echo[..1000]));
            peer.say("R|1||$R|2|(300000)");
            let mut block = vec![3, 3];
            let mut length = echo.len();
            while length >= 128 {
                block.push(length as u8 | 128);
                length >>= 7;
            }
            block.push(length as u8);
            peer.socket.write_all(&block).unwrap();
            for piece in echo.chunks(70_001) {
                peer.socket.write_all(piece).unwrap();
            }
            peer.say("||0|false|$");
        },
        |connection| {
            let (sender, mut receiver) = connection.split();
            let write = sender.write("VS0", payload.clone().into());
            sender.flush().unwrap();
            receiver.wait(write).unwrap();
            // The reply is on its way before the command; that is this script's licence.
            let read = sender.read("VS1", u64::MAX);
            match receiver.wait(read).unwrap() {
                Reply::Read(reply) => assert_eq!(&reply.data[..], &payload[..]),
                other => panic!("{other:?}"),
            }
        },
    );
}

#[test]
fn the_peers_own_commands_are_answered() {
    with_peer(
        |mut peer| {
            peer.say(HELLO);
            peer.say(r#"C|77|Locator|sync|$C|78|RunControl|suspend|"P1"|$F|-5|$P|1|"half"|$"#);
            peer.hear(r#"C|1|Streams|subscribe|"*"|$R|77||$N|78|$"#);
            peer.say("R|1||$");
        },
        |mut connection| connection.subscribe("*").unwrap(),
    );
}

#[test]
fn a_failed_call_tells_the_reason_and_the_channel_lives() {
    with_peer(
        |mut peer| {
            peer.say(HELLO);
            peer.hear(r#"C|1|Streams|connect|"VS9"|$"#);
            peer.say(r#"R|1|{"Code":16,"Time":1,"Format":"Invalid context"}|$"#);
            peer.hear(r#"C|2|StreamBroker|list|"*"|$"#);
            peer.say("N|2|$");
            peer.hear(r#"C|3|Streams|read|"VS9"|1|$"#);
            peer.say(r#"R|3|null|{"Code":1,"Time":1,"Format":"No such stream: VS9"}|0|false|$"#);
            peer.hear(r#"C|4|Streams|eos|"VS9"|$"#);
            peer.say("R|4|null|$");
        },
        |mut connection| {
            let error = connection.connect_stream("VS9").unwrap_err();
            assert_eq!(error.call_code(), Some(CallError::INVALID_CONTEXT));
            assert_eq!(error.to_string(), "Streams.connect: Invalid context");
            let error = connection.list(None).unwrap_err();
            assert_eq!(error.call_code(), Some(CallError::NOT_RECOGNIZED));
            let error = connection.read("VS9", 1).unwrap_err();
            assert_eq!(error.to_string(), "Streams.read: No such stream: VS9");
            connection.eos("VS9").unwrap();
        },
    );
}

#[test]
fn a_list_is_read_with_what_an_older_broker_leaves_out() {
    with_peer(
        |mut peer| {
            peer.say(HELLO);
            peer.hear(r#"C|1|StreamBroker|list|"log"|$"#);
            peer.say(
                r#"R|1||[{"ID":"VS2","Type":"log","ContextID":null,"Start":5,"End":9,"EOS":true,"New":1}]|$"#,
            );
        },
        |mut connection| {
            let entries = connection.list(Some("log")).unwrap();
            assert_eq!(entries.len(), 1);
            assert_eq!((entries[0].id.as_str(), entries[0].end, entries[0].eos), ("VS2", 9, true));
            assert!(!entries[0].cut_off);
        },
    );
}

#[test]
fn the_report_of_a_peer_that_closes_reaches_the_user() {
    for report in [
        r#"{"Code":4,"Time":1,"Format":"Buffer overflow: too many channels"}|$"#,
        // As the reference agent does: the report's NUL in a BIN block.
        "{\"Code\":4,\"Time\":1,\"Format\":\"Buffer overflow: too many channels\"}~\x03\u{1}|$",
    ] {
        let pieces = format!("{HELLO}E|Streams|created|\"half a mess#{report}");
        with_peer(
            move |mut peer| {
                peer.say_in_pieces(&pieces);
                peer.hear(r#"C|1|Locator|sync|$"#);
            },
            |mut connection| {
                let error = connection.sync().unwrap_err();
                assert!(matches!(error, ClientError::Closed { .. }), "{error:?}");
                assert_eq!(
                    error.to_string(),
                    "the broker closed the channel: Buffer overflow: too many channels"
                );
            },
        );
    }
}

#[test]
fn our_end_of_stream_comes_before_fin_and_the_peers_is_waited_for() {
    with_peer(
        |mut peer| {
            peer.say(HELLO);
            peer.hear(r#"C|1|Locator|sync|$"#);
            peer.say("R|1||$");
            peer.hear("#|$");
            assert_eq!(peer.socket.read(&mut [0]).unwrap(), 0);
            peer.say("#|$");
        },
        |mut connection| {
            connection.sync().unwrap();
            connection.close().unwrap();
        },
    );
}

#[test]
fn a_connection_that_breaks_is_an_error_at_once() {
    with_peer(
        |mut peer| {
            peer.say(HELLO);
            peer.hear(r#"C|1|Streams|read|"VS0"|1|$"#);
            peer.socket.shutdown(Shutdown::Both).unwrap();
        },
        |mut connection| {
            let error = connection.read("VS0", 1).unwrap_err();
            assert!(matches!(error, ClientError::Disconnected(_)), "{error:?}");
        },
    );
}

#[test]
fn nonsense_of_the_peer_is_an_error() {
    for nonsense in ["R|99||$", "R|1|{$", "X|1|$", "R|1||\"more\"|$"] {
        with_peer(
            move |mut peer| {
                peer.say(HELLO);
                peer.hear(r#"C|1|Locator|sync|$"#);
                peer.say(nonsense);
            },
            |mut connection| {
                let error = connection.sync().unwrap_err();
                assert!(matches!(error, ClientError::Misbehaved(_)), "{nonsense}: {error:?}");
            },
        );
    }
}

#[test]
fn who_does_not_speak_tcf_is_told_apart_from_who_is_not_there() {
    let (address, thread) = peer(|mut peer| {
        peer.socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        peer.socket.shutdown(Shutdown::Both).unwrap();
    });
    let error = Connection::connect(&address).unwrap_err();
    assert!(matches!(error, ClientError::NotTcf { .. }), "{error:?}");
    thread.join().unwrap();

    let (address, thread) = peer(|mut peer| {
        // Silent until the client gives up.
        assert_eq!(peer.socket.read(&mut [0]).unwrap(), 0);
    });
    let options = ConnectOptions { timeout: Duration::from_millis(50), ..Default::default() };
    let error = Connection::connect_with(&address, &options).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("it says nothing\ngive the port"), "{text}");
    thread.join().unwrap();
}

#[test]
fn a_refused_connection_says_what_to_do() {
    // Bound and not listening: nobody else can take the port meanwhile.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any_port: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any_port.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let error = Connection::connect(&address.to_string().parse().unwrap()).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(text.contains("start it with `weir`"), "{text}");
}
