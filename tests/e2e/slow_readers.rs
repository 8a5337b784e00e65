//! A reader that is attached and silent.

use serde_json::{Value, json};

use crate::support::{PATIENCE, Pattern, TestServer, Tool, wait_until};

/// The value of every member with this name, anywhere in a JSON value.
pub fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            for (key, member) in object {
                if key.replace('_', "").eq_ignore_ascii_case(name) {
                    found.push(member);
                }
                members(member, name, found);
            }
        }
        Value::Array(array) => array.iter().for_each(|member| members(member, name, found)),
        _ => {}
    }
}

/// The sum of every number with this name in `/stats`; `name` in lower case without underscores.
pub fn stats_sum(server: &TestServer, name: &str) -> u64 {
    let stats = server.stats();
    let mut found = Vec::new();
    members(&stats, name, &mut found);
    assert!(!found.is_empty(), "no {name} in {stats}");
    found.into_iter().filter_map(Value::as_u64).sum()
}

#[test]
fn silent_reader_parks_the_writer_and_costs_no_memory() {
    let server = TestServer::start();
    let broker = server.broker();
    let pattern = Pattern::new(41);
    let total = 24u64 << 20;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("data");
    std::fs::write(&file, pattern.bytes(0, total as usize)).expect("a temporary file");
    let mut silent = server.zero_copy_peer();
    let mut publisher = Tool::start(&[
        "pub",
        "-",
        "--broker",
        &broker,
        "--type",
        "Slow",
        "--stall-timeout",
        "never",
    ]);
    let stream = publisher.told_stream();
    assert_eq!(silent.attach(&stream, json!({})).0, 0);
    let before = server.resident_memory();
    let mut stdin = publisher.take_stdin();
    let feeder = std::thread::spawn(move || {
        let mut file = std::fs::File::open(&file).expect("the file is there");
        std::io::copy(&mut file, &mut stdin).expect("pub reads its input");
    });
    let mut watcher = server.peer();
    wait_until(PATIENCE, "writes are parked", || {
        watcher.listed(&stream).is_some_and(|object| object["ParkedWrites"] != json!(0))
    });
    assert!(stats_sum(&server, "parkedwrites") > 0, "/stats shows them");
    let end = watcher.listed(&stream).expect("it is listed")["End"].as_u64().expect("a number");
    assert!(end <= 1 << 20, "no more than the buffer was taken: {end}");
    // Everything that the broker will ever take of this writer has been taken by now or will be
    // soon: the bound holds at any time.
    let grown = server.resident_memory().saturating_sub(before);
    assert!(grown < 24 << 20, "{} MiB for parked writes", grown >> 20);

    let mut checked = pattern.check_from(0);
    loop {
        let reply = silent.read(&stream, 1 << 20);
        assert_eq!((reply.code, reply.lost), (0, 0));
        checked.take(&reply.data).expect("the right bytes");
        if reply.eos {
            break;
        }
    }
    assert_eq!(checked.offset(), total);
    feeder.join().expect("all was fed");
    assert_eq!(publisher.wait().code, Some(0));
    let peak = server.peak_memory();
    assert!(peak < 100 << 20, "{} MiB of memory", peak >> 20);
}

#[test]
fn silent_reader_is_passed_after_its_time_and_told_its_loss() {
    let server = TestServer::start();
    let broker = server.broker();
    let pattern = Pattern::new(42);
    let total = 6u64 << 20;
    let mut publisher = Tool::start(&[
        "pub",
        "--broker",
        &broker,
        "--type",
        "Slow",
        "--stall-timeout",
        "300ms",
        "--linger",
        "60s",
    ]);
    let stream = publisher.told_stream();
    let mut silent = server.zero_copy_peer();
    assert_eq!(silent.attach(&stream, json!({})).0, 0);
    let args = ["tail", "--broker", &broker, "--id", &stream, "--stall-timeout", "never"];
    let (tail, checked) = Tool::start_checked(&args, pattern.check_from(0));
    let mut watcher = server.peer();
    wait_until(PATIENCE, "both are attached", || {
        watcher.listed(&stream).is_some_and(|object| object["Readers"] == json!(2))
    });
    publisher.type_in(&pattern.bytes(0, total as usize));
    assert_eq!(publisher.wait().code, Some(0));
    let outcome = tail.wait();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(checked.lock().expect("not poisoned").offset(), total, "who reads gets everything");
    let (mut delivered, mut lost) = (0, 0);
    let mut late = pattern.check_from(0);
    loop {
        let reply = silent.read(&stream, 1 << 20);
        assert_eq!(reply.code, 0);
        lost += reply.lost as u64;
        delivered += reply.data.len() as u64;
        late.skip(reply.lost as u64);
        late.take(&reply.data).expect("the right bytes behind the loss");
        if reply.eos {
            break;
        }
    }
    assert_eq!(delivered + lost, total, "{delivered} delivered, {lost} lost");
    assert!(lost > 0);
}

#[test]
fn peer_that_never_reads_its_socket_harms_nobody() {
    let mut server = TestServer::start();
    let mut writer = server.zero_copy_peer();
    let stream = writer.create("Deaf", json!({"StallTimeout": 200, "BufferSize": 1 << 20}));
    let mut deaf = server.zero_copy_peer();
    let mut healthy = server.zero_copy_peer();
    for reader in [&mut deaf, &mut healthy] {
        assert_eq!(reader.attach(&stream, json!({})).0, 0);
    }
    for _ in 0..2000 {
        deaf.start_read(&stream, 1 << 20);
    }
    let pattern = Pattern::new(43);
    let mut checked = pattern.check_from(0);
    let mut offset = 0;
    while offset < 16 << 20 {
        let write = writer.start_write(&stream, &pattern.bytes(offset, 1 << 18));
        offset += 1 << 18;
        while checked.offset() < offset {
            let reply = healthy.read(&stream, 1 << 20);
            assert_eq!((reply.code, reply.lost), (0, 0));
            checked.take(&reply.data).expect("the right bytes");
        }
        assert_eq!(writer.code_of(&write), 0);
    }
    let peak = server.peak_memory();
    assert!(peak < 100 << 20, "{} MiB of memory", peak >> 20);
    server.assert_well();
}

#[test]
fn peer_that_ends_and_never_reads_is_given_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, "[limits]\nlinger_timeout = \"500ms\"\n").expect("a temporary file");
    let path = file.to_str().expect("a path in UTF-8");
    let mut server = TestServer::start_with(&["--workers", "1", "--config", path]);
    let mut writer = server.zero_copy_peer();
    // More than the kernel takes for a socket.
    let stream = writer.create("T", json!({"BufferSize": 48 << 20, "History": 0}));
    let mut deaf = server.zero_copy_peer();
    assert_eq!(deaf.attach(&stream, json!({})).0, 0);
    for _ in 0..48 {
        deaf.start_read(&stream, 1 << 20);
    }
    let data = vec![7; 1 << 20];
    for _ in 0..40 {
        assert_eq!(writer.write(&stream, &data), 0);
    }
    deaf.send_end();
    deaf.finish();
    wait_until(PATIENCE, "the deaf peer is given up", || {
        server.log().contains("gave the channel up at its end")
    });
    wait_until(PATIENCE, "only the writer is left", || {
        server.stats()["totals"]["channels"] == json!(1)
    });
    server.assert_well();
}
