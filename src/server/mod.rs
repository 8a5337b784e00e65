//! Starts and stops the whole: binds, spawns workers, signals.
