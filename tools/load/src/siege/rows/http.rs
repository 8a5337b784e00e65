//! HTTP clients that take a connection and leave it at that.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Row, stats};
use crate::siege::peer::{Peer, zeros};
use crate::siege::{Siege, now};

/// What `/healthz` may take.
const HEALTH_MAX: Duration = Duration::from_secs(1);

pub(super) const ROWS: &[Row] = &[
    Row::new("http-idle", "128 idle HTTP connections", |siege, _| idle(siege, b"")),
    Row::new("http-half", "128 half-sent requests", |siege, _| {
        idle(siege, b"GET /stats HTTP/1.1\r\nHost: loc")
    }),
    Row::new("http-kept", "128 kept-alive connections", |siege, _| {
        idle(siege, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }),
    Row::new("http-uploads", "128 uploads that stop half-way", |siege, _| {
        idle(
            siege,
            b"POST /streams?type=Half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\nhalf",
        )
    }),
    Row::new("http-tails", "128 tails that nobody reads, a busy writer", tails),
    Row { files: Some(256), ..Row::new("http-emfile", "no file descriptor left", emfile) },
    Row::new("http-half-close", "clients that half-close, GET and POST", half_close),
];

/// Every answer of a burst of questions, the longest wait.
fn ask_health(siege: &mut Siege, what: &'static str) {
    let from = now();
    let answer = siege.broker.http("GET /healthz", Duration::from_secs(10));
    let took = from.elapsed();
    let holds = answer.is_ok_and(|(status, _)| status == 200) && took <= HEALTH_MAX;
    let bound = format!("<= {} s", HEALTH_MAX.as_secs());
    let measured = format!("{} ms{}", took.as_millis(), if holds { "" } else { ", no answer" });
    siege.demand(what, measured, bound, holds);
}

fn idle(siege: &mut Siege, words: &[u8]) -> Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..128 {
        let mut socket = TcpStream::connect_timeout(&siege.broker.http, Duration::from_secs(5))?;
        socket.write_all(words)?;
        sockets.push(socket);
    }
    siege.wait(Duration::from_millis(500));
    ask_health(siege, "/healthz");
    drop(sockets);
    Ok(())
}

fn tails(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut writer = siege.peer()?;
    let stream = writer.create("Tailed", &json!({"BufferSize": 4 << 20}))?;
    let mut sockets = Vec::new();
    for _ in 0..128 {
        sockets.push(siege.broker.ask(&format!("GET /streams/{stream}/tail"))?);
    }
    let size = 48 << 10;
    let text = zeros(size);
    let mut worst = Duration::ZERO;
    for _ in 0..siege.scaled(2_000) {
        let from = now();
        let token = writer.queue_write(&stream, size, &text);
        writer.flush()?;
        writer.reply(&token)?;
        worst = worst.max(from.elapsed());
    }
    let measured = format!("{} ms", worst.as_millis());
    siege.demand("write worst", measured, "<= 500 ms", worst <= Duration::from_millis(500));
    ask_health(siege, "/healthz");
    drop(sockets);
    Ok(())
}

fn emfile(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let mut peers = Vec::new();
    for _ in 0..300 {
        // The kernel completes connections that the broker has not accepted.
        peers.push(Peer::connect(siege.broker.address)?);
    }
    siege.wait(Duration::from_millis(500));
    ask_health(siege, "/healthz");
    drop(peers);
    siege.wait(Duration::from_millis(500));
    ask_health(siege, "after");
    Ok(())
}

fn half_close(siege: &mut Siege, _: Vec<Peer>) -> Result<()> {
    let get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = b"POST /streams?type=HalfClosed HTTP/1.1\r\nHost: localhost\r\n\
        Content-Length: 5\r\n\r\nhello";
    for (what, words) in [("GET", &get[..]), ("POST", &post[..])] {
        let mut socket = TcpStream::connect_timeout(&siege.broker.http, Duration::from_secs(5))?;
        socket.write_all(words)?;
        socket.shutdown(Shutdown::Write)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut answer = Vec::new();
        // What came before an error counts.
        let _ = socket.read_to_end(&mut answer);
        let status = String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned();
        siege.demand(what, &status, "2xx", status.starts_with('2'));
    }
    let totals = stats(siege, "?top=1")?;
    let text = totals["totals"]["accepted_bytes"].as_u64().context("accepted_bytes")?;
    siege.note("accepted bytes", text);
    Ok(())
}
