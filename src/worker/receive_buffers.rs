//! The memory that sockets are read into.
//!
//! One buffer serves all connections of a worker, one after the other, as long as nobody keeps a
//! part of it. Large data is kept where it was received; its buffer comes back when it is gone.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::worker::budget::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS_MAX};

/// Hands out one buffer at a time.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffers {
    /// Buffers of which a part was kept when they came back, oldest first.
    lent: VecDeque<Bytes>,
    spare: Option<BytesMut>,
}

impl ReceiveBuffers {
    /// A buffer of [`RECEIVE_BUFFER_BYTES`], its contents anything.
    pub(crate) fn take(&mut self) -> BytesMut {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // The oldest is the likeliest to be free; a second look pays where one reader is slow.
        for _ in 0..self.lent.len().min(2) {
            let Some(buffer) = self.lent.pop_front() else { break };
            match buffer.try_into_mut() {
                Ok(buffer) => return buffer,
                Err(kept) => self.lent.push_back(kept),
            }
        }
        BytesMut::zeroed(RECEIVE_BUFFER_BYTES)
    }

    /// Takes a buffer back, whoever keeps a part of it.
    pub(crate) fn give_back(&mut self, buffer: Bytes) {
        match buffer.try_into_mut() {
            Ok(buffer) => self.spare = Some(buffer),
            Err(kept) => {
                if self.lent.len() == RECEIVE_BUFFERS_MAX {
                    self.lent.pop_front();
                }
                self.lent.push_back(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_buffer_is_at_least_a_quarter_of_it() {
        assert_eq!(crate::wire::Limits::default().kept_bytes_min * 4, RECEIVE_BUFFER_BYTES);
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
