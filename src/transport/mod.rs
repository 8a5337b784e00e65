//! What carries a channel's bytes over a connected socket.
//!
//! The room stands between `net`, which moves bytes, and whoever has bytes to exchange. A transport
//! remembers the readiness of its socket, and may hold bytes of its own in both directions, so two
//! things are asked of it instead of the socket: whether more may come without readiness
//! ([`Transport::may_receive`]), and whether it has something to write by itself
//! ([`Transport::wants_to_write`]). It never looks at what it carries.
//!
//! `plain` hands the bytes through.

mod edges;
mod plain;

use std::io::{self, IoSlice};

pub use edges::{Edges, Readiness};
pub use plain::Plain;

/// What came of receiving.
#[derive(Debug)]
pub enum Received {
    /// So many bytes, at least one.
    Bytes(usize),
    /// None are there now.
    Nothing,
    /// The peer's end.
    End,
    /// The connection is broken.
    Broken(io::Error),
}

/// Carries bytes between two ends and never blocks.
///
/// Readiness is edge-triggered: it is told once, to [`Transport::note`], and the transport goes by
/// it until a call shows that it is over.
pub trait Transport {
    /// Takes note of what the poller says of the socket.
    fn note(&mut self, readiness: Readiness);

    /// Receives into the slices, in order.
    fn receive(&mut self, slices: &mut [&mut [u8]]) -> Received;

    /// Whether [`Transport::receive`] may bring something without further readiness. Whoever stops
    /// receiving while this holds must come again by itself.
    fn may_receive(&self) -> bool;

    /// Takes bytes of the slices, in order, and says how many. It may have sent them, or hold them.
    ///
    /// # Errors
    /// The connection is broken. What came before may still be received.
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether [`Transport::send`] may take something without further readiness. Receiving can make
    /// it so, where the two ends must agree on something first.
    fn may_send(&self) -> bool;

    /// Whether it holds bytes that [`Transport::flush`] may bring on their way now. Receiving and
    /// finishing can make it so.
    fn wants_to_write(&self) -> bool;

    /// Writes what it holds, as far as the kernel takes it.
    ///
    /// # Errors
    /// The connection is broken.
    fn flush(&mut self) -> io::Result<()>;

    /// Says to the peer that nothing more comes, behind what it holds.
    ///
    /// # Errors
    /// The connection is broken.
    fn finish(&mut self) -> io::Result<()>;

    /// Whether all that it took is written, and the end that [`Transport::finish`] asked for.
    fn is_finished(&self) -> bool;

    /// Bytes that it holds, in both directions.
    fn buffered_bytes(&self) -> usize;

    /// Whether the peer's end has come, be it behind bytes that are still to be received.
    fn has_end(&self) -> bool;

    /// Whether the connection is broken. What came before may still be received.
    fn is_broken(&self) -> bool;
}
