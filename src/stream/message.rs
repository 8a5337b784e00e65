//! What engines say to each other. Plain data; payload is shared, never copied.

/// One message from one engine to another. Opaque outside the core.
#[derive(Debug)]
pub enum Message {}
