//! Who is at the other end, and that a reader is away: on every surface that people look at.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Browser, PATIENCE, TestServer, Tool, wait_until};

/// A stream of `board-7` that is full and waits for a place of `rack-3`, which is away.
fn stream_that_waits_for_who_is_away(server: &TestServer) -> (crate::support::RawPeer, String) {
    let mut writer = server.peer();
    writer.introduce(json!({"Name": "board-7", "User": "root", "Program": "uartd"}));
    let stream = writer.create("T", json!({"BufferSize": 1000, "StallTimeout": null}));
    let mut reader = server.peer();
    reader.introduce(json!({"Name": "rack-3", "Program": "viewer"}));
    let options = json!({"Place": "recorder", "KeepFor": 60_000});
    assert_eq!(reader.attach(&stream, options).0, 0);
    drop(reader);
    for _ in 0..2 {
        writer.start_write(&stream, &[b'x'; 1000]);
    }
    wait_until(PATIENCE, "the reader is away, and holds the stream", || {
        let stats = server.stats();
        let held_by = &stats["streams"][0]["held_by"];
        held_by["away"] == json!(true)
    });
    (writer, stream)
}

#[test]
fn stats_and_list_say_who_owns_who_reads_and_who_is_away() {
    let server = TestServer::start();
    let (mut writer, stream) = stream_that_waits_for_who_is_away(&server);
    let stats = server.stats();
    let row = &stats["streams"][0];
    let owner = json!({"name": "board-7", "user": "root", "program": "uartd"});
    let host = json!({"name": "rack-3", "user": null, "program": "viewer"});
    assert_eq!((&row["owner_says"], &row["held_by"]["says"]), (&owner, &host));
    let reader = &row["readers"][0];
    assert_eq!((&reader["says"], &reader["away"]), (&host, &json!(true)), "{reader}");
    assert_eq!((&reader["place"], &reader["confirmed"]), (&json!("recorder"), &json!(0)));
    let address = writer.local_address().to_string();
    let channels = stats["channels"].as_array().expect("channels");
    let own = channels.iter().find(|channel| channel["peer"] == json!(address));
    assert_eq!(own.expect("it is listed")["says"], owner);
    let listed = writer.listed(&stream).expect("it is listed");
    assert_eq!(listed["OwnerName"], json!("board-7, root, uartd"));
    assert_eq!(listed["Owner"], json!(address), "beside the address, never instead of it");
}

#[test]
fn the_verbs_that_look_say_who_owns_who_reads_and_who_is_away() {
    let server = TestServer::start();
    let (writer, stream) = stream_that_waits_for_who_is_away(&server);
    let owner = format!("{} (board-7, root, uartd)", writer.local_address());
    let (broker, http) = (server.broker(), server.http().to_string());

    let list = Tool::run(&["ls", "--broker", &broker]);
    let text = String::from_utf8(list.stdout).expect("text");
    assert!(text.lines().any(|line| line.ends_with(&owner)), "{text}");
    let list = Tool::run(&["ls", "--json", "--broker", &broker]);
    let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!(list[0]["OwnerName"], json!("board-7, root, uartd"));

    let stats = Tool::run(&["stats", "--http", &http, "--stream", &stream]);
    let text = String::from_utf8(stats.stdout).expect("text");
    assert!(text.contains("(rack-3, viewer), which is away, 1.0 KiB"), "{text}");
    let is_row = |line: &str| line.contains(" (rack-3, viewer)  away ");
    assert!(text.lines().any(is_row), "{text}");

    let weir = env!("CARGO_BIN_EXE_weir");
    let line = format!("stty cols 120 rows 24; exec {weir} top --http {http}");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env("TERM", "xterm-256color").env_remove("WEIR_HTTP");
    let mut top = Tool::start_command(script);
    let shows = |top: &Tool, text: &str| String::from_utf8_lossy(&top.stdout()).contains(text);
    wait_until(PATIENCE, "the stream is shown", || shows(&top, &stream));
    top.type_in(b"\r");
    for text in [&owner, "(rack-3, viewer), which is away", "away"] {
        wait_until(PATIENCE, &format!("top shows {text}"), || shows(&top, text));
    }
    top.type_in(b"q");
    assert_eq!(top.wait().code, Some(0));
}

#[test]
fn the_page_says_who_owns_who_reads_and_who_is_away() {
    let server = TestServer::start();
    let (_writer, stream) = stream_that_waits_for_who_is_away(&server);
    let browser = Browser::start(1280, 800);
    browser.open(&format!("http://{}/#/{stream}", server.http()));
    let body = "document.body.innerText";
    for text in
        ["(board-7, root, uartd)", "(rack-3, viewer), which is away, ", "away, holds the stream"]
    {
        browser
            .wait_until(&format!("the page shows {text}"), &format!("{body}.includes('{text}')"));
    }
    assert!(browser.errors().is_empty());
}

#[test]
fn the_log_says_who_lost_bytes() {
    let server = TestServer::start_with(&["--workers", "1"]);
    let mut writer = server.peer();
    let properties = json!({"BufferSize": 10, "History": 0, "StallTimeout": 0});
    let stream = writer.create("T", properties);
    let mut reader = server.peer();
    reader.introduce(json!({"Name": "rack-3", "Program": "viewer"}));
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    for _ in 0..3 {
        assert_eq!(writer.write(&stream, &[b'x'; 10]), 0);
    }
    reader.start_read(&stream, 100);
    let says = |line: &str| line.contains("reader lost bytes") && line.contains("rack-3, viewer");
    wait_until(PATIENCE, "the loss is logged", || server.log().lines().any(says));
}

#[test]
fn every_verb_with_a_channel_says_who_calls() {
    let server = TestServer::start();
    let broker = server.broker();
    let mut watcher = server.peer();
    let stream = watcher.create("T", json!({}));
    let version = env!("CARGO_PKG_VERSION");
    let publish = Tool::start(&["pub", "--broker", &broker, "--as", "ci-7"]);
    let tail = Tool::start(&["tail", "--broker", &broker, "--id", &stream, "--as", "ci-7"]);
    let bench = ["bench", &broker, "--as", "ci-7", "--load", "round-trip", "--time", "60s"];
    let bench = Tool::start(&bench);
    for verb in ["pub", "tail", "bench"] {
        let program = json!(format!("weir {verb} {version}"));
        wait_until(PATIENCE, &format!("{verb} has said who it is"), || {
            let stats = server.stats();
            let mut channels = stats["channels"].as_array().expect("channels").iter();
            channels.any(|c| c["says"]["program"] == program && c["says"]["name"] == "ci-7")
        });
    }
    drop((publish, tail, bench));

    // `ls` is gone too soon to be looked at: it is heard.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let mut ls = Tool::start(&["ls", "--broker", &address, "--as", "ci-7"]);
    let (mut socket, _) = listener.accept().expect("ls connects");
    let hello = b"E\0Locator\0Hello\0[\"StreamBroker\",\"Locator\"]\0\x03\x01";
    std::io::Write::write_all(&mut socket, hello).expect("ls listens");
    let mut heard = Vec::new();
    let program = format!("weir ls {version}");
    while !String::from_utf8_lossy(&heard).contains(&program) {
        let mut piece = [0; 4096];
        let count = std::io::Read::read(&mut socket, &mut piece).expect("ls speaks");
        assert!(count > 0 && ls.is_running(), "{}", String::from_utf8_lossy(&heard));
        heard.extend(&piece[..count]);
    }
    assert!(String::from_utf8_lossy(&heard).contains("ci-7"));
}
