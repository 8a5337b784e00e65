//! Log lines on standard error that never hold up the thread that logs.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{self, Receiver, Sender, TrySendError};
use tracing_subscriber::fmt::MakeWriter;

use crate::shown;

/// Lines that may wait for a slow terminal. More are dropped and counted.
const LINES_MAX: usize = 1024;
/// How long the program's end waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

enum Item {
    Line(Vec<u8>),
    /// Answered, by being dropped, once all lines before it are out.
    Flush(Sender<()>),
}

/// What a line looks like, and so how what strangers have put into it is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineForm {
    /// Text without colours.
    Plain,
    /// Text in which the subscriber has set colours. It escapes those of strangers.
    Coloured,
    /// A JSON object.
    Json,
}

/// Hands lines to a thread that writes them. Standard error that does not take them (a stopped
/// terminal, a full pipe) costs lines, whose number is told, and never a worker's time.
#[derive(Clone)]
pub(crate) struct LogWriter {
    form: LineForm,
    lines: Sender<Item>,
    dropped: Arc<AtomicU64>,
}

/// Sees the last lines out when it is dropped.
pub(crate) struct FlushGuard {
    lines: Sender<Item>,
}

impl LogWriter {
    /// Starts the thread that writes to `target`.
    pub(crate) fn start(
        form: LineForm,
        target: impl Write + Send + 'static,
    ) -> io::Result<(LogWriter, FlushGuard)> {
        let (lines, queue) = channel::bounded(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        thread::Builder::new()
            .name("weir-log".to_owned())
            .spawn(move || write_lines(&queue, &counter, target))?;
        Ok((LogWriter { form, lines: lines.clone(), dropped }, FlushGuard { lines }))
    }
}

fn write_lines(queue: &Receiver<Item>, dropped: &AtomicU64, mut target: impl Write) {
    for item in queue {
        match item {
            // Nobody is left to tell that the log cannot be written.
            Item::Line(line) => drop(target.write_all(&line)),
            Item::Flush(done) => drop(done),
        }
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ =
                writeln!(target, "weir: {missing} log lines dropped, standard error is too slow");
        }
        if queue.is_empty() {
            let _ = target.flush();
        }
    }
}

impl LineForm {
    /// One line, so that no peer's text passes for another one. It ends as it did.
    fn escape(self, line: &[u8]) -> Vec<u8> {
        let (line, end) = match line.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        let text = String::from_utf8_lossy(line);
        let safe = match self {
            LineForm::Plain => shown::line(&text),
            LineForm::Coloured => shown::coloured_line(&text),
            LineForm::Json => shown::json(&text),
        };
        [safe.as_bytes(), end.as_bytes()].concat()
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let safe = self.form.escape(line);
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Item::Line(safe)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        self.clone()
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        let (done, all_out) = channel::bounded(0);
        if self.lines.send_timeout(Item::Flush(done), FLUSH_TIMEOUT).is_ok() {
            let _ = all_out.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target whose first write waits until it is let go, as a stopped terminal does.
    struct Stopped {
        go: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.written.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stopped_terminal_costs_lines_and_their_number_is_told() {
        let (go_on, go) = channel::bounded(0);
        let (written, lines) = channel::unbounded();
        let (mut writer, guard) =
            LogWriter::start(LineForm::Plain, Stopped { go, written }).unwrap();
        let count = LINES_MAX + 10;
        for number in 0..count {
            writer.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        drop(go_on);
        drop(guard);
        let text: Vec<u8> = lines.try_iter().flatten().collect();
        let text = String::from_utf8(text).unwrap();
        let kept = text.lines().filter(|line| line.starts_with("line ")).count();
        let told = text.lines().find_map(|line| line.strip_prefix("weir: ")).unwrap();
        let dropped: usize = told.split(' ').next().unwrap().parse().unwrap();
        assert!(dropped > 0);
        assert_eq!(kept + dropped, count);
    }
}
