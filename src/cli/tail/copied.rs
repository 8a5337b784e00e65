//! What of a stream is in the output: the one place that knows the offset to go on from.

use parking_lot::Mutex;

use crate::cli::OutputError;
use crate::cli::raw_output::RawOutput;
use crate::cli::tail::state::StateFile;
use crate::client::Sender;

/// The output, which byte of which stream comes next in it, and the file that keeps that offset.
///
/// Invariant: the output's byte number `base_written` is the stream's byte `base`, and so on.
pub(super) struct Copied {
    output: RawOutput,
    stream: Option<String>,
    base: u64,
    base_written: u64,
    /// Set by a signal: nothing is written any more.
    is_stopped: bool,
    pub(super) state: Option<StateFile>,
}

/// [`Copied`], for the thread that copies and for the one that waits for signals. Whoever holds the
/// lock knows that nothing is being written.
pub(super) struct Shared {
    pub(super) copied: Mutex<Copied>,
    /// As far as the copying is known to have come, for who cannot get at `copied` because the
    /// output takes nothing.
    known: Mutex<Option<(String, u64)>>,
    /// The channel that reads, and the stream in which it has a place that dies with this program.
    reading: Mutex<Option<(Sender, Option<String>)>>,
}

/// A signal has stopped the copying.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub(super) struct Stopped;

impl Shared {
    pub(super) fn new(output: RawOutput, state: Option<StateFile>) -> Shared {
        let copied =
            Copied { output, stream: None, base: 0, base_written: 0, is_stopped: false, state };
        Shared { copied: Mutex::new(copied), known: Mutex::new(None), reading: Mutex::new(None) }
    }

    /// Whether a signal has stopped the copying.
    pub(super) fn is_stopped(&self) -> bool {
        self.copied.lock().is_stopped
    }

    /// The stream that is being copied, and at least how far.
    pub(super) fn known(&self) -> Option<(String, u64)> {
        self.known.lock().clone()
    }

    /// The stream is read over this channel now. `passing`: its place is to be given up at the end.
    pub(super) fn read_by(&self, sender: &Sender, passing: Option<&str>) {
        *self.reading.lock() = Some((sender.clone(), passing.map(str::to_owned)));
    }

    /// The channel that reads, and the stream whose place is to be given up.
    pub(super) fn reading(&self) -> Option<(Sender, Option<String>)> {
        self.reading.lock().clone()
    }

    /// From now on bytes are those of `stream` from `position` on.
    pub(super) fn begin(&self, stream: &str, position: u64) -> anyhow::Result<()> {
        let mut copied = self.copied.lock();
        copied.check()?;
        copied.output.flush()?;
        copied.stream = Some(stream.to_owned());
        copied.move_to(position);
        if let Some(state) = &mut copied.state {
            state.is_changed = true;
        }
        self.note(&copied);
        Ok(())
    }

    /// Takes the next bytes. They are in the output after a flush.
    pub(super) fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut copied = self.copied.lock();
        copied.check()?;
        let result = copied.output.write(bytes);
        self.note(&copied);
        Ok(result?)
    }

    /// So many bytes are missing behind those that came.
    pub(super) fn skip(&self, count: u64) -> anyhow::Result<()> {
        self.flush()?;
        let mut copied = self.copied.lock();
        let position = copied.offset() + count;
        copied.move_to(position);
        self.note(&copied);
        Ok(())
    }

    /// Puts everything into the output. Gives the offset of the next byte.
    pub(super) fn flush(&self) -> anyhow::Result<u64> {
        let mut copied = self.copied.lock();
        copied.check()?;
        let before = copied.output.written();
        let result = copied.output.flush();
        let has_more = copied.output.written() != before;
        if let Some(state) = &mut copied.state {
            state.is_changed |= has_more;
        }
        self.note(&copied);
        result?;
        Ok(copied.offset())
    }

    fn note(&self, copied: &Copied) {
        let offset = copied.offset();
        let mut known = self.known.lock();
        match (&mut *known, &copied.stream) {
            (Some((id, at)), Some(stream)) if id == stream => *at = offset,
            (_, stream) => *known = stream.clone().map(|stream| (stream, offset)),
        }
    }
}

impl Copied {
    fn check(&self) -> Result<(), Stopped> {
        if self.is_stopped { Err(Stopped) } else { Ok(()) }
    }

    fn move_to(&mut self, position: u64) {
        self.base = position;
        self.base_written = self.output.written();
    }

    /// The offset of the first byte that is not in the output.
    pub(super) fn offset(&self) -> u64 {
        self.base + (self.output.written() - self.base_written)
    }

    /// The stream that is being copied.
    pub(super) fn stream(&self) -> Option<&str> {
        self.stream.as_deref()
    }

    /// Nothing is written after this.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Keeps the offset, where there is a file for that.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        let offset = self.offset();
        let (Some(state), Some(stream)) = (&mut self.state, &self.stream) else { return Ok(()) };
        state.save(stream, offset, &self.output)
    }
}

/// Whether the output failed because nobody reads it any more.
pub(super) fn is_unwanted(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<OutputError>()
        .is_some_and(|OutputError(error)| error.kind() == std::io::ErrorKind::BrokenPipe)
}
