//! One peer's TCF channel as a state machine: Hello, waiting, closing.
//!
//! Messages come in already taken out of their framing; what the channel itself has to say goes
//! into an [`Output`](crate::wire::Output). The room never sees a socket or a stream, and it does
//! not know what any command means: it hands commands on to whoever drives it (`service` finds what
//! they mean).

mod state;

pub use state::{Channel, Incoming};
