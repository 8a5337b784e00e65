//! Fan-out.
fn main() {}
