//! `/metrics` as a strict parser that others wrote reads it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::python_client::script;
use crate::support::http::request;
use crate::support::{PATIENCE, TestServer, Tool, wait_until};

/// Scrapes, and reads the answer with the Python client's OpenMetrics parser.
fn scrape(server: &TestServer) -> Value {
    let mut answer = request(server.http_address(), "GET /metrics", &["Connection: close"]);
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").expect("a type");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    parse(&answer.text(), &[])
}

/// What the Python client's parsers make of a text.
fn parse(text: &str, arguments: &[&str]) -> Value {
    let mut command = script("parse_metrics.py", arguments);
    command.stdin(std::process::Stdio::piped());
    let mut tool = Tool::start_command(command);
    tool.take_stdin().write_all(text.as_bytes()).expect("it reads");
    let outcome = tool.wait();
    assert_eq!(outcome.code, Some(0), "{}\n{text}", outcome.stderr);
    serde_json::from_slice(&outcome.stdout).expect("JSON")
}

/// The sum of a metric's samples with this name and these labels.
fn value(metrics: &Value, sample: &str, labels: &Value) -> f64 {
    let families = metrics.as_object().expect("families").values();
    let samples = families.flat_map(|family| family["samples"].as_array().expect("samples"));
    let wanted: Vec<&Value> = samples
        .filter(|row| {
            let has = |(key, wanted): (&String, &Value)| row[1][key] == *wanted;
            row[0] == sample && labels.as_object().expect("labels").iter().all(has)
        })
        .collect();
    assert!(!wanted.is_empty(), "no {sample} {labels}");
    wanted.iter().map(|row| row[2].as_f64().expect("a number")).sum()
}

fn read_document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).expect("the document is there")
}

/// The words that begin as our metrics do, without what a kind of sample has behind its name.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("weir_") || word.starts_with("process_"));
    let suffixes = ["_total", "_bucket", "_sum", "_count", "_info"];
    ours.map(|word| {
        let bare = suffixes.iter().find_map(|suffix| word.strip_suffix(suffix));
        bare.unwrap_or(word).to_owned()
    })
    .collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let server = TestServer::start();
    let metrics = scrape(&server);
    let there: BTreeSet<String> = metrics.as_object().expect("families").keys().cloned().collect();
    assert_eq!(names_in(&read_document("docs/METRICS.md")), there);
    for example in ["docs/examples/alerts.yml", "docs/examples/grafana.json"] {
        let named = names_in(&read_document(example));
        assert!(!named.is_empty());
        let unknown: Vec<&String> = named.difference(&there).collect();
        assert!(unknown.is_empty(), "{example} names {unknown:?}");
    }
    let dashboard: Value =
        serde_json::from_str(&read_document("docs/examples/grafana.json")).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}

#[test]
fn a_scraper_that_asks_for_plain_text_gets_the_same_numbers() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("Plain", json!({}));
    assert_eq!(writer.write(&stream, &[b'x'; 300]), 0);
    let lines = ["Accept: text/plain; version=0.0.4", "Connection: close"];
    let mut answer = request(server.http_address(), "GET /metrics", &lines);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let plain = parse(&text, &["plain"]);
    let of = |sample: &str| value(&plain, sample, &json!({}));
    assert_eq!((of("weir_ingest_bytes_total"), of("weir_streams")), (300.0, 1.0));
    assert_eq!(of("weir_build_info"), 1.0);
    // The same samples; only kinds and names of families differ.
    let samples = |metrics: &Value| -> BTreeSet<String> {
        let families = metrics.as_object().expect("families").values();
        let rows = families.flat_map(|family| family["samples"].as_array().expect("samples"));
        rows.map(|row| format!("{} {}", row[0], row[1])).collect()
    };
    assert_eq!(samples(&plain), samples(&scrape(&server)));
}

#[test]
fn metrics_agree_with_what_clients_counted() {
    // One worker, so that it is exact what is lost.
    let server = TestServer::start_with(&["--workers", "1"]);
    let mut writer = server.peer();
    let nasty = "quote\" back\\slash\nline {x=\"y\"} \u{3b1}";
    let stream = writer.create(nasty, json!({"BufferSize": 1000, "StallTimeout": 0}));
    let mut viewer = server.peer();
    assert_eq!(viewer.attach(&stream, json!({})).0, 0);
    for _ in 0..10 {
        assert_eq!(writer.write(&stream, &[b'x'; 500]), 0);
    }
    let reply = viewer.read(&stream, 10_000);
    assert_eq!((reply.data.len(), reply.lost), (1000, 4000));
    let mut tail =
        request(server.http_address(), &format!("GET /streams/{stream}/tail?follow=false"), &[]);
    assert_eq!(tail.bytes().len(), 1000);
    let metrics = scrape(&server);
    let of = |sample: &str, labels: Value| value(&metrics, sample, &labels);
    assert_eq!(of("weir_ingest_bytes_total", json!({"type": nasty})), 5000.0);
    let delivered = |front| json!({"type": nasty, "front": front});
    assert_eq!(of("weir_delivered_bytes_total", delivered("tcf")), 1000.0);
    assert_eq!(of("weir_delivered_bytes_total", delivered("http")), 1000.0);
    assert_eq!(of("weir_lost_bytes_total", json!({"type": nasty, "policy": "viewer"})), 4000.0);
    assert_eq!(of("weir_lost_bytes_total", json!({"type": nasty, "policy": "timed"})), 0.0);
    assert_eq!(of("weir_ring_bytes", json!({"type": nasty})), 1000.0);
    assert_eq!(of("weir_reader_lag_bytes_sum", json!({})), 6000.0);
    assert_eq!(of("weir_streams", json!({})), 1.0);
    let stats = server.stats();
    let busy = of("weir_commands_total", json!({}));
    assert!(stats["totals"]["commands"].as_f64().is_some_and(|commands| commands >= busy));
    // What is gone still counts.
    drop((writer, viewer));
    wait_until(PATIENCE, "all is gone", || server.stats()["totals"]["streams"] == 0);
    let metrics = scrape(&server);
    let of = |sample: &str, labels: Value| value(&metrics, sample, &labels);
    assert_eq!(of("weir_ingest_bytes_total", json!({"type": nasty})), 5000.0);
    assert_eq!(of("weir_delivered_bytes_total", json!({})), 2000.0);
    assert_eq!(of("weir_lost_bytes_total", json!({})), 4000.0);
    assert_eq!(of("weir_ring_bytes", json!({})), 0.0);
}

#[test]
fn waiting_writes_and_stalls_are_counted_and_logged() {
    let server = TestServer::start();
    let mut writer = server.peer();
    let stream = writer.create("Stall", json!({"BufferSize": 1000, "StallTimeout": 150}));
    let mut silent = server.peer();
    assert_eq!(silent.attach(&stream, json!({})).0, 0);
    assert_eq!(writer.write(&stream, &[b'x'; 1000]), 0);
    let parked = writer.start_write(&stream, &[b'y'; 400]);
    let metrics = scrape(&server);
    assert_eq!(value(&metrics, "weir_stalls_total", &json!({})), 0.0);
    assert_eq!(writer.code_of(&parked), 0);
    let metrics = scrape(&server);
    let of = |sample: &str, labels: Value| value(&metrics, sample, &labels);
    assert_eq!(of("weir_stalls_total", json!({})), 1.0);
    assert_eq!(of("weir_readers_lagging", json!({})), 1.0);
    assert_eq!(of("weir_parked_write_seconds_count", json!({})), 1.0);
    let waited = of("weir_parked_write_seconds_sum", json!({}));
    assert!((0.1..30.0).contains(&waited), "{waited}");
    assert_eq!(silent.read(&stream, 10_000).lost, 400);
    let peer = silent.local_address().to_string();
    let lines = |text: &str| {
        let log = server.log();
        let found = log.lines().filter(|line| line.contains(text)).map(str::to_owned);
        found.collect::<Vec<String>>()
    };
    wait_until(PATIENCE, "both are logged", || {
        lines("reader stalled").len() == 1 && lines("reader lost bytes").len() == 1
    });
    for line in lines("reader stalled").into_iter().chain(lines("reader lost bytes")) {
        for part in [&stream, &peer, "bytes=", "rule=\"waited for 150ms\"", "--stall-timeout"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

#[test]
fn losses_of_one_reader_are_counted_and_not_repeated_in_the_log() {
    let server = TestServer::start_with(&["--workers", "1", "--log-format", "json"]);
    let mut writer = server.peer();
    let stream = writer.create("Noise", json!({"BufferSize": 100, "StallTimeout": 0}));
    let mut viewer = server.peer();
    assert_eq!(viewer.attach(&stream, json!({})).0, 0);
    for _ in 0..50 {
        for _ in 0..3 {
            assert_eq!(writer.write(&stream, &[b'x'; 100]), 0);
        }
        assert_eq!(viewer.read(&stream, 1000).lost, 200);
    }
    wait_until(PATIENCE, "it is logged", || server.log().contains("reader lost bytes"));
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .filter(|line: &Value| line["message"] == "reader lost bytes")
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert_eq!((&lines[0]["bytes"], &lines[0]["losses"]), (&json!(200), &json!(1)));
    assert_eq!((&lines[0]["stream"], &lines[0]["type"]), (&json!(stream), &json!("Noise")));
}
