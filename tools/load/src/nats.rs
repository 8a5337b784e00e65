//! NATS, core publish and subscribe: a subject is a stream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use weir::bench::{BenchError, Intake, Opened, Plan, Protocol, Tally};

use crate::dialog::Dialog;
use crate::framed::Frames;

const CONNECT: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"lang\":\"load\",\"version\":\"0\"}\r\n";
/// The server answers it when it has done everything before.
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// The server asks each client for a sign of life two seconds after it came, or a fifth of that
/// later, and then not again in the time of a load. One that has not asked by now is an error.
const FIRST_PING: Duration = Duration::from_secs(10);

/// A NATS server under load.
#[derive(Debug)]
pub struct Nats {
    address: SocketAddr,
    /// Those that the server has not asked yet.
    unasked: Vec<TcpStream>,
}

impl Nats {
    /// The server at this address.
    pub fn new(address: SocketAddr) -> Nats {
        Nats { address, unasked: Vec::new() }
    }

    fn greet(&mut self) -> Result<Dialog, BenchError> {
        let mut dialog = Dialog::connect(self.address)?;
        dialog.hear(b"\r\n")?;
        dialog.say(CONNECT)?;
        dialog.say(PING)?;
        dialog.hear(PONG)?;
        self.unasked.push(dialog.another_handle()?);
        Ok(dialog)
    }
}

impl Protocol for Nats {
    fn acknowledges(&self) -> bool {
        false
    }

    fn open_publisher(&mut self, _: &Plan, _: Range<usize>) -> Result<Opened, BenchError> {
        Ok(self.greet()?.into_opened(Box::new(Silence)))
    }

    fn open_reader(&mut self, plan: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let mut dialog = self.greet()?;
        let subject = subject(streams.start);
        dialog.say(format!("SUB {subject} 1\r\nPING\r\n").as_bytes())?;
        dialog.hear(PONG)?;
        let front = format!("MSG {subject} 1 {}\r\n", plan.write_bytes);
        Ok(dialog.into_opened(Box::new(Frames::new(front, plan.write_bytes, b"\r\n"))))
    }

    /// Lets the server's questions come before the load: in the middle of it nobody looks for them.
    fn opened(&mut self) -> Result<(), BenchError> {
        for mut socket in std::mem::take(&mut self.unasked) {
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(FIRST_PING))?;
            answer_ping(&mut socket)?;
            socket.set_nonblocking(true)?;
        }
        Ok(())
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

/// Waits for the server's first `PING` and answers it.
fn answer_ping(socket: &mut TcpStream) -> Result<(), BenchError> {
    let mut asked = [0; PING.len()];
    socket.read_exact(&mut asked)?;
    if asked != PING {
        return Err(BenchError::Misbehaved(asked.escape_ascii().to_string()));
    }
    Ok(socket.write_all(PONG)?)
}

/// A publisher is told nothing but trouble.
struct Silence;

impl Intake for Silence {
    fn take(&mut self, input: &[u8], _: &mut Tally<'_>) -> Result<usize, BenchError> {
        Err(BenchError::Misbehaved(input.escape_ascii().to_string()))
    }
}
