//! One stream's bytes.
