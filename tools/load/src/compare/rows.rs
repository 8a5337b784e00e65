//! What is measured, and what is asked of it.

use std::time::Duration;

use weir::bench::{Check, Plan, Report, Span, TcfOptions};

use crate::compare::Contender;

/// What a row's figures are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As many bytes as it goes.
    Throughput,
    /// As many writes as it goes.
    Writes,
    /// One write at a time.
    RoundTrip,
}

/// One load.
#[derive(Clone, Debug)]
pub struct Row {
    /// For tables.
    pub name: String,
    /// What its figures are about.
    pub kind: Kind,
    /// Bytes of a write.
    pub size: usize,
    /// Readers of each stream.
    pub readers: usize,
    /// Streams.
    pub streams: usize,
    /// How Weir's readers read.
    pub options: TcfOptions,
    /// Who takes part.
    pub contenders: Vec<Contender>,
    /// What is asked of Weir.
    pub targets: Vec<Target>,
}

/// A figure of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Bytes delivered a second.
    Throughput,
    /// Writes a second.
    Writes,
    /// Processor time for a gigabyte delivered.
    CpuPerGb,
    /// Processor time for a write.
    CpuPerWrite,
    /// Half of the rounds were at most so long.
    Round,
    /// All rounds but one in a hundred were at most so long.
    RoundTail,
}

impl Figure {
    /// Reads it from a report.
    pub fn of(self, report: &Report) -> f64 {
        let cost = report.server.as_ref();
        match self {
            Figure::Throughput => report.bytes_per_second,
            Figure::Writes => report.writes_per_second,
            Figure::CpuPerGb => cost.map_or(f64::NAN, |cost| cost.cpu_seconds_per_gb),
            Figure::CpuPerWrite => cost.map_or(f64::NAN, |cost| cost.cpu_us_per_write),
            Figure::Round => report.round.p50_us,
            Figure::RoundTail => report.round.p99_us,
        }
    }

    /// Whether more is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Figure::Throughput | Figure::Writes)
    }

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Throughput => "throughput",
            Figure::Writes => "writes/s",
            Figure::CpuPerGb => "CPU per GB",
            Figure::CpuPerWrite => "CPU per write",
            Figure::Round => "p50",
            Figure::RoundTail => "p99",
        }
    }
}

/// A ratio that Weir is to reach: its figure divided by another's, at least this where more is
/// better, else at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Which figure.
    pub figure: Figure,
    /// Of whom.
    pub against: Contender,
    /// The ratio.
    pub ratio: f64,
}

impl Target {
    /// Whether a ratio reaches it.
    pub fn is_met(&self, ratio: f64) -> bool {
        match self.figure.more_is_better() {
            true => ratio >= self.ratio,
            false => ratio <= self.ratio,
        }
    }
}

impl Row {
    fn new(name: &str, kind: Kind, size: usize, readers: usize) -> Row {
        Row {
            name: name.to_owned(),
            kind,
            size,
            readers,
            streams: 1,
            options: TcfOptions::default(),
            contenders: Vec::new(),
            targets: Vec::new(),
        }
    }

    fn asking(mut self, figure: Figure, against: Contender, ratio: f64) -> Row {
        self.targets.push(Target { figure, against, ratio });
        self
    }

    /// The figure that stands for the row.
    pub fn figure(&self) -> Figure {
        match self.kind {
            Kind::Throughput => Figure::Throughput,
            Kind::Writes => Figure::Writes,
            Kind::RoundTrip => Figure::Round,
        }
    }

    /// The figure that says what the row costs.
    pub fn cost(&self) -> Figure {
        match self.kind {
            Kind::Throughput => Figure::CpuPerGb,
            Kind::Writes | Kind::RoundTrip => Figure::CpuPerWrite,
        }
    }

    /// The load for one server.
    pub fn plan(&self, measured: Duration, pid: u32) -> Plan {
        Plan {
            streams: self.streams,
            readers: self.readers,
            write_bytes: self.size,
            window_bytes: match self.kind {
                Kind::RoundTrip => self.size,
                _ => Plan::usual_window(self.streams, self.size),
            },
            span: Span::Time { warm_up: measured / 5, measured },
            check: Check::Sampled,
            pid: Some(pid),
        }
    }
}

const KIB: usize = 1024;

/// The loads that Weir is measured by, against everybody.
pub fn main_rows() -> Vec<Row> {
    use Contender::{AsItComes, Fanout, Mosquitto, Nats, Redis};
    let mut rows = binary_rows();
    let contenders = [AsItComes, Fanout, Contender::Weir(1), Nats, Redis, Mosquitto];
    for row in &mut rows {
        row.contenders = contenders.to_vec();
        let ahead = if row.kind == Kind::RoundTrip { Figure::Round } else { row.figure() };
        row.targets.push(Target { figure: ahead, against: Mosquitto, ratio: 1.0 });
    }
    let mut base64 = base64_row().asking(Figure::Throughput, Fanout, 0.5);
    base64.contenders = contenders[..3].to_vec();
    rows.push(base64);
    rows.iter_mut().for_each(ask_as_much_as_of_one_worker);
    rows
}

/// What Weir shows as it comes is to be what it shows with one worker.
fn ask_as_much_as_of_one_worker(row: &mut Row) {
    let ratios: &[(Figure, f64)] = match row.kind {
        Kind::RoundTrip => &[(Figure::Round, 1.15), (Figure::RoundTail, 1.5)],
        Kind::Throughput | Kind::Writes => &[(row.figure(), 0.9)],
    };
    for &(figure, ratio) in ratios.iter().chain(&[(row.cost(), 1.15)]) {
        row.targets.push(Target { figure, against: Contender::Weir(1), ratio });
    }
}

fn binary_rows() -> Vec<Row> {
    use Contender::{Fanout, Nats, Redis};
    use Figure::{CpuPerGb, Round, Throughput, Writes};
    use Kind::RoundTrip;
    let bulk = |name: &str, size, readers, ratios: [f64; 3]| {
        Row::new(name, Kind::Throughput, size, readers)
            .asking(Throughput, Fanout, ratios[0])
            .asking(Throughput, Nats, ratios[1])
            .asking(Throughput, Redis, ratios[2])
    };
    let small = |name: &str, size, readers, ratios: [f64; 3]| {
        Row::new(name, Kind::Writes, size, readers)
            .asking(Writes, Fanout, ratios[0])
            .asking(Writes, Nats, ratios[1])
            .asking(Writes, Redis, ratios[2])
    };
    let trip = |name: &str, readers, ratios: [f64; 2]| {
        Row::new(name, RoundTrip, 256, readers)
            .asking(Round, Fanout, ratios[0])
            .asking(Round, Redis, ratios[1])
    };
    let mut streams = small("256 B, 200 streams, 2 readers each", 256, 2, [0.75, 2.3, 3.5]);
    streams.streams = 200;
    vec![
        bulk("16 KiB, 1 reader", 16 * KIB, 1, [0.95, 1.2, 1.4]).asking(CpuPerGb, Nats, 0.65),
        bulk("16 KiB, 8 readers", 16 * KIB, 8, [1.05, 1.2, 1.6]).asking(CpuPerGb, Nats, 0.65),
        bulk("16 KiB, 64 readers", 16 * KIB, 64, [0.9, 1.2, 1.25]).asking(CpuPerGb, Nats, 0.65),
        bulk("64 KiB, 8 readers", 64 * KIB, 8, [1.1, 1.2, 1.25]),
        bulk("1 KiB, 8 readers", KIB, 8, [1.0, 2.7, 2.5]),
        small("64 B, 1 reader", 64, 1, [0.35, 7.0, 8.0]),
        small("64 B, 8 readers", 64, 8, [0.8, 12.0, 9.0]),
        streams,
        trip("round trip 256 B, 1 reader", 1, [1.1, 0.95]),
        trip("round trip 256 B, 8 readers", 8, [1.1, 0.95]),
        trip("round trip 256 B, 64 readers", 64, [1.15, 1.05]),
    ]
}

/// Readers that cannot take binary data, as most clients that exist.
fn base64_row() -> Row {
    let mut row = Row::new("base64, 16 KiB, 8 readers", Kind::Throughput, 16 * KIB, 8);
    row.options.zero_copy = false;
    row
}

/// Every load with more and more workers: what they cost each other. On a machine with fewer cores
/// than workers a second worker adds nothing but its overhead.
pub fn worker_rows(most: u16) -> Vec<Row> {
    let workers = [1, 2, 4, 8, 16, 32, 64].into_iter().filter(|count| *count <= most.max(8));
    let contenders: Vec<Contender> = workers.map(Contender::Weir).collect();
    let mut rows = binary_rows();
    rows.push(base64_row());
    for row in &mut rows {
        row.contenders = contenders.clone();
        row.targets = vec![Target { figure: row.cost(), against: Contender::Weir(1), ratio: 1.25 }];
    }
    rows
}

/// The same writes for more and more readers.
pub fn reader_rows(workers: &[u16]) -> Vec<Row> {
    let mut rows = Vec::new();
    for readers in [1, 8, 64, 512, 4096] {
        let mut row = Row::new(&readers.to_string(), Kind::Throughput, 16 * KIB, readers);
        row.contenders = with_weir(workers);
        rows.push(row);
    }
    rows
}

/// The same number of bytes on their way, spread over more and more streams. Above a hundred
/// streams Weir's share channels: ten thousand streams need no ten thousand connections.
pub fn stream_rows(workers: &[u16]) -> Vec<Row> {
    let mut rows = Vec::new();
    for streams in [1, 10, 100, 1000, 10_000] {
        let mut row = Row::new(&streams.to_string(), Kind::Writes, 256, 1);
        row.streams = streams;
        row.options.streams_per_channel = streams.div_ceil(100);
        row.contenders = with_weir(workers);
        if streams > 1000 {
            row.contenders.retain(|contender| contender.is_weir());
        }
        rows.push(row);
    }
    rows
}

/// Readers that read as the clients that exist do: few reads under way, of few bytes.
pub fn client_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, readers) in [(16 * KIB, 8), (64, 8)] {
        for (read_bytes, reads) in [(KIB, 1), (4 * KIB, 2), (32 * KIB, 4), (64 * KIB, 4)] {
            let plural = if reads == 1 { "read" } else { "reads" };
            let name = format!(
                "{size} B, {readers} readers, {reads} {plural} of {} KiB",
                read_bytes / KIB
            );
            let kind = if size < KIB { Kind::Writes } else { Kind::Throughput };
            let mut row = Row::new(&name, kind, size, readers);
            row.options.read_bytes = read_bytes;
            row.options.reads = reads;
            row.contenders = with_weir(&[1, 2]);
            rows.push(row);
        }
    }
    rows
}

fn with_weir(workers: &[u16]) -> Vec<Contender> {
    let weirs = workers.iter().map(|&workers| Contender::Weir(workers));
    std::iter::once(Contender::Fanout).chain(weirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_know_their_direction() {
        let target = |figure, ratio| Target { figure, against: Contender::Fanout, ratio };
        assert!(target(Figure::Throughput, 0.95).is_met(0.95));
        assert!(!target(Figure::Throughput, 0.95).is_met(0.94));
        assert!(target(Figure::Round, 1.1).is_met(1.1));
        assert!(!target(Figure::CpuPerGb, 1.1).is_met(1.2));
        assert!(!target(Figure::CpuPerGb, 1.1).is_met(f64::NAN));
    }

    #[test]
    fn every_target_is_against_somebody_who_takes_part() {
        for row in main_rows().into_iter().chain(worker_rows(8)) {
            for target in &row.targets {
                assert!(row.contenders.contains(&target.against), "{}", row.name);
            }
        }
    }
}
