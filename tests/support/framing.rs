//! TCF framing, both ways: escapes, BIN blocks and the two end markers.

/// The byte that gives the next one a meaning.
pub const ESC: u8 = 3;
/// Behind [`ESC`]: end of message.
pub const EOM: u8 = 1;
/// Behind [`ESC`]: end of stream.
pub const EOS: u8 = 2;

/// What ends where the decoder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A whole message without its framing.
    Message(Vec<u8>),
    /// The end of stream with what stood between it and its EOM.
    End(Vec<u8>),
}

/// Takes bytes in as they come and gives whole units out.
#[derive(Debug, Default)]
pub struct Decoder {
    input: Vec<u8>,
    read: usize,
    body: Vec<u8>,
    block_left: usize,
    ended: bool,
    bin_blocks: u64,
}

impl Decoder {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.input.drain(..self.read);
            self.read = 0;
        }
        self.input.extend_from_slice(bytes);
    }

    /// How many BIN blocks there have been.
    pub fn bin_blocks(&self) -> u64 {
        self.bin_blocks
    }

    /// Whether an EOS was seen whose EOM has not come.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether bytes of an unfinished unit are there.
    pub fn is_mid_unit(&self) -> bool {
        !self.body.is_empty() || self.block_left > 0 || self.read < self.input.len()
    }

    /// The next whole unit, or `None` where more bytes are needed.
    pub fn next_unit(&mut self) -> Result<Option<Unit>, String> {
        loop {
            let rest = &self.input[self.read..];
            if rest.is_empty() {
                return Ok(None);
            }
            if self.block_left > 0 {
                let take = self.block_left.min(rest.len());
                self.body.extend_from_slice(&rest[..take]);
                self.read += take;
                self.block_left -= take;
                continue;
            }
            let plain = rest.iter().position(|&byte| byte == ESC).unwrap_or(rest.len());
            if plain > 0 {
                self.body.extend_from_slice(&rest[..plain]);
                self.read += plain;
                continue;
            }
            match rest.get(1) {
                None => return Ok(None),
                Some(0) => {
                    self.body.push(ESC);
                    self.read += 2;
                }
                Some(&EOM) => {
                    self.read += 2;
                    let body = std::mem::take(&mut self.body);
                    let ended = std::mem::take(&mut self.ended);
                    return Ok(Some(if ended { Unit::End(body) } else { Unit::Message(body) }));
                }
                Some(&EOS) => {
                    self.read += 2;
                    self.body.clear();
                    self.ended = true;
                }
                Some(&ESC) => match decode_varint(&rest[2..])? {
                    None => return Ok(None),
                    Some((size, used)) => {
                        self.read += 2 + used;
                        self.block_left = size;
                        self.bin_blocks += 1;
                    }
                },
                Some(other) => return Err(format!("escape 03 {other:02x}")),
            }
        }
    }
}

/// Reads a little-endian base-128 number: its value and its length. `None` where bytes are missing.
pub fn decode_varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let mut value = 0usize;
    for (index, &byte) in bytes.iter().enumerate() {
        if index == 5 {
            return Err("a BIN length of more than five bytes".to_owned());
        }
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    Ok(None)
}

/// Writes a number in the shortest form.
pub fn encode_varint(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let group = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(group);
            return;
        }
        out.push(group | 0x80);
    }
}

/// Writes bytes with every ESC escaped.
pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == ESC {
            out.push(0);
        }
    }
}

/// Writes bytes as one BIN block.
pub fn bin_block(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[ESC, ESC]);
    encode_varint(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// A whole message in plain framing.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 8);
    escape(body, &mut out);
    out.extend_from_slice(&[ESC, EOM]);
    out
}

mod tests {
    use super::{Decoder, Unit, bin_block, decode_varint, encode_varint, frame};

    #[test]
    fn harness_framing_round_trips_byte_by_byte() {
        let body: Vec<u8> = (0..=255).chain([3, 3, 1, 3, 2, 0]).collect();
        let mut wire = frame(&body);
        bin_block(&body, &mut wire);
        wire.extend_from_slice(&[3, 1, 3, 2, b'x', 3, 1]);
        let mut decoder = Decoder::default();
        let mut units = Vec::new();
        for byte in wire {
            decoder.push(&[byte]);
            while let Some(unit) = decoder.next_unit().expect("well-formed") {
                units.push(unit);
            }
        }
        assert_eq!(
            units,
            [Unit::Message(body.clone()), Unit::Message(body), Unit::End(vec![b'x'])]
        );
    }

    #[test]
    fn harness_varint_takes_padding() {
        let mut out = Vec::new();
        encode_varint(300, &mut out);
        assert_eq!(out, [0xac, 0x02]);
        assert_eq!(decode_varint(&[0x8a, 0x80, 0x00]), Ok(Some((10, 3))));
        assert_eq!(decode_varint(&[0x8a]), Ok(None));
    }
}
