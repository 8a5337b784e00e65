//! What a clumsy user does: each wrong input gets a message that says what happened, to what, and
//! what to do.

use std::process::Command;

use crate::demo::Demo;
use crate::support::tool::Outcome;
use crate::support::{PATIENCE, Terminal, TestServer, Tool, wait_until};

/// A run with these variables in its environment.
fn run_with(variables: &[(&str, &str)], args: &[&str]) -> Outcome {
    let mut command = Tool::command();
    command.args(args).envs(variables.iter().copied());
    Tool::start_command(command).wait()
}

#[test]
fn the_port_of_the_other_protocol_is_told_apart_from_a_broker_that_is_not_there() {
    let server = TestServer::start();
    let (tcf, http) = (server.broker(), server.http().to_string());
    for args in [
        &["ls", "--broker", &http][..],
        &["pub", "--broker", &http],
        &["tail", "--broker", &http, "--retry-for", "0"],
        &["bench", &http],
        &["bench", &http, "--load", "storm"],
        &["bench", &http, "--load", "idle"],
    ] {
        let outcome = Tool::run(args);
        assert_eq!(outcome.code, Some(69), "{args:?}: {}", outcome.stderr);
        let told = format!("{http} does not answer as a TCF peer");
        assert!(outcome.stderr.contains(&told), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("\ngive the port"), "{args:?}: {}", outcome.stderr);
    }
    let outcome = Tool::run(&["stats", "--http", &tcf]);
    assert_eq!(outcome.code, Some(69), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("it speaks TCF\ngive the port"), "{}", outcome.stderr);
}

#[test]
fn the_address_of_the_dashboard_is_taken_as_the_ready_line_has_it() {
    let server = TestServer::start();
    let outcome = Tool::run(&["stats", "--http", &format!("http://{}/", server.http())]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn what_the_environment_says_to_the_broker_stops_no_other_verb() {
    let server = TestServer::start();
    let broker = server.broker();
    let ls = ["ls", "--broker", &broker];
    for variable in [("WEIR_WORKERS", "many"), ("WEIR_LISTEN", "nowhere"), ("WEIR_HTTP", "")] {
        let outcome = run_with(&[variable], &ls);
        assert_eq!(outcome.code, Some(0), "{variable:?}: {}", outcome.stderr);
    }
    for verb in ["serve", "demo"] {
        let outcome = run_with(&[("WEIR_WORKERS", "many")], &[verb, "--check-config"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("write one such as 4"), "{}", outcome.stderr);
        // A variable that says nothing is none.
        let empty = [("WEIR_WORKERS", ""), ("WEIR_HTTP", ""), ("WEIR_LISTEN", "")];
        let outcome = run_with(&empty, &[verb, "--check-config"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
    let outcome = run_with(&[("WEIR_WORKERS", "many")], &["--check-config"]);
    assert_eq!(outcome.code, Some(2), "a bare weir is the broker: {}", outcome.stderr);
    let outcome = run_with(&[("WEIR_BROKER", "lab:port")], &["ls"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
}

#[test]
fn help_is_found_as_people_look_for_it() {
    for args in [&["help"][..], &["--help"], &["-h"], &["help", "tail"], &["tail", "--help"]] {
        let outcome = Tool::run(args);
        assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.stderr);
        assert!(String::from_utf8_lossy(&outcome.stdout).contains("Usage:"), "{args:?}");
    }
}

#[test]
fn a_process_that_is_not_there_is_not_measured_in_silence() {
    let server = TestServer::start();
    for load in ["small", "storm", "idle"] {
        let args = ["bench", &server.broker(), "--load", load, "--pid", "4294967295"];
        let outcome = Tool::run(&args);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("no process 4294967295"), "{}", outcome.stderr);
    }
}

#[test]
fn a_pub_whose_broker_dies_says_how_far_it_came_and_what_would_have_helped() {
    let mut server = TestServer::start();
    let mut publish = Tool::start(&["pub", "--broker", &server.broker(), "--type", "T"]);
    let stream = publish.told_stream();
    publish.type_in(b"twelve bytes");
    let mut watcher = server.peer();
    wait_until(PATIENCE, "they have come", || {
        watcher.listed(&stream).is_some_and(|object| object["End"] == 12)
    });
    server.signal("KILL");
    server.wait_for_end();
    wait_until(PATIENCE, "it ends", || !publish.is_running());
    let outcome = publish.wait();
    assert_eq!(outcome.code, Some(75), "{}", outcome.stderr);
    for part in [&format!("{stream} is not complete: 12 bytes")[..], "--keep-for 60s"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
}

#[test]
fn who_types_into_pub_is_told_how_to_end_it() {
    let server = TestServer::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = server.broker();
    let mut terminal = Terminal::open(folder.path(), &[("WEIR_BROKER", &broker)]);
    let prompts = terminal.type_line(&format!("{} pub", env!("CARGO_BIN_EXE_weir")));
    wait_until(PATIENCE, "it says so", || terminal.screen().contains("Ctrl-D"));
    terminal.type_keys("typed\n\x04");
    wait_until(PATIENCE, "it ends", || terminal.prompts() >= prompts);
    assert_eq!(server.stats()["streams"][0]["end"], 6);
}

#[test]
fn a_place_that_cannot_be_had_is_told_to_who_asked_for_it() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("T", serde_json::json!({}));
    assert_eq!(writer.write(&stream, b"x"), 0);
    let args = ["tail", "--broker", &server.broker(), "--id", &stream, "--keep-for", "2h"];
    let tail = Tool::start(&args);
    tail.wait_for_stdout(b"x");
    assert!(tail.stderr().contains("no place in"), "{}", tail.stderr());
    let long = "x".repeat(256);
    for args in [&["ls", "--as", &long][..], &["tail", "--place", &long], &["tail", "--place="]] {
        assert_eq!(Tool::run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn a_demo_ends_with_its_terminal() {
    let mut demo = Demo::start();
    demo.tool.signal("HUP");
    wait_until(PATIENCE, "it ends", || !demo.tool.is_running());
    assert_eq!(demo.tool.wait().code, Some(0));
}

#[cfg(unix)]
#[test]
fn what_is_said_comes_in_one_piece() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;
    let (ours, theirs) = UnixDatagram::pair().expect("a pair of sockets");
    ours.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let mut command: Command = Tool::command();
    // Each write is a message of its own there.
    command.args(["tail", "--id", "VS1", "--broker", "127.0.0.1:1", "--retry-for", "0"]);
    command.stderr(OwnedFd::from(theirs));
    let mut child = command.spawn().expect("it starts");
    let mut said = [0; 4096];
    let count = ours.recv(&mut said).expect("it says something");
    let said = String::from_utf8_lossy(&said[..count]);
    assert!(said.starts_with("weir: cannot reach ") && said.ends_with("HOST:PORT\n"), "{said:?}");
    child.wait().expect("it ends");
}
