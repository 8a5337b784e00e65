//! NATS, core publish and subscribe: a subject is a stream.

use std::net::SocketAddr;
use std::ops::Range;

use weir::bench::{BenchError, Intake, Opened, Plan, Protocol, Tally};

use crate::dialog::Dialog;
use crate::framed::Frames;

const CONNECT: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"lang\":\"load\",\"version\":\"0\"}\r\n";
/// The server answers it when it has done everything before.
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// A NATS server under load.
#[derive(Clone, Copy, Debug)]
pub struct Nats {
    /// The server.
    pub address: SocketAddr,
}

impl Protocol for Nats {
    fn acknowledges(&self) -> bool {
        false
    }

    fn open_publisher(&mut self, _: &Plan, _: Range<usize>) -> Result<Opened, BenchError> {
        Ok(greet(self.address)?.into_opened(Box::new(Silence)))
    }

    fn open_reader(&mut self, plan: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let mut dialog = greet(self.address)?;
        let subject = subject(streams.start);
        dialog.say(format!("SUB {subject} 1\r\nPING\r\n").as_bytes())?;
        dialog.hear(PONG)?;
        let front = format!("MSG {subject} 1 {}\r\n", plan.write_bytes);
        Ok(dialog.into_opened(Box::new(Frames::new(front, plan.write_bytes, b"\r\n"))))
    }

    fn encode_write(&self, stream: usize, _: usize, payload: &[u8], out: &mut Vec<u8>) {
        let head = format!("PUB {} {}\r\n", subject(stream), payload.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
}

fn subject(stream: usize) -> String {
    format!("load{stream}")
}

fn greet(address: SocketAddr) -> Result<Dialog, BenchError> {
    let mut dialog = Dialog::connect(address)?;
    dialog.hear(b"\r\n")?;
    dialog.say(CONNECT)?;
    dialog.say(PING)?;
    dialog.hear(PONG)?;
    Ok(dialog)
}

/// A publisher is told nothing but trouble.
struct Silence;

impl Intake for Silence {
    fn take(&mut self, input: &[u8], _: &mut Tally<'_>) -> Result<usize, BenchError> {
        Err(BenchError::Misbehaved(input.escape_ascii().to_string()))
    }
}
