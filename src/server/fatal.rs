//! A thread that dies takes the process with it: half a broker would hang its peers in silence.

use std::io;
use std::thread::{Builder, JoinHandle};

use tracing::error;

/// Aborts the process when the thread it lives on unwinds.
struct AbortOnPanic<'a>(&'a str);

impl Drop for AbortOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(thread = self.0, "a thread panicked: this is a bug in weir; aborting");
            std::process::abort();
        }
    }
}

/// Spawns the named thread. A panic in `body`, or an error from it, ends the process.
///
/// # Errors
/// The system has no thread left.
pub(crate) fn spawn(
    name: String,
    body: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.clone()).spawn(move || {
        let _guard = AbortOnPanic(&name);
        if let Err(error) = body() {
            error!(thread = name, %error, "a thread cannot go on; aborting");
            std::process::abort();
        }
    })
}
