//! Sockets: listening, reading, writing, options. Knows bytes, not TCF.
