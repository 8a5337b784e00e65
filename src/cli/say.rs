//! What the program says to its user, on standard error.

use std::io::{self, Write};

use crate::shown;

/// Says a line. What strangers have put into it cannot steer the terminal.
pub(crate) fn line(text: &str) {
    write(&shown::line(text));
}

/// Says something of several lines.
pub(crate) fn lines(text: &str) {
    write(&shown::lines(text));
}

/// At once, so that lines of several programs on one terminal stay whole. A user who does not
/// listen (`2>&-`, a pipe that was closed) is no reason to stop.
fn write(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}
