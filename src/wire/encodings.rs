//! Base64 of the same bytes for several readers, made once.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::wire::base64_text;

/// Encodings remembered at once. Readers of one stream are answered one after the other, each with
/// as many replies as it had reads waiting; these are the replies that the next may share.
const ENCODINGS_MAX: usize = 16;

/// Data of fewer bytes is encoded where it goes: that costs less than to look for it.
const SHARED_BYTES_MIN: usize = 1024;

/// What has been encoded lately. To be cleared once a turn, so that it keeps no memory for long.
#[derive(Debug, Default)]
pub struct Encodings {
    /// What was encoded, and the text in its quotes. The pieces are held, so that no other memory
    /// can come to lie at their places.
    recent: VecDeque<(Vec<Bytes>, Bytes)>,
}

impl Encodings {
    /// The pieces as one base64 string in quotes; `None` where they are too short to share.
    pub fn quoted(&mut self, pieces: &[Bytes]) -> Option<Bytes> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if length < SHARED_BYTES_MIN {
            return None;
        }
        if let Some((_, text)) = self.recent.iter().find(|(known, _)| are_same(known, pieces)) {
            return Some(text.clone());
        }
        let mut text = vec![0; base64_text::encoded_len(length) + 2];
        let last = text.len() - 1;
        (text[0], text[last]) = (b'"', b'"');
        base64_text::encode(pieces, &mut text[1..last]);
        let text = Bytes::from(text);
        if self.recent.len() == ENCODINGS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((pieces.to_vec(), text.clone()));
        Some(text)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.recent.clear();
    }
}

/// Whether both are the same memory, which is never written again.
fn are_same(known: &[Bytes], pieces: &[Bytes]) -> bool {
    let place = |bytes: &Bytes| (bytes.as_ptr(), bytes.len());
    known.len() == pieces.len() && known.iter().map(place).eq(pieces.iter().map(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_encoded_once() {
        let data = Bytes::from(vec![7; 3 * SHARED_BYTES_MIN]);
        let pieces = [data.slice(..1000), data.slice(1000..)];
        let mut encodings = Encodings::default();
        let first = encodings.quoted(&pieces).unwrap();
        let again = encodings.quoted(&pieces.clone()).unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr());
        let other = encodings.quoted(&[data.slice(1..)]).unwrap();
        assert_eq!(other.len(), (3 * SHARED_BYTES_MIN - 1).div_ceil(3) * 4 + 2);
        encodings.clear();
        let again = encodings.quoted(&pieces).unwrap();
        assert_ne!(first.as_ptr(), again.as_ptr());
        assert_eq!(first, again);
        assert!(first.starts_with(b"\"BwcH") && first.ends_with(b"BwcH\""));
    }

    #[test]
    fn few_bytes_are_not_shared() {
        let data = Bytes::from(vec![7; SHARED_BYTES_MIN]);
        let mut encodings = Encodings::default();
        assert!(encodings.quoted(&[data.slice(1..)]).is_none());
        assert!(encodings.quoted(&[data]).is_some());
    }

    #[test]
    fn no_more_are_remembered_than_the_bound() {
        let mut encodings = Encodings::default();
        for _ in 0..=ENCODINGS_MAX {
            encodings.quoted(&[Bytes::from(vec![7; SHARED_BYTES_MIN])]);
        }
        assert_eq!(encodings.recent.len(), ENCODINGS_MAX);
    }
}
