//! What a tail says of the offset to go on from: at its start, at Ctrl-C, on a full disk, and in a
//! file.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::peer::quoted;
use crate::support::{PATIENCE, Pattern, RawPeer, TestServer, Tool, wait_until};

/// A stream with these bytes, more of which may come.
fn stream_with(server: &TestServer, bytes: &[u8]) -> (RawPeer, String) {
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"BufferSize": 4 << 20, "History": 4 << 20}));
    assert_eq!(writer.write(&stream, bytes), 0);
    (writer, stream)
}

/// A tail whose output goes to this file, as `>> FILE` does, or `> FILE`.
fn tail_into(file: &Path, append: bool, args: &[&str]) -> Command {
    let mut options = File::options();
    let output = options.create(true).append(append).write(true).truncate(!append).open(file);
    let mut command = Tool::command();
    command.arg("tail").args(args).stdout(output.expect("a file can be opened"));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

#[test]
fn a_late_tail_says_where_it_starts_and_what_helps() {
    let server = TestServer::start();
    let broker = server.broker();
    let mut writer = server.peer();
    let stream = writer.create("T", json!({"BufferSize": 100, "History": 10}));
    for _ in 0..10 {
        assert_eq!(writer.write(&stream, &[b'x'; 100]), 0);
    }
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    let mut keeper = server.peer();
    assert_eq!(keeper.streams("connect", &[&quoted(&stream)]), 0);
    let args = ["tail", "--broker", &broker, "--id", &stream];
    let tail = Tool::run(&args);
    let start = 1000 - tail.stdout.len();
    let told = format!("{stream} starts at byte {start}");
    assert_eq!(tail.code, Some(0), "{}", tail.stderr);
    assert!(tail.stderr.contains(&told) && tail.stderr.contains("--history"), "{}", tail.stderr);
    // Who asks for bytes that are gone has lost them; waiting longer for it would not have helped.
    let tail = Tool::run(&[&args[..], &["--from", "5"]].concat());
    assert_eq!(tail.code, Some(3), "{}", tail.stderr);
    assert!(tail.stderr.contains("--history"), "{}", tail.stderr);
    assert!(!tail.stderr.contains("--stall-timeout"), "{}", tail.stderr);
}

#[test]
fn a_signal_is_died_of_after_the_offset_is_told() {
    let server = TestServer::start();
    let broker = server.broker();
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let (_writer, stream) = stream_with(&server, b"0123456789");
        let tail = Tool::start(&["tail", "--broker", &broker, "--id", &stream]);
        tail.wait_for_stdout(b"0123456789");
        tail.signal(name);
        let outcome = tail.wait();
        assert_eq!(outcome.code, None, "a signal ended it: {}", outcome.stderr);
        let told = format!("stopped at offset 10 of {stream}");
        let how = format!("weir tail --broker {broker} --id {stream} --from 10`");
        assert!(outcome.stderr.contains(&told), "{number}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(&how), "{}", outcome.stderr);
        wait_until(PATIENCE, "nothing is held for it", || {
            server.peer().listed(&stream).is_some_and(|object| object["Readers"] == json!(0))
        });
    }
}

#[test]
fn a_tail_whose_output_is_stuck_dies_of_a_signal_all_the_same() {
    let server = TestServer::start();
    let (_writer, stream) = stream_with(&server, &vec![b'x'; 1 << 20]);
    let mut command = Tool::command();
    command.args(["tail", "--broker", &server.broker(), "--id", &stream]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_until(PATIENCE, "the pipe is full", || {
        let pid = child.id();
        let wchan = std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        let syscall = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        // A write to standard output's second handle, or where the system does not tell, a wait
        // in a pipe.
        wchan.contains("pipe") || syscall.starts_with("1 ")
    });
    crate::support::signal::send_signal(&child, "TERM");
    wait_until(PATIENCE, "it ends", || child.try_wait().expect("a child").is_some());
    assert_eq!(child.wait().expect("a child").signal(), Some(15));
}

#[test]
fn a_full_disk_leaves_a_file_and_the_offset_behind_its_last_byte() {
    let server = TestServer::start();
    let broker = server.broker();
    let pattern = Pattern::new(77);
    let (_writer, stream) = stream_with(&server, &pattern.bytes(0, 2 << 20));
    // The system gives no more than so many blocks to a file of this process.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("out");
    let weir = env!("CARGO_BIN_EXE_weir");
    let script = format!(
        "trap '' XFSZ; ulimit -f 1001; exec {weir} tail --broker {broker} --id {stream} > {}",
        file.display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]);
    let outcome = Tool::start_command(command).wait();
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let there = length(&file);
    assert!(there > 0 && there < 2 << 20, "{there}");
    let told = format!("{stream} is in the output up to offset {there} ");
    assert!(outcome.stderr.contains(&told), "{there}: {}", outcome.stderr);
    assert!(
        outcome.stderr.contains(&format!("--id {stream} --from {there}`")),
        "{}",
        outcome.stderr
    );
    let bytes = std::fs::read(&file).expect("the file can be read");
    assert!(bytes == pattern.bytes(0, there as usize));

    let mut command = Tool::command();
    command.args(["tail", "--broker", &broker, "--id", &stream]);
    command.stdout(File::create("/dev/full").expect("the system has it"));
    let outcome = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("up to offset 0 ") && stderr.contains("No space left"), "{stderr}");
}

#[test]
fn a_state_file_keeps_the_offset_across_runs_however_they_end() {
    let server = TestServer::start();
    let broker = server.broker();
    let pattern = Pattern::new(78);
    let (mut writer, stream) = stream_with(&server, &pattern.bytes(0, 1000));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, state) = (folder.path().join("out"), folder.path().join("state"));
    let state_text = state.to_str().expect("a path in UTF-8");
    let args = ["--broker", &broker, "--type", "T", "--state", state_text];
    let saved = || -> Option<Value> { serde_json::from_slice(&std::fs::read(&state).ok()?).ok() };
    let mut offset = 1000;
    for name in ["INT", "TERM", "KILL"] {
        let mut tail = tail_into(&file, true, &args).spawn().expect("it starts");
        offset += 500;
        assert_eq!(writer.write(&stream, &pattern.bytes(offset - 500, 500)), 0);
        wait_until(PATIENCE, "the bytes are there", || length(&file) == offset);
        if name == "KILL" {
            wait_until(PATIENCE, "and the file says so", || {
                saved().is_some_and(|kept| kept["offset"] == json!(offset))
            });
        }
        crate::support::signal::send_signal(&tail, name);
        tail.wait().expect("a child");
        let kept = saved().expect("a state");
        assert_eq!((&kept["stream"], &kept["offset"]), (&json!(stream), &json!(offset)), "{kept}");
    }
    assert_eq!(writer.write(&stream, &pattern.bytes(offset, 500)), 0);
    assert_eq!(writer.streams("eos", &[&quoted(&stream)]), 0);
    let ended = tail_into(&file, true, &args).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(length(&file), offset + 500);
    assert!(std::fs::read(&file).expect("a file") == pattern.bytes(0, (offset + 500) as usize));

    // An output that lacks what the state claims, another stream and another type are refused.
    let refused = |file: &Path, append: bool, more: &[&str], why: &str| {
        let all = [&["--broker", &broker, "--state", state_text], more].concat();
        let outcome = tail_into(file, append, &all).output().expect("it runs");
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        assert_eq!(outcome.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    };
    refused(&file, true, &["--id", "VS999"], "not of VS999");
    refused(&file, true, &["--type", "Other"], "of type T, not Other");
    refused(&file, false, &[], ">> instead of >");
    std::fs::write(&state, "hello").expect("a file");
    refused(&file, true, &[], "not a state of weir tail");
}

#[test]
fn a_state_of_a_broker_that_was_restarted_is_refused() {
    let mut server = TestServer::start();
    let (writer, stream) = stream_with(&server, b"old");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, state) = (folder.path().join("out"), folder.path().join("state"));
    let broker = server.broker();
    let args = ["--broker", &broker, "--state", state.to_str().expect("a path in UTF-8")];
    let mut tail = tail_into(&file, true, &args).spawn().expect("it starts");
    wait_until(PATIENCE, "the bytes are there", || length(&file) == 3);
    crate::support::signal::send_signal(&tail, "INT");
    tail.wait().expect("a child");
    drop(writer);
    server.terminate();
    let again = server.start_again();
    let (_writer, same) = stream_with(&again, b"other bytes");
    assert_eq!(same, stream, "the IDs begin again");
    let outcome = tail_into(&file, true, &args).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!((outcome.status.code(), length(&file)), (Some(1), 3), "{stderr}");
    assert!(stderr.contains("restarted"), "{stderr}");
}
