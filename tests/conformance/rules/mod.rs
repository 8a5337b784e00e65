//! What Weir promises and no recording of the reference can show.

pub mod hostile;
pub mod lifetime;
pub mod relay;
pub mod stream_broker;
pub mod writers;
