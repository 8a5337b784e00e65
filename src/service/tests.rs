//! Every command, from its bytes to what the core is asked or the bytes of the answer. Texts follow
//! what the reference agent was seen to do.

use bytes::Bytes;

use super::*;
use crate::id::{Offset, StreamId};
use crate::service::transcript::{message, render};
use crate::stream::{Chunks, Command, Flow, Refusal, Reply};
use crate::wire::{Frame, Framer, Header, Output, WireError, WireLimits};

/// Notes what it is asked.
#[derive(Default)]
struct Note(String);

impl Core for Note {
    fn execute(&mut self, command: Command<'_>) -> Flow {
        self.0 = format!("{command:?}");
        Flow::Continue
    }
}

fn identity() -> Identity {
    Identity {
        agent_id: "0583851d".to_owned(),
        name: "Weir".to_owned(),
        listens: vec![("127.0.0.1".to_owned(), 1534)],
    }
}

/// Carries out one command, and gives what came of it: what the core was asked, or the answer.
fn carry_out(text: &str) -> Result<String, WireError> {
    let (asked, answer) = carry_out_bytes(&message(text))?;
    assert!(answer.is_empty() != asked.is_empty(), "one of the two: {answer:?} {asked}");
    Ok(if answer.is_empty() { asked } else { render(&answer) })
}

/// The same for any bytes: what the core was asked, and the answer.
fn carry_out_bytes(bytes: &[u8]) -> Result<(String, Vec<u8>), WireError> {
    let limits = WireLimits::default();
    let mut framer = Framer::new(limits.clone());
    let Ok(Some(Frame::Message(body))) = framer.decode(&mut &*bytes) else {
        panic!("no message: {bytes:?}");
    };
    let (header, arguments) = body.open(&limits)?;
    let Header::Command { token, service, name } = header else { panic!("no command") };
    let mut output = Output::default();
    let mut core = Note::default();
    let handler = find(&service, &name).expect("a known command");
    let responder = Responder::new(&mut output, false, &token, 5);
    let flow = handler(Call { arguments, responder, identity: &identity() }, &mut core)?;
    assert_eq!(flow, Flow::Continue);
    Ok((core.0, output.to_vec()))
}

#[test]
fn echo_gives_back_the_bytes_it_got() {
    for (string, back) in [
        (&b"plain"[..], &b"plain"[..]),
        (b"\xed\xa0\x80", b"\xed\xa0\x80"),
        (b"a\\ud800b", b"a\xed\xa0\x80b"),
        (b"\\udfff\\ud800\\u0041", b"\xed\xbf\xbf\xed\xa0\x80A"),
        (b"\\ud83d\\ude00", "\u{1f600}".as_bytes()),
        (b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0\xbd\xed\xb8\x80"),
        (b"\xff\xfe\\n", b"\xff\xfe\\n"),
    ] {
        let command = [b"C\x001\0Diagnostics\0echo\0\"", string, b"\"\0\x03\x01"].concat();
        let answer = [b"R\x001\0\"", back, b"\"\0\x03\x01"].concat();
        assert_eq!(carry_out_bytes(&command).unwrap().1, answer, "{}", string.escape_ascii());
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let outcome = carry_out(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(outcome.trim_end_matches("<eom>\n"), *expected, "{text}");
    }
}

#[track_caller]
fn check_errors(cases: &[(&str, u16)]) {
    for (text, code) in cases {
        match carry_out(text) {
            Ok(outcome) => panic!("{text}: {outcome}"),
            Err(error) => assert_eq!(error.code(), *code, "{text}: {error}"),
        }
    }
}

fn answer(reply: Reply) -> String {
    let mut output = Output::default();
    Responder::new(&mut output, false, b"9", 5).answer(reply);
    render(&output.to_vec())
}

#[test]
fn streams_commands_reach_the_core() {
    check(&[
        (r#"C|1|Streams|subscribe|"Log"|"#, r#"Subscribe("Log")"#),
        (r#"C|1|Streams|subscribe|null|"#, r#"Subscribe("")"#),
        (r#"C|1|Streams|unsubscribe|"*"|"#, r#"Unsubscribe("*")"#),
        (r#"C|1|Streams|connect|"VS7"|"#, "Connect(StreamId(7))"),
        (r#"C|1|Streams|disconnect|"VS7"|"#, "Disconnect(StreamId(7))"),
        (r#"C|1|Streams|eos|"VS7"|"#, "Eos(StreamId(7))"),
        (r#"C|1|Streams|read|"VS7"|100|"#, "Read { stream: StreamId(7), size: 100 }"),
        (
            r#"C|1|Streams|read|"VS7"|-1|"#,
            "Read { stream: StreamId(7), size: 18446744073709551615 }",
        ),
        (
            r#"C|1|Streams|write|"VS7"|3|(3)abc|"#,
            "Write { stream: StreamId(7), data: Borrowed([97, 98, 99]) }",
        ),
        (r#"C|1|Streams|write|"VS7"|0|(0)|"#, "Write { stream: StreamId(7), data: Borrowed([]) }"),
        (r#"C|1|Streams|write|"VS7"|0|null|"#, "Write { stream: StreamId(7), data: Borrowed([]) }"),
    ]);
    let base64 = carry_out(r#"C|1|Streams|write|"VS7"|3|"YWJj"|"#).unwrap();
    assert!(base64.contains(r#"Owned(b"abc")"#) || base64.contains("[97, 98, 99]"), "{base64}");
}

#[test]
fn streams_that_no_broker_could_have_are_refused_in_the_shape_of_each_reply() {
    let unknown = r#"{"Code":16,"Time":5,"Format":"Invalid context: no stream bogus"}|"#;
    let no_such = r#"{"Code":1,"Time":5,"Format":"No such stream: bogus"}|"#;
    for (command, reply) in [
        ("Streams|connect|\"bogus\"|", format!("R|1|{unknown}")),
        ("Streams|disconnect|\"bogus\"|", format!("R|1|{no_such}")),
        ("Streams|eos|\"bogus\"|", format!("R|1|{no_such}")),
        ("Streams|read|\"bogus\"|10|", format!("R|1|null|{no_such}0|false|")),
        ("Streams|write|\"bogus\"|1|\"YQ==\"|", format!("R|1|{no_such}")),
        ("Diagnostics|disposeTestStream|\"bogus\"|", format!("R|1|{unknown}")),
        ("StreamBroker|dispose|\"bogus\"|", format!("R|1|{unknown}")),
        ("StreamBroker|attach|\"bogus\"|{}|", format!("R|1|{unknown}null|")),
        ("StreamBroker|adopt|\"bogus\"|\"k\"|", format!("R|1|{unknown}null|")),
    ] {
        check(&[(&format!("C|1|{command}"), &reply)]);
    }
    for name in ["\"\"", "null", "\"VS\"", "\"VS00\"", "\"VS 1\"", "\"VS-4294967295\""] {
        let outcome = carry_out(&format!("C|1|Streams|connect|{name}|")).unwrap();
        assert!(outcome.starts_with(r#"R|1|{"Code":16,"#), "{name}: {outcome}");
    }
}

#[test]
fn a_size_that_does_not_match_its_data_never_reaches_the_core() {
    let refused = r#"R|1|{"Code":15,"Time":5,"Format":"Invalid data size"}|"#;
    for arguments in
        ["5|\"YWJj\"|", "2|\"YWJj\"|", "0|\"YWJj\"|", "3|null|", "-1|\"YWJj\"|", "-3|(3)abc|"]
    {
        check(&[(&format!("C|1|Streams|write|\"VS0\"|{arguments}"), refused)]);
    }
}

#[test]
fn malformed_arguments_close_the_channel_with_the_code_of_the_reference() {
    check_errors(&[
        ("C|1|Streams|connect|", 3),
        ("C|1|Streams|connect|5|", 3),
        ("C|1|Streams|connect|\"VS0\"|\"x\"|", 2),
        ("C|1|Streams|connect|\"VS0\"x|", 2),
        ("C|1|Streams|read|\"VS0\"|\"10\"|", 2),
        ("C|1|Streams|read|\"VS0\"|2.5|", 2),
        ("C|1|Streams|write|\"VS0\"|3|\"Y*Jj\"|", 8),
        ("C|1|Streams|write|\"VS0\"|3|(10)abc|", 2),
        ("C|1|Locator|sync|\"x\"|", 2),
        ("C|1|StreamBroker|introduce|{\"Name\":7}|", 3),
        ("C|1|StreamBroker|confirm|\"VS1\"|\"x\"|", 2),
        ("C|1|Diagnostics|echo|null|", 2),
        ("C|1|Diagnostics|echo|12|", 3),
        ("C|1|Diagnostics|echo|(3)abc|", 3),
        ("C|1|Diagnostics|echo|\"abc|", 2),
        ("C|1|Diagnostics|echo|\"\\x41\"|", 2),
        ("C|1|Diagnostics|echoINT|9|1|", 2),
        ("C|1|Diagnostics|echoINT|0|1e3|", 2),
        ("C|1|Locator|redirect|{\"Host\":true}|", 3),
        ("C|1|StreamBroker|create|\"T\"|{\"BufferSize\":\"1\"}|", 3),
        ("C|1|StreamBroker|create|\"T\"|\"x\"|", 3),
        ("C|1|StreamBroker|list|5|", 3),
        ("C|1|StreamBroker|attach|\"VS0\"|{\"StallTimeout\":\"x\"}|", 3),
    ]);
}

#[test]
fn locator_answers() {
    let forwards = "Unsupported command: this broker does not forward channels";
    let refused = format!(r#"R|1|{{"Code":23,"Time":5,"Format":"{forwards}"}}|"#);
    let unknown = r#"R|1|{"Code":7,"Time":5,"Format":"Unknown peer"}|"#;
    check(&[
        ("C|1|Locator|sync|", "R|1||"),
        ("C|2|Locator|getAgentID|", "R|2||\"0583851d\"|"),
        ("C|1|Locator|redirect|\"no-such-peer\"|", unknown),
        ("C|1|Locator|redirect|\"\"|", unknown),
        ("C|1|Locator|redirect|null|", unknown),
        ("C|1|Locator|redirect|\"TCP:127.0.0.1:1534\"|", &refused),
        ("C|1|Locator|redirect|{\"Host\":\"h\",\"Port\":1534}|", &refused),
    ]);
    let peers = carry_out("C|1|Locator|getPeers|").unwrap();
    let array = peers.strip_prefix("R|1||").unwrap().strip_suffix("|<eom>\n").unwrap();
    let peers: serde_json::Value = serde_json::from_str(array).unwrap();
    for (name, value) in [
        ("ID", "TCP:127.0.0.1:1534"),
        ("Name", "Weir"),
        ("Port", "1534"),
        ("Host", "127.0.0.1"),
        ("TransportName", "TCP"),
        ("AgentID", "0583851d"),
    ] {
        assert_eq!(peers[0][name], value, "{name}");
    }
    assert_eq!(peers[0]["Flags"], 5);
}

#[test]
fn diagnostics_echoes() {
    check(&[
        ("C|1|Diagnostics|echo|\"hello\"|", "R|1|\"hello\"|"),
        ("C|1|Diagnostics|echo|\"A\\u00e9\"|", "R|1|\"A\u{e9}\"|"),
        ("C|1|Diagnostics|echo|  \"ws\"  |", "R|1|\"ws\"|"),
        ("C|1|Diagnostics|echoINT|0|-2147483648|", "R|1|-2147483648|"),
        ("C|1|Diagnostics|echoINT|0|2147483648|", "R|1|2147483648|"),
        ("C|1|Diagnostics|echoINT|1|-1|", "R|1|18446744073709551615|"),
        ("C|1|Diagnostics|echoINT|2|9223372036854775808|", "R|1|-9223372036854775808|"),
        ("C|1|Diagnostics|echoINT|3|18446744073709551616|", "R|1|0|"),
        ("C|1|Diagnostics|echoINT|0|007|", "R|1|7|"),
        ("C|1|Diagnostics|echoERR|null|", "R|1||\"Success\"|"),
        ("C|1|Diagnostics|echoERR||", "R|1||\"Success\"|"),
        ("C|1|Diagnostics|echoERR|{}|", "R|1||\"Success\"|"),
        ("C|1|Diagnostics|echoERR|{\"Code\":0,\"Format\":\"zero\"}|", "R|1||\"Success\"|"),
        ("C|1|Diagnostics|echoERR|{\"Code\":1}|", "R|1|{\"Code\":1}|\"Unspecified failure\"|"),
    ]);
}

#[test]
fn echo_fp_gives_the_same_number() {
    for (sent, number) in [
        ("0", Some(0.0)),
        ("1.5", Some(1.5)),
        ("-2.25e3", Some(-2250.0)),
        ("0.1", Some(0.1)),
        ("123456789012345678901234567890", Some(123_456_789_012_345_678_901_234_567_890.0)),
        ("1E+2", Some(100.0)),
        (".5", Some(0.5)),
        ("+7", Some(7.0)),
        ("00012", Some(12.0)),
        ("-1e-400", Some(-0.0)),
        ("1e400", None),
        ("null", None),
    ] {
        let outcome = carry_out(&format!("C|1|Diagnostics|echoFP|{sent}|")).unwrap();
        let text = outcome.strip_prefix("R|1|").unwrap().strip_suffix("|<eom>\n").unwrap();
        assert_eq!(serde_json::from_str::<Option<f64>>(text).unwrap(), number, "{sent}");
    }
}

#[test]
fn diagnostics_tests_and_test_streams() {
    check(&[
        ("C|1|Diagnostics|getTestList|", "R|1||[]|"),
        (
            "C|1|Diagnostics|runTest|\"NoSuch\"|",
            "R|1|{\"Code\":1,\"Time\":5,\"Format\":\"No such test: NoSuch\"}|null|",
        ),
        (
            "C|1|Diagnostics|cancelTest|\"P1.1\"|",
            "R|1|{\"Code\":16,\"Time\":5,\"Format\":\"Invalid context: P1.1\"}|",
        ),
        (
            "C|1|Diagnostics|getSymbol|\"P1.1\"|\"main\"|",
            "R|1|{\"Code\":16,\"Time\":5,\"Format\":\"Invalid context: P1.1\"}|null|",
        ),
        (
            "C|1|Diagnostics|createTestStreams|1001|771|",
            "CreateTestStreams { input_bytes: 1001, output_bytes: 771 }",
        ),
        (
            "C|1|Diagnostics|createTestStreams|0|10|",
            "R|1|{\"Code\":20,\"Time\":5,\"Format\":\"Invalid number\"}|null|null|",
        ),
        (
            "C|1|Diagnostics|createTestStreams|10|-1|",
            "R|1|{\"Code\":20,\"Time\":5,\"Format\":\"Invalid number\"}|null|null|",
        ),
        ("C|1|Diagnostics|disposeTestStream|\"VS0\"|", "DisposeTestStream(StreamId(0))"),
    ]);
}

#[test]
fn stream_broker_commands_reach_the_core_or_name_what_is_wrong() {
    check(&[
        ("C|1|StreamBroker|list|null|", "List(None)"),
        ("C|1|StreamBroker|list|\"*\"|", "List(None)"),
        ("C|1|StreamBroker|list|\"Log\"|", "List(Some(\"Log\"))"),
        ("C|1|StreamBroker|dispose|\"VS3\"|", "Dispose(StreamId(3))"),
        (
            "C|1|StreamBroker|adopt|\"VS3\"|\"secret\"|",
            "Adopt { stream: StreamId(3), key: \"secret\" }",
        ),
        (
            "C|1|StreamBroker|attach|\"VS3\"|{\"From\":7}|",
            "Attach(StreamId(3), AttachOptions { from: Offset(Offset(7)), stall_timeout: None })",
        ),
        (
            "C|1|StreamBroker|attach|\"VS3\"|{\"Speed\":7}|",
            "R|1|{\"Code\":20,\"Time\":5,\"Format\":\"Unknown property Speed\"}|null|",
        ),
        (
            "C|1|StreamBroker|create|\"T\"|{\"BufferSize\":0}|",
            "R|1|{\"Code\":20,\"Time\":5,\"Format\":\"Invalid value of BufferSize: must be at \
             least 1\"}|null|",
        ),
    ]);
    let created = carry_out("C|1|StreamBroker|create|\"T\"|{\"BufferSize\":9,\"Hold\":true}|");
    let created = created.unwrap();
    for part in ["Create(Properties", "stream_type: \"T\"", "buffer_bytes: 9", "hold: true"] {
        assert!(created.contains(part), "{created}");
    }
}

#[test]
fn the_answers_of_the_core_have_the_shape_of_their_command() {
    let pieces = |text: &'static str| Chunks::from(Bytes::from_static(text.as_bytes()));
    let read = |data, error, lost, eos| Reply::Read { data, error, lost, eos };
    let eof = r#"{"Code":9,"Time":5,"Format":"End of file"}|"#;
    let cancelled = r#"{"Code":6,"Time":5,"Format":"Command canceled"}|"#;
    for (reply, expected) in [
        (Reply::Done(Ok(())), "R|9||".to_owned()),
        (Reply::Done(Err(Refusal::EndOfFile)), format!("R|9|{eof}")),
        (read(pieces("hello"), None, 0, false), "R|9|\"aGVsbG8=\"||0|false|".to_owned()),
        (read(pieces("a"), None, 12, true), "R|9|\"YQ==\"||12|true|".to_owned()),
        (read(Chunks::EMPTY, None, 0, true), "R|9|null||0|true|".to_owned()),
        (
            read(Chunks::EMPTY, Some(Refusal::Cancelled), 0, true),
            format!("R|9|null|{cancelled}0|true|"),
        ),
        (Reply::Stream(Ok(StreamId(4))), "R|9||\"VS4\"|".to_owned()),
        (Reply::Stream(Err(Refusal::Cancelled)), format!("R|9|{cancelled}null|")),
        (Reply::Attached(Ok((Offset(6), 2))), "R|9||{\"Lost\":2,\"Position\":6}|".to_owned()),
        (Reply::Attached(Err(Refusal::Cancelled)), format!("R|9|{cancelled}null|")),
        (Reply::Adopted(Ok(Offset(6))), "R|9||{\"Position\":6}|".to_owned()),
        (Reply::Adopted(Err(Refusal::EndOfFile)), format!("R|9|{eof}null|")),
        (Reply::Streams(Ok(Vec::new())), "R|9||[]|".to_owned()),
        (Reply::Streams(Err(Refusal::Cancelled)), format!("R|9|{cancelled}null|")),
        (Reply::TestStreams(Ok((StreamId(0), StreamId(1)))), "R|9||\"VS0\"|\"VS1\"|".to_owned()),
        (Reply::TestStreams(Err(Refusal::Cancelled)), format!("R|9|{cancelled}null|null|")),
    ] {
        assert_eq!(answer(reply), format!("{expected}<eom>\n"));
    }
}

#[test]
fn events_carry_exactly_their_arguments() {
    let mut output = Output::default();
    streams::created(&mut output, false, "Log", StreamId(1), None);
    streams::created(&mut output, false, "Log", StreamId(2), Some("P1"));
    streams::disposed(&mut output, false, "Log", StreamId(1));
    let expected = "E|Streams|created|\"Log\"|\"VS1\"|null|<eom>\n\
                    E|Streams|created|\"Log\"|\"VS2\"|\"P1\"|<eom>\n\
                    E|Streams|disposed|\"Log\"|\"VS1\"|<eom>\n";
    assert_eq!(render(&output.to_vec()), expected);
}
