//! The replies of the data path, each put together in one piece.

use bytes::Bytes;

use crate::wire::writer::each_varint_byte;
use crate::wire::{Output, PlainToken};

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

/// A whole reply that says no more than success.
#[inline]
pub fn success(output: &mut Output, token: PlainToken<'_>) {
    let mut reply = Text::<{ SUCCESS_BYTES + PlainToken::BYTES_MAX }>::EMPTY;
    reply.push(b"R\0");
    reply.push(token.as_bytes());
    reply.push(b"\0\0\x03\x01");
    output.put_slice(reply.as_slice());
}

/// A whole reply to `Streams.read` that carries `pieces`, which hold bytes, and says that nothing
/// is missing and that more may come; to a peer with `ZeroCopy`.
pub fn read(output: &mut Output, token: PlainToken<'_>, pieces: &[Bytes]) {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    debug_assert!(length > 0, "no bytes are `null`");
    let mut head = Text::<{ READ_HEAD_BYTES_MAX + PlainToken::BYTES_MAX }>::EMPTY;
    head.push(b"R\0");
    head.push(token.as_bytes());
    head.push(b"\0(");
    head.push(itoa::Buffer::new().format(length).as_bytes());
    head.push(b")\x03\x03");
    each_varint_byte(length, |byte| head.push(&[byte]));
    output.put_slice(head.as_slice());
    for piece in pieces {
        output.put_shared(piece.clone());
    }
    output.put_slice(READ_END);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::MessageWriter;

    fn written(write: impl FnOnce(&mut Output)) -> Vec<u8> {
        let mut output = Output::default();
        write(&mut output);
        output.to_vec()
    }

    #[test]
    fn they_are_what_the_writer_would_write() {
        for token in [&b""[..], b"1", b"4294967295", &[b'9'; 22], b"\x01 x"] {
            let plain = PlainToken::new(token).unwrap();
            let general = written(|output| {
                MessageWriter::reply(output, true, token).error(None).end();
            });
            assert_eq!(written(|output| success(output, plain)), general);
            for length in [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
                let data = Bytes::from(vec![b'x'; length]);
                let pieces = [data.slice(..length / 2), data.slice(length / 2..)];
                let general = written(|output| {
                    let reply = MessageWriter::reply(output, true, token).binary(&pieces);
                    reply.error(None).integer(0).boolean(false).end();
                });
                assert!(written(|output| read(output, plain, &pieces)) == general, "{length}");
            }
        }
    }

    #[test]
    fn tokens_past_the_bound_or_with_an_escape_are_not_plain() {
        assert!(PlainToken::new(&[b'9'; PlainToken::BYTES_MAX]).is_some());
        assert!(PlainToken::new(&[b'9'; PlainToken::BYTES_MAX + 1]).is_none());
        assert!(PlainToken::new(b"a\x03b").is_none());
    }
}
