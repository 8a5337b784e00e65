//! `weir top` in a terminal, and `weir stats`.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{PATIENCE, TestServer, Tool, wait_until};

/// `weir top` in a terminal of 80 columns and 24 rows, which `script` makes.
fn top(server: &TestServer) -> Tool {
    let mut command = Command::new("script");
    let weir = env!("CARGO_BIN_EXE_weir");
    let line = format!("stty cols 80 rows 24; exec {weir} top --http {}", server.http());
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("TERM", "xterm-256color").env_remove("WEIR_HTTP");
    Tool::start_command(command)
}

fn shows(tool: &Tool, text: &str) -> bool {
    String::from_utf8_lossy(&tool.stdout()).contains(text)
}

#[test]
fn top_shows_streams_says_when_the_broker_is_gone_and_gives_the_terminal_back() {
    let mut server = TestServer::start();
    let mut writer = server.peer();
    writer.create("T", json!({"Name": "wwwwwwww"}));
    let mut top = top(&server);
    wait_until(PATIENCE, "the stream is shown", || shows(&top, "wwwwwwww"));
    drop(writer);
    assert_eq!(server.terminate(), Some(0));
    wait_until(PATIENCE, "it says that it tries again", || shows(&top, "trying again"));
    let server = server.start_again();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"Name": "zzzzzzzz"}));
    let mut reader = server.peer();
    assert_eq!(reader.attach(&stream, json!({})).0, 0);
    wait_until(PATIENCE, "it is back by itself", || shows(&top, "zzzzzzzz"));
    top.type_in(b"\r");
    let peer = reader.local_address().to_string();
    wait_until(PATIENCE, "Enter shows the readers", || shows(&top, &peer));
    top.type_in(b"q");
    let outcome = top.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let end = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(end.contains("\x1b[?1049l"), "the screen from before is back");
}

/// Whether a process runs that was started with these words among its own.
fn runs(words: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("Linux has /proc");
    processes.flatten().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.starts_with(env!("CARGO_BIN_EXE_weir").as_bytes())
            && String::from_utf8_lossy(&line).replace('\0', " ").contains(words)
    })
}

#[test]
fn top_ends_with_its_terminal_also_where_the_signal_for_it_is_ignored() {
    let server = TestServer::start();
    let mut command = Command::new("script");
    let words = format!("top --http {}", server.http());
    let weir = env!("CARGO_BIN_EXE_weir");
    let line = format!("stty cols 80 rows 24; trap '' HUP; exec {weir} {words}");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("TERM", "xterm-256color").env_remove("WEIR_HTTP");
    let top = Tool::start_command(command);
    wait_until(PATIENCE, "it runs", || shows(&top, "weir top"));
    assert!(runs(&words));
    drop(top);
    wait_until(PATIENCE, "it has ended", || !runs(&words));
}

#[test]
fn top_needs_a_terminal_and_a_broker() {
    let mut server = TestServer::start();
    let outcome = Tool::run(&["top", "--http", &server.http().to_string()]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("weir stats"), "{}", outcome.stderr);
    let inside = top(&server);
    wait_until(PATIENCE, "it runs", || shows(&inside, "weir top"));
    drop(inside);
    assert_eq!(server.terminate(), Some(0));
    let outcome = top(&server).wait();
    assert_eq!(outcome.code, Some(69), "{}", String::from_utf8_lossy(&outcome.stdout));
}

#[test]
fn stats_prints_a_table_or_the_json() {
    let mut server = TestServer::start();
    let http = server.http().to_string();
    let mut writer = server.peer();
    let quiet = writer.create("Quiet", json!({}));
    let busy = writer.create("Busy", json!({"Name": "console"}));
    let mut reader = server.peer();
    assert_eq!(reader.attach(&busy, json!({})).0, 0);
    assert_eq!(writer.write(&busy, &[b'x'; 5000]), 0);

    let table = Tool::run(&["stats", "--http", &http, "--sort", "lag"]);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let text = String::from_utf8(table.stdout).expect("a table is text");
    assert!(text.contains("console") && text.contains("4.9 KiB"), "{text}");
    assert!(text.find(&busy) < text.find(&quiet), "the largest lag comes first: {text}");

    let one = Tool::run(&["stats", "--http", &http, "--stream", &busy]);
    let text = String::from_utf8(one.stdout).expect("a table is text");
    let peer = reader.local_address().to_string();
    assert!(text.contains(&peer) && !text.contains("Quiet"), "{text}");

    let json = Tool::run(&["stats", "--json", "--http", &http, "--top", "1"]);
    let value: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&value["schema_version"], &value["streams"][0]["id"]), (&json!(1), &json!(quiet)));

    let none = Tool::run(&["stats", "--http", &http, "--stream", "VS999"]);
    assert_eq!(none.code, Some(1), "{}", none.stderr);
    assert_eq!(server.terminate(), Some(0));
    let gone = Tool::run(&["stats", "--http", &http]);
    assert_eq!(gone.code, Some(69), "{}", gone.stderr);
}
