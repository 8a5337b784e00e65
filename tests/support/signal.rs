//! Signals to processes that a test has started.

use std::process::{Child, Command};

/// Sends a signal, `TERM` or another, with `kill`.
pub fn send_signal(child: &Child, name: &str) {
    let killed = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .expect("kill can be run");
    assert!(killed.success());
}
