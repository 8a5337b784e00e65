//! Standard output for bytes: no line buffering, flushed when its user says so, and counted, so
//! that it is known to the byte what went out before it failed.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::mem;

use crate::cli::OutputError;

/// Small pieces up to so many bytes leave in one write; larger ones are passed on as they are.
const BUFFER_BYTES: usize = 64 << 10;

/// Standard output. Bytes are on their way once [`RawOutput::flush`] is called.
pub(crate) struct RawOutput {
    target: Box<dyn Write + Send>,
    waiting: Vec<u8>,
    /// Bytes that the system has taken.
    written: u64,
    /// A second handle, where the output is a file on disk.
    file: Option<File>,
}

impl RawOutput {
    /// Opens a second handle of standard output, past the line buffer of `io::stdout`.
    pub(crate) fn open() -> Result<RawOutput, OutputError> {
        let output = duplicate().map_err(OutputError)?;
        let is_file = output.metadata().is_ok_and(|metadata| metadata.is_file());
        let file = if is_file { output.try_clone().ok() } else { None };
        Ok(RawOutput { file, ..RawOutput::to(output) })
    }

    /// Writes to `target` in the place of standard output.
    pub(crate) fn to(target: impl Write + Send + 'static) -> RawOutput {
        let target = Box::new(target);
        RawOutput { target, waiting: Vec::with_capacity(BUFFER_BYTES), written: 0, file: None }
    }

    /// Whether the output goes to a file on disk.
    pub(crate) fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// What the system knows of the file on disk.
    pub(crate) fn file_metadata(&self) -> Option<Metadata> {
        self.file.as_ref()?.metadata().ok()
    }

    /// Bytes that the system has taken so far, and no others: those of a write that failed in its
    /// middle count as far as it got.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Takes bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        if self.waiting.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            return self.put(bytes);
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    /// Hands what was taken to the system. What it does not take is forgotten: after an error there
    /// is nothing to go on with.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        let mut waiting = mem::take(&mut self.waiting);
        let result = self.put(&waiting);
        waiting.clear();
        self.waiting = waiting;
        result
    }

    /// Sees what the system has taken onto the disk, where it goes to one.
    pub(crate) fn sync(&self) -> Result<(), OutputError> {
        self.file.as_ref().map_or(Ok(()), File::sync_data).map_err(OutputError)
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), OutputError> {
        while !bytes.is_empty() {
            match self.target.write(bytes) {
                Ok(0) => return Err(OutputError(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(OutputError(error)),
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.min(bytes.len()) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                count => {
                    self.0 -= count;
                    Ok(count)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_took_is_counted_to_the_byte() {
        for (room, pieces) in [(10, 3), (BUFFER_BYTES + 7, 40_000), (3 * BUFFER_BYTES, 100_000)] {
            let mut output = RawOutput::to(Disk(room));
            let failed = (0..).find_map(|_| {
                let written = output.write(&vec![b'x'; pieces]);
                written.and_then(|()| output.flush()).err()
            });
            assert_eq!(failed.map(|error| error.0.kind()), Some(io::ErrorKind::StorageFull));
            assert_eq!(output.written(), room as u64);
        }
    }

    #[test]
    fn small_pieces_leave_together() {
        let mut output = RawOutput::to(Disk(1 << 20));
        for _ in 0..10 {
            output.write(b"piece").unwrap();
        }
        assert_eq!(output.written(), 0);
        output.flush().unwrap();
        assert_eq!(output.written(), 50);
    }
}
