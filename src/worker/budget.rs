//! How much one turn may do, so that one fat agent does not starve ten thousand quiet hosts.

/// Bytes read in one turn from all connections that write. What was read is sent at the end of the
/// turn, so this is what a send to a reader may hold; each costs the kernel as much again as
/// copying a hundred kilobytes. More than half of what the second-level cache holds would be copied
/// from further away.
pub(crate) const RECEIVE_BYTES_PER_TURN: usize = 512 << 10;

/// Bytes read in one turn from one connection, however many there are: a receive buffer full.
pub(crate) const RECEIVE_BYTES_MIN: usize = RECEIVE_BUFFER_BYTES;

/// The buffer that the connections of a worker are read into, one after the other.
pub(crate) const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

/// Bytes read behind the rest of a long block: the head of the next message, and little of a block
/// in that.
pub(crate) const READ_AHEAD_BYTES: usize = 2 << 10;

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
