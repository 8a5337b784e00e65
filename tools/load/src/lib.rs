//! Load programs.
