//! A progress line for transfers that take long.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::say;
use crate::time::{Clock, Instant};

/// Transfers shorter than this stay silent.
const QUIET_FOR: Duration = Duration::from_secs(1);

/// Bytes copied so far, shown on standard error where that is a terminal, after a second.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    clock: Clock,
    is_shown: bool,
}

impl Progress {
    /// A line for a transfer of `total` bytes, where that is known. `is_wanted` false shows nothing
    /// ever.
    pub(crate) fn new(total: Option<u64>, is_wanted: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{bytes}, {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, clock: Clock::start(), is_shown: !is_wanted }
    }

    /// Adds bytes.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.bar.inc(bytes as u64);
        if !self.is_shown && self.clock.now().instant.since(Instant::default()) >= QUIET_FOR {
            self.is_shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Writes a line to standard error without tearing the progress line.
    pub(crate) fn say(&self, line: &str) {
        self.speaker().say(line);
    }

    /// What another thread needs to say something.
    pub(crate) fn speaker(&self) -> Speaker {
        Speaker(self.bar.clone())
    }
}

/// Says lines beside a progress line.
#[derive(Clone, Debug)]
pub(crate) struct Speaker(ProgressBar);

impl Speaker {
    /// Writes a line to standard error without tearing the progress line.
    pub(crate) fn say(&self, line: &str) {
        self.0.suspend(|| say::line(line));
    }

    /// Takes the progress line away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
