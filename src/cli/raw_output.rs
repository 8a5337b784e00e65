//! Standard output for bytes: no line buffering, and flushed when its user says so.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::cli::OutputError;

/// Small pieces up to so many bytes leave in one write; larger ones are passed on as they are.
const BUFFER_BYTES: usize = 64 << 10;

/// Standard output. Bytes are on their way once [`RawOutput::flush`] is called.
pub(crate) struct RawOutput {
    target: BufWriter<Box<dyn Write>>,
    is_file: bool,
}

impl RawOutput {
    /// Opens a second handle of standard output, past the line buffer of `io::stdout`.
    pub(crate) fn open() -> Result<RawOutput, OutputError> {
        let file = duplicate().map_err(OutputError)?;
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        Ok(RawOutput { is_file, ..RawOutput::to(file) })
    }

    /// Writes to `target` in the place of standard output.
    pub(crate) fn to(target: impl Write + 'static) -> RawOutput {
        let target = BufWriter::with_capacity(BUFFER_BYTES, Box::new(target) as Box<dyn Write>);
        RawOutput { target, is_file: false }
    }

    /// Whether the output goes to a file on disk.
    pub(crate) fn is_file(&self) -> bool {
        self.is_file
    }

    /// Takes bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.target.write_all(bytes).map_err(OutputError)
    }

    /// Puts what was taken on its way.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        self.target.flush().map_err(OutputError)
    }
}

#[cfg(unix)]
fn duplicate() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn duplicate() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    io::stdout().as_handle().try_clone_to_owned().map(File::from)
}
