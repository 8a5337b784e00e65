//! The memory that sockets are read into.
//!
//! One buffer serves all connections of a worker, one after the other, as long as nobody keeps a
//! part of it. Large data is kept where it was received; its buffer comes back when it is gone.

use bytes::{Bytes, BytesMut};

use crate::worker::budget::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS_MAX};

/// Hands out one buffer at a time.
///
/// Of the buffers that are free the one remembered first is taken, so that as few as possible are
/// in use and what lies in them is still in the processor's cache when it is sent.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffers {
    /// Buffers of which a part was kept when they came back.
    lent: Vec<Bytes>,
    spare: Option<BytesMut>,
}

impl ReceiveBuffers {
    /// A buffer of [`RECEIVE_BUFFER_BYTES`], its contents anything.
    pub(crate) fn take(&mut self) -> BytesMut {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        for slot in &mut self.lent {
            if slot.is_unique() {
                match std::mem::take(slot).try_into_mut() {
                    Ok(buffer) => return buffer,
                    Err(kept) => *slot = kept,
                }
            }
        }
        BytesMut::zeroed(RECEIVE_BUFFER_BYTES)
    }

    /// Takes a buffer back, whoever keeps a part of it.
    pub(crate) fn give_back(&mut self, buffer: Bytes) {
        match buffer.try_into_mut() {
            Ok(buffer) => self.spare = Some(buffer),
            Err(kept) => {
                if let Some(free) = self.lent.iter().position(Bytes::is_empty) {
                    self.lent[free] = kept;
                } else if self.lent.len() < RECEIVE_BUFFERS_MAX {
                    self.lent.push(kept);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_buffer_is_at_least_a_quarter_of_it() {
        assert_eq!(crate::wire::WireLimits::default().kept_bytes_min * 4, RECEIVE_BUFFER_BYTES);
    }

    #[test]
    fn a_buffer_of_which_nothing_is_kept_serves_again() {
        let mut buffers = ReceiveBuffers::default();
        let first = buffers.take();
        let place = first.as_ptr();
        buffers.give_back(first.freeze());
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, RECEIVE_BUFFER_BYTES));
    }

    #[test]
    fn what_is_kept_stays_and_its_buffer_comes_back_behind_it() {
        let mut buffers = ReceiveBuffers::default();
        let mut first = buffers.take();
        first[..4].copy_from_slice(b"kept");
        let (place, first) = (first.as_ptr(), first.freeze());
        let kept = first.slice(..4);
        buffers.give_back(first);
        let mut second = buffers.take();
        second.fill(0);
        assert_eq!(&kept[..], b"kept");
        drop(kept);
        let third = buffers.take();
        assert_eq!((third.as_ptr(), third.len()), (place, RECEIVE_BUFFER_BYTES));
    }

    #[test]
    fn the_free_buffer_remembered_first_is_taken_first() {
        let mut buffers = ReceiveBuffers::default();
        let mut kept: Vec<Bytes> = (0..4)
            .map(|_| {
                let buffer = buffers.take().freeze();
                let part = buffer.slice(..1);
                buffers.give_back(buffer);
                part
            })
            .collect();
        let places: Vec<_> = kept.iter().map(|part| part.as_ptr()).collect();
        kept.truncate(1);
        let taken: Vec<_> = (0..3).map(|_| buffers.take()).collect();
        let taken: Vec<_> = taken.iter().map(|buffer| buffer.as_ptr()).collect();
        assert_eq!(taken, places[1..]);
        assert!(!places.contains(&buffers.take().as_ptr()));
    }

    #[test]
    fn no_more_buffers_are_remembered_than_the_bound() {
        let mut buffers = ReceiveBuffers::default();
        let mut kept = Vec::new();
        for _ in 0..=RECEIVE_BUFFERS_MAX {
            let buffer = buffers.take().freeze();
            kept.push(buffer.slice(..1));
            buffers.give_back(buffer);
            assert!(buffers.lent.len() <= RECEIVE_BUFFERS_MAX);
        }
        assert_eq!(buffers.lent.len(), RECEIVE_BUFFERS_MAX);
    }
}
