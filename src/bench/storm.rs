//! A storm of connections: open, Hello, close, again and again.
