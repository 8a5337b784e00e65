//! What is shown: the latest answer, the order of its rows, the row that is chosen.

use std::collections::VecDeque;

use crate::cli::stats::{Report, Stream};
use crate::time::{Clock, Instant};

/// Samples of the throughput lines.
const SAMPLES_MAX: usize = 300;

/// The order of the streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// What somebody should look at first: full streams, stalled readers, then large lags. In
    /// steps, so that rows stay where they are.
    #[default]
    Attention,
    Lag,
    Rate,
    Fill,
}

impl Sort {
    pub(crate) const ALL: [Sort; 4] = [Sort::Attention, Sort::Lag, Sort::Rate, Sort::Fill];

    /// Its first letter is its key.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sort::Attention => "attention",
            Sort::Lag => "lag",
            Sort::Rate => "rate",
            Sort::Fill => "fill",
        }
    }

    /// Larger comes first.
    fn weight(self, stream: &Stream) -> u64 {
        let lag = stream.slowest().map_or(0, |reader| reader.lag);
        match self {
            Sort::Attention => {
                let is_slow = stream.readers.iter().any(|r| r.stalled || r.lagging);
                let steps = (10 * lag).checked_div(stream.buffer_size).unwrap_or(0).min(10);
                let full = u64::from(stream.parked_writes > 0);
                1000 * full + 100 * u64::from(is_slow) + steps
            }
            Sort::Lag => lag,
            Sort::Rate => stream.rate,
            Sort::Fill => stream.fill_percent(),
        }
    }
}

/// What is shown.
#[derive(Debug)]
pub(crate) struct View {
    /// The broker, as the user wrote it.
    pub(crate) address: String,
    /// The latest answer, its streams in order.
    pub(crate) report: Report,
    pub(crate) sort: Sort,
    /// Bytes a second, the latest last.
    pub(crate) in_rates: VecDeque<u64>,
    pub(crate) out_rates: VecDeque<u64>,
    /// Why there is no newer answer, and since when.
    lost: Option<(String, Instant)>,
    clock: Clock,
    /// The chosen stream, by ID: it stays chosen when rows move.
    chosen: Option<String>,
    is_open: bool,
    /// The first reader shown of the open stream.
    pub(crate) first_reader: usize,
}

impl View {
    pub(crate) fn new(address: String) -> View {
        View {
            address,
            report: Report::default(),
            sort: Sort::default(),
            in_rates: VecDeque::new(),
            out_rates: VecDeque::new(),
            lost: None,
            clock: Clock::start(),
            chosen: None,
            is_open: false,
            first_reader: 0,
        }
    }

    /// Takes an answer in.
    pub(crate) fn take(&mut self, report: Report) {
        let before = &self.report;
        let ms = report.uptime_ms.checked_sub(before.uptime_ms).filter(|&ms| ms > 0);
        // Another broker, or the first answer: nothing to compare with.
        if let Some(ms) = ms.filter(|_| before.uptime_ms > 0) {
            let per_second = |now: u64, then: u64| now.saturating_sub(then) * 1000 / ms;
            let (now, then) = (&report.totals, &before.totals);
            push(&mut self.in_rates, per_second(now.accepted_bytes, then.accepted_bytes));
            push(&mut self.out_rates, per_second(now.delivered_bytes, then.delivered_bytes));
        }
        self.report = report;
        self.lost = None;
        self.order();
    }

    /// Notes that there was no answer.
    pub(crate) fn miss(&mut self, why: String) {
        let since = match &self.lost {
            Some((_, since)) => *since,
            None => self.clock.now().instant,
        };
        self.lost = Some((why, since));
    }

    /// Why there is no connection, and for how many seconds there has been none.
    pub(crate) fn lost(&self) -> Option<(&str, u64)> {
        let (why, since) = self.lost.as_ref()?;
        Some((why, self.clock.now().instant.since(*since).as_secs()))
    }

    pub(crate) fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.order();
    }

    fn order(&mut self) {
        let sort = self.sort;
        // Stable: what is equal stays in the order of age, which the broker gives.
        self.report.streams.sort_by_key(|stream| std::cmp::Reverse(sort.weight(stream)));
        for stream in &mut self.report.streams {
            stream.readers.sort_by_key(|reader| std::cmp::Reverse(reader.lag));
        }
        if self.chosen_place().is_none() && !self.is_open {
            self.chosen = self.report.streams.first().map(|stream| stream.id.clone());
        }
    }

    /// The row of the chosen stream.
    pub(crate) fn chosen_place(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.report.streams.iter().position(|stream| stream.id == *chosen)
    }

    /// The stream whose readers are looked at, by ID.
    pub(crate) fn open_id(&self) -> Option<&str> {
        self.chosen.as_deref().filter(|_| self.is_open)
    }

    /// The stream whose readers are looked at, unless it is gone.
    pub(crate) fn open_stream(&self) -> Option<&Stream> {
        self.chosen_place().filter(|_| self.is_open).map(|place| &self.report.streams[place])
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(crate) fn open(&mut self) {
        self.is_open = self.chosen_place().is_some();
        self.first_reader = 0;
    }

    pub(crate) fn close(&mut self) {
        self.is_open = false;
        self.order();
    }

    /// Moves so many rows down.
    pub(crate) fn step(&mut self, rows: isize) {
        let moved = |place: usize, count: usize| {
            place.saturating_add_signed(rows).min(count.saturating_sub(1))
        };
        if self.is_open {
            let count = self.open_stream().map_or(0, |stream| stream.readers.len());
            self.first_reader = moved(self.first_reader, count);
        } else {
            let streams = &self.report.streams;
            let place = moved(self.chosen_place().unwrap_or(0), streams.len());
            self.chosen = streams.get(place).map(|stream| stream.id.clone());
        }
    }
}

fn push(samples: &mut VecDeque<u64>, sample: u64) {
    if samples.len() == SAMPLES_MAX {
        samples.pop_front();
    }
    samples.push_back(sample);
}
