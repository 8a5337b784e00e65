//! Base64 as TCF peers read and write it: the standard alphabet with padding. Several padded runs
//! may stand behind each other.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurposeConfig, PAD};
use bytes::Bytes;
use memchr::memchr;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Base64 = base64::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Base64 = base64::engine::GeneralPurpose;

/// Like the reference, takes a last character whose unused bits are not zero.
const CONFIG: GeneralPurposeConfig = PAD.with_decode_allow_trailing_bits(true);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64: LazyLock<Base64> = LazyLock::new(|| Base64::standard(CONFIG));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64: LazyLock<Base64> =
    LazyLock::new(|| Base64::new(&base64::alphabet::STANDARD, CONFIG));

/// Where text is not base64.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Bytes in front that are sound groups of four.
    pub(crate) position: usize,
    /// The group there begins with a character that no group has: to the reference that ends the
    /// data, and what follows should have been the quote.
    pub(crate) is_between_groups: bool,
}

/// Decodes `text`, what stands between the quotes.
pub(crate) fn decode(text: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut decoded = Vec::new();
    // Nearly always all is one run. Only where it is not is the padding looked for.
    if decode_run(text, &mut decoded) {
        return Ok(decoded);
    }
    decoded.clear();
    let mut position = 0;
    while position < text.len() {
        let rest = &text[position..];
        // One run goes to the end of the group that has its padding.
        let run = match memchr(b'=', rest) {
            Some(at) => &rest[..(at | 3).saturating_add(1).min(rest.len())],
            None => rest,
        };
        if !decode_run(run, &mut decoded) {
            return Err(fault(text, position));
        }
        position += run.len();
    }
    Ok(decoded)
}

/// Appends what `run` stands for to `decoded`, whose capacity stays exact where there is one run.
fn decode_run(run: &[u8], decoded: &mut Vec<u8>) -> bool {
    if !run.len().is_multiple_of(4) {
        return false;
    }
    let padding = run.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let start = decoded.len();
    let length = run.len() / 4 * 3 - padding;
    if start == 0 {
        *decoded = vec![0; length];
    } else {
        decoded.resize(start + length, 0);
    }
    BASE64.decode_slice(run, &mut decoded[start..]).is_ok()
}

/// Finds what is wrong in `text`, which is sound before `position`.
fn fault(text: &[u8], mut position: usize) -> Stop {
    let is_symbol = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    loop {
        let group = &text[position..text.len().min(position + 4)];
        if !group.first().is_some_and(is_symbol) {
            return Stop { position, is_between_groups: true };
        }
        let is_sound = match group {
            [_, second, b'=', b'='] => is_symbol(second),
            [_, second, third, b'='] => is_symbol(second) && is_symbol(third),
            [_, _, _, _] => group.iter().all(is_symbol),
            _ => false,
        };
        if !is_sound {
            return Stop { position, is_between_groups: false };
        }
        position += 4;
    }
}

/// Characters that `bytes` bytes make.
pub(crate) fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Encodes the pieces as if they were one into `out`, which has exactly the length for it. Up to
/// two bytes are carried from a piece to the next, nothing else is copied.
pub(crate) fn encode(pieces: &[Bytes], mut out: &mut [u8]) {
    let mut carry = [0; 3];
    let mut carried = 0;
    for piece in pieces {
        let mut piece = &piece[..];
        while carried > 0 && carried < 3 && !piece.is_empty() {
            carry[carried] = piece[0];
            carried += 1;
            piece = &piece[1..];
        }
        if carried == 3 {
            out = encode_run(&carry, out);
            carried = 0;
        }
        let (whole, tail) = piece.split_at(piece.len() / 3 * 3);
        out = encode_run(whole, out);
        if carried == 0 {
            carry[..tail.len()].copy_from_slice(tail);
            carried = tail.len();
        }
    }
    out = encode_run(&carry[..carried], out);
    debug_assert!(out.is_empty(), "`out` is as long as what is encoded");
}

fn encode_run<'o>(run: &[u8], out: &'o mut [u8]) -> &'o mut [u8] {
    let length = BASE64.encode_slice(run, out).expect("`out` has room for what is encoded");
    &mut out[length..]
}
