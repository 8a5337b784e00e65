//! A run of bytes in several pieces, without a copy.

use bytes::Bytes;

/// Consecutive pieces of one stream. Most runs have one piece, which costs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks(Inner);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Inner {
    #[default]
    None,
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Chunks {
    /// No bytes.
    pub const EMPTY: Chunks = Chunks(Inner::None);

    /// Appends a piece; an empty one is dropped.
    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        match &mut self.0 {
            Inner::None => self.0 = Inner::One(piece),
            Inner::One(first) => self.0 = Inner::Many(vec![std::mem::take(first), piece]),
            Inner::Many(pieces) => pieces.push(piece),
        }
    }

    /// The pieces in order.
    pub fn as_slice(&self) -> &[Bytes] {
        match &self.0 {
            Inner::None => &[],
            Inner::One(piece) => std::slice::from_ref(piece),
            Inner::Many(pieces) => pieces,
        }
    }

    /// The same, to be replaced by others as long.
    pub(super) fn as_mut_slice(&mut self) -> &mut [Bytes] {
        match &mut self.0 {
            Inner::None => &mut [],
            Inner::One(piece) => std::slice::from_mut(piece),
            Inner::Many(pieces) => pieces,
        }
    }

    /// The count of bytes.
    pub fn len(&self) -> usize {
        self.as_slice().iter().map(Bytes::len).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Inner::None)
    }

    /// One contiguous copy.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_slice().concat()
    }
}

impl From<Bytes> for Chunks {
    fn from(piece: Bytes) -> Chunks {
        let mut chunks = Chunks::EMPTY;
        chunks.push(piece);
        chunks
    }
}

impl IntoIterator for Chunks {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        match self.0 {
            Inner::None => Vec::new().into_iter(),
            Inner::One(piece) => vec![piece].into_iter(),
            Inner::Many(pieces) => pieces.into_iter(),
        }
    }
}
