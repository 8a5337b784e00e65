//! Channels that do nothing.
