//! What a load has shown.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::bench::{Plan, ProcessSample};

/// Longest time that is told exactly, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// Times, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half of them were at most this.
    pub p50_us: f64,
    /// Nine of ten.
    pub p90_us: f64,
    /// Ninety-nine of a hundred.
    pub p99_us: f64,
    /// All.
    pub max_us: f64,
}

/// Collects times.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Times {
        Times(Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are in order"))
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record((time.as_nanos() as u64).max(1));
    }

    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        if self.0.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: self.0.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            max_us: self.0.max() as f64 / 1e3,
        }
    }
}

/// What the server has spent on the measured part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServerCost {
    /// Its processor time, user and system, in seconds.
    pub cpu_seconds: f64,
    /// That, for a gigabyte (10^9 bytes) delivered; 0 where nothing was.
    pub cpu_seconds_per_gb: f64,
    /// That, for a write, in microseconds.
    pub cpu_us_per_write: f64,
    /// The most memory that the process ever had, in bytes.
    pub peak_resident_bytes: u64,
}

/// What a load of writes has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Streams.
    pub streams: usize,
    /// Readers of each stream.
    pub readers: usize,
    /// Bytes of a write.
    pub write_bytes: usize,
    /// Bytes of each stream that could be under way.
    pub window_bytes: usize,
    /// Time measured, in seconds.
    pub seconds: f64,
    /// Writes in that time; where there are readers, how often all of them together got one,
    /// divided by their number.
    pub writes: u64,
    /// Writes that got to a reader: each counts once a reader.
    pub deliveries: u64,
    /// Payload bytes that got to readers.
    pub delivered_bytes: u64,
    /// Writes a second.
    pub writes_per_second: f64,
    /// Deliveries a second.
    pub deliveries_per_second: f64,
    /// Payload bytes delivered a second.
    pub bytes_per_second: f64,
    /// Writes of the whole run, with those that were not measured. Every reader got all of them.
    pub writes_total: u64,
    /// From queueing a batch of writes (one, where the window is one) until one reader had it.
    pub delivery: Percentiles,
    /// And until everyone had it.
    pub round: Percentiles,
    /// What the server spent, if its process was named.
    pub server: Option<ServerCost>,
    /// Processor time of the generator itself for each second: near 1, and it was the limit.
    pub generator_cpu: f64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) delivered_bytes: u64,
    pub(crate) acknowledged_bytes: u64,
    pub(crate) server: Option<ProcessSample>,
    pub(crate) generator: Option<ProcessSample>,
}

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        from: &Counts,
        to: &Counts,
        time: Duration,
        writes_total: u64,
        times: [Percentiles; 2],
    ) -> Report {
        let seconds = time.as_secs_f64().max(1e-9);
        let size = plan.write_bytes as f64;
        let delivered_bytes = to.delivered_bytes - from.delivered_bytes;
        let deliveries = delivered_bytes as f64 / size;
        let writes = match plan.readers {
            0 => (to.acknowledged_bytes - from.acknowledged_bytes) as f64 / size,
            readers => deliveries / readers as f64,
        };
        let cpu = |from: Option<ProcessSample>, to: Option<ProcessSample>| {
            Some(to?.cpu_seconds - from?.cpu_seconds)
        };
        let per = |cost: f64, count: f64| if count > 0.0 { cost / count } else { 0.0 };
        let server = cpu(from.server, to.server).map(|spent| ServerCost {
            cpu_seconds: spent,
            cpu_seconds_per_gb: per(spent, delivered_bytes as f64 / 1e9),
            cpu_us_per_write: per(spent * 1e6, writes),
            peak_resident_bytes: to.server.map_or(0, |sample| sample.peak_bytes),
        });
        Report {
            streams: plan.streams,
            readers: plan.readers,
            write_bytes: plan.write_bytes,
            window_bytes: plan.window_bytes,
            seconds,
            writes: writes as u64,
            deliveries: deliveries as u64,
            delivered_bytes,
            writes_per_second: writes / seconds,
            deliveries_per_second: deliveries / seconds,
            bytes_per_second: delivered_bytes as f64 / seconds,
            writes_total,
            delivery: times[0],
            round: times[1],
            server,
            generator_cpu: cpu(from.generator, to.generator).unwrap_or(0.0) / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Check, Span};

    #[test]
    fn percentiles_are_of_what_was_recorded() {
        let mut times = Times::new();
        assert_eq!(times.percentiles(), Percentiles::default());
        for us in 1..=1000 {
            times.record(Duration::from_micros(us));
        }
        let told = times.percentiles();
        let near = |value: f64, want: f64| (value / want - 1.0).abs() < 0.002;
        assert!(near(told.p50_us, 500.0) && near(told.p90_us, 900.0), "{told:?}");
        assert!(near(told.p99_us, 990.0) && near(told.max_us, 1000.0), "{told:?}");
        assert_eq!(told.count, 1000);
        times.record(Duration::from_secs(3600));
        assert!(times.percentiles().max_us >= 60e6);
        times.clear();
        assert_eq!(times.percentiles().count, 0);
    }

    #[test]
    fn rates_and_costs_are_those_of_the_measured_part() {
        let plan = Plan {
            streams: 2,
            readers: 4,
            write_bytes: 1000,
            window_bytes: 8000,
            span: Span::Writes(1),
            check: Check::Sampled,
            pid: Some(1),
        };
        let sample = |cpu_seconds| {
            Some(ProcessSample { cpu_seconds, resident_bytes: 0, peak_bytes: 5 << 20 })
        };
        let from = Counts { delivered_bytes: 1_000_000, server: sample(1.0), ..Counts::default() };
        let to = Counts { delivered_bytes: 9_000_000, server: sample(1.5), ..Counts::default() };
        let times = [Percentiles::default(); 2];
        let report = Report::new(&plan, &from, &to, Duration::from_secs(2), 77, times);
        assert_eq!((report.deliveries, report.writes, report.writes_total), (8000, 2000, 77));
        assert_eq!(report.bytes_per_second, 4e6);
        assert_eq!((report.writes_per_second, report.deliveries_per_second), (1000.0, 4000.0));
        let cost = report.server.unwrap();
        assert_eq!((cost.cpu_seconds, cost.cpu_us_per_write), (0.5, 250.0));
        assert_eq!(cost.cpu_seconds_per_gb, 62.5);
        assert_eq!(cost.peak_resident_bytes, 5 << 20);
    }
}
