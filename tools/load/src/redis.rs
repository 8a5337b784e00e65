//! Redis, publish and subscribe: a Redis channel is a stream.

use std::net::SocketAddr;
use std::ops::Range;

use weir::bench::{BenchError, Intake, Opened, Plan, Protocol, Tally};

use crate::dialog::Dialog;
use crate::framed::Frames;

/// A Redis server under load.
#[derive(Clone, Copy, Debug)]
pub struct Redis {
    /// The server.
    pub address: SocketAddr,
}

impl Protocol for Redis {
    fn acknowledges(&self) -> bool {
        true
    }

    fn open_publisher(&mut self, plan: &Plan, _: Range<usize>) -> Result<Opened, BenchError> {
        let mut dialog = Dialog::connect(self.address)?;
        dialog.say(b"PING\r\n")?;
        dialog.hear(b"+PONG\r\n")?;
        // It tells how many subscribers got the message.
        let reply = format!(":{}\r\n", plan.readers).into_bytes();
        Ok(dialog.into_opened(Box::new(Replies { reply, write_bytes: plan.write_bytes as u64 })))
    }

    fn open_reader(&mut self, plan: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let mut dialog = Dialog::connect(self.address)?;
        let name = name(streams.start);
        let length = name.len();
        dialog.say(format!("SUBSCRIBE {name}\r\n").as_bytes())?;
        dialog.hear(format!("\r\n$9\r\nsubscribe\r\n${length}\r\n{name}\r\n:1\r\n").as_bytes())?;
        let front =
            format!("*3\r\n$7\r\nmessage\r\n${length}\r\n{name}\r\n${}\r\n", plan.write_bytes);
        Ok(dialog.into_opened(Box::new(Frames::new(front, plan.write_bytes, b"\r\n"))))
    }

    fn encode_write(&self, stream: usize, _: usize, payload: &[u8], out: &mut Vec<u8>) {
        let name = name(stream);
        let (length, bytes) = (name.len(), payload.len());
        let head = format!("*3\r\n$7\r\nPUBLISH\r\n${length}\r\n{name}\r\n${bytes}\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
}

fn name(stream: usize) -> String {
    format!("load{stream}")
}

/// Replies to `PUBLISH`: so many subscribers got it.
struct Replies {
    reply: Vec<u8>,
    write_bytes: u64,
}

impl Intake for Replies {
    fn take(&mut self, input: &[u8], tally: &mut Tally<'_>) -> Result<usize, BenchError> {
        let replies = input.chunks_exact(self.reply.len());
        let count = replies.len();
        if replies.into_iter().any(|reply| reply != self.reply) {
            let front = &input[..input.len().min(80)];
            return Err(BenchError::Misbehaved(front.escape_ascii().to_string()));
        }
        if count > 0 {
            tally.advance(0, count as u64 * self.write_bytes);
        }
        Ok(count * self.reply.len())
    }
}
