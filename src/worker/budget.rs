//! How much one turn may do, so that one fat agent does not starve ten thousand quiet hosts.

/// Bytes read from one connection in one turn. A few times the receive buffer: enough that a large
/// transfer spends its time copying, little enough that a turn over many busy connections stays
/// short.
pub(crate) const RECEIVE_BYTES_PER_TURN: usize = 256 << 10;

/// The buffer that the connections of a worker are read into, one after the other.
pub(crate) const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

/// Buffers of which parts are kept that a worker remembers, to use them again. Beyond that they are
/// the allocator's.
pub(crate) const RECEIVE_BUFFERS_MAX: usize = 64;

/// Mail taken in one turn; the rest is taken in the next, before the worker may sleep.
pub(crate) const MAIL_PER_TURN: usize = 1024;

/// Sessions that do not write which are attended to in one turn. Then writers are looked for anew,
/// so that a write does not wait behind the reads of all its readers.
pub(crate) const OTHERS_PER_TURN: usize = 16;

/// Slices handed to one `writev`. The kernel takes up to 1024; past a few dozen the call costs
/// nothing.
pub(crate) const SLICES_PER_WRITE: usize = 64;

/// How often one turn lets what was sent make new output possible before it looks at the sockets
/// again.
pub(crate) const SETTLES_PER_TURN: usize = 4;

/// Readiness taken from the kernel at once.
pub(crate) const READINESS_PER_TURN: usize = 1024;

/// Bytes of a peer thrown away after the end of its channel; a peer that floods is cut off.
pub(crate) const DISCARD_BYTES_MAX: u64 = 64 << 20;
