//! MQTT 3.1.1 with quality of service 0: a topic is a stream.

use std::net::SocketAddr;
use std::ops::Range;

use weir::bench::{BenchError, Intake, Opened, Plan, Protocol, Tally};

use crate::dialog::Dialog;
use crate::framed::Frames;

/// Packet types with their flags (MQTT 3.1.1, 2.2.1 and 2.2.2).
const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;

/// The connection is accepted, with no session kept from before (3.2).
const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];
/// Packet 1 is granted quality of service 0 (3.9).
const SUBSCRIBED: &[u8] = &[0x90, 3, 0, 1, 0];

/// An MQTT server under load.
#[derive(Clone, Copy, Debug)]
pub struct Mqtt {
    /// The server.
    pub address: SocketAddr,
}

impl Mqtt {
    fn greet(self) -> Result<Dialog, BenchError> {
        let mut dialog = Dialog::connect(self.address)?;
        // A clean session, no keep-alive, and a client identifier of the server's choice (3.1).
        let mut body = string("MQTT");
        body.extend_from_slice(&[4, 0x02, 0, 0]);
        body.extend_from_slice(&string(""));
        dialog.say(&packet(CONNECT, &body))?;
        dialog.hear(ACCEPTED)?;
        Ok(dialog)
    }
}

impl Protocol for Mqtt {
    fn acknowledges(&self) -> bool {
        false
    }

    fn open_publisher(&mut self, _: &Plan, _: Range<usize>) -> Result<Opened, BenchError> {
        Ok(self.greet()?.into_opened(Box::new(Silence)))
    }

    fn open_reader(&mut self, plan: &Plan, streams: Range<usize>) -> Result<Opened, BenchError> {
        let mut dialog = self.greet()?;
        let topic = topic(streams.start);
        let mut body = vec![0, 1];
        body.extend_from_slice(&string(&topic));
        body.push(0);
        dialog.say(&packet(SUBSCRIBE, &body))?;
        dialog.hear(SUBSCRIBED)?;
        let front = publication(&topic, plan.write_bytes);
        Ok(dialog.into_opened(Box::new(Frames::new(front, plan.write_bytes, b""))))
    }

    fn encode_write(&self, stream: usize, _: usize, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&publication(&topic(stream), payload.len()));
        out.extend_from_slice(payload);
    }
}

fn topic(stream: usize) -> String {
    format!("load{stream}")
}

/// Everything of a publication but its payload (3.3).
fn publication(topic: &str, payload_bytes: usize) -> Vec<u8> {
    let topic = string(topic);
    let mut front = head(PUBLISH, topic.len() + payload_bytes);
    front.extend_from_slice(&topic);
    front
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = head(kind, body.len());
    packet.extend_from_slice(body);
    packet
}

/// The fixed header: the length takes seven bits a byte, the lowest first (2.2.3).
fn head(kind: u8, mut rest_bytes: usize) -> Vec<u8> {
    let mut head = vec![kind];
    loop {
        let low = (rest_bytes & 0x7f) as u8;
        rest_bytes >>= 7;
        if rest_bytes == 0 {
            head.push(low);
            return head;
        }
        head.push(low | 0x80);
    }
}

/// A string with its length in front (1.5.3).
fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("names of a load are short");
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A publisher is told nothing at quality of service 0.
struct Silence;

impl Intake for Silence {
    fn take(&mut self, input: &[u8], _: &mut Tally<'_>) -> Result<usize, BenchError> {
        Err(BenchError::Misbehaved(input.escape_ascii().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_seven_bits_a_byte() {
        assert_eq!(head(PUBLISH, 127), [0x30, 127]);
        assert_eq!(head(PUBLISH, 128), [0x30, 0x80, 1]);
        assert_eq!(head(PUBLISH, 16_384), [0x30, 0x80, 0x80, 1]);
    }

    #[test]
    fn a_publication_counts_its_topic_and_payload() {
        assert_eq!(publication("a/b", 2), b"\x30\x07\x00\x03a/b");
    }
}
