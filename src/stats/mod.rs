//! What is counted, by one writer each; reading is always a copy.

mod histogram;

pub use histogram::{BUCKETS, Histogram};
