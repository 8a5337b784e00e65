//! The replies of the data path, each put together in one piece.

use bytes::Bytes;

use crate::wire::{MessageWriter, Output, Plain};

const ESC: u8 = 3;

/// Bytes of a success's framing and fields besides its token.
const SUCCESS_BYTES: usize = 6;

/// Bytes before the data of a read reply besides the token: `R`, its NULs, `(N)`, BIN and its
/// length.
const READ_HEAD_BYTES_MAX: usize = 40;

/// Behind the data of a read reply from which nothing is missing and behind which more may come:
/// the NULs of the data and of the empty error report, lost size, end of stream, EOM.
const READ_END: &[u8] = b"\0\x000\0false\0\x03\x01";

/// Text of a bounded size, on the stack.
struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const EMPTY: Text<N> = Text { bytes: [0; N], len: 0 };

    #[inline]
    fn push(&mut self, text: &[u8]) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Whether a token is as those of deployed peers are: short, and without a byte to escape.
#[inline]
fn is_plain(token: &[u8]) -> bool {
    token.len() <= Plain::TOKEN_BYTES_MAX && !token.contains(&ESC)
}

/// A whole reply that says no more than success.
#[inline]
pub fn success(output: &mut Output, token: &[u8]) {
    if !is_plain(token) {
        return MessageWriter::reply(output, false, token).error(None).end();
    }
    let mut reply = Text::<{ SUCCESS_BYTES + Plain::TOKEN_BYTES_MAX }>::EMPTY;
    reply.push(b"R\0");
    reply.push(token);
    reply.push(b"\0\0\x03\x01");
    output.put_slice(reply.as_slice());
}

/// A whole reply to `Streams.read` that carries `pieces`, to a peer with `ZeroCopy`.
pub fn read(output: &mut Output, token: &[u8], pieces: &[Bytes], lost: u64, eos: bool) {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    if !is_plain(token) || length == 0 || lost > 0 || eos {
        let reply = MessageWriter::reply(output, true, token).binary(pieces).error(None);
        return reply.integer(lost).boolean(eos).end();
    }
    let mut head = Text::<{ READ_HEAD_BYTES_MAX + Plain::TOKEN_BYTES_MAX }>::EMPTY;
    head.push(b"R\0");
    head.push(token);
    head.push(b"\0(");
    head.push(itoa::Buffer::new().format(length).as_bytes());
    head.push(b")\x03\x03");
    let mut rest = length;
    while rest > 0x7f {
        head.push(&[rest as u8 & 0x7f | 0x80]);
        rest >>= 7;
    }
    head.push(&[rest as u8]);
    output.put_slice(head.as_slice());
    for piece in pieces {
        output.put_shared(piece.clone());
    }
    output.put_slice(READ_END);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Output)) -> Vec<u8> {
        let mut output = Output::default();
        write(&mut output);
        output.to_vec()
    }

    #[test]
    fn they_are_what_the_writer_would_write() {
        for token in [&b""[..], b"1", b"4294967295", &[b'9'; 22], &[b'9'; 23], b"a\x03b", b"\0"] {
            let general = written(|output| {
                MessageWriter::reply(output, true, token).error(None).end();
            });
            assert_eq!(written(|output| success(output, token)), general);
            for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
                let data = Bytes::from(vec![b'x'; length]);
                let pieces = [data.slice(..length / 2), data.slice(length / 2..)];
                for (lost, eos) in [(0, false), (7, false), (0, true)] {
                    let general = written(|output| {
                        let reply = MessageWriter::reply(output, true, token).binary(&pieces);
                        reply.error(None).integer(lost).boolean(eos).end();
                    });
                    let plain = written(|output| read(output, token, &pieces, lost, eos));
                    assert!(plain == general, "{token:?}, {length} bytes");
                }
            }
        }
    }
}
