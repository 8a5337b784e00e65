//! Reports as tables for people.

use std::fmt::Write;

use crate::bench::{IdleReport, Percentiles, Report, StormReport};
use crate::cli::bench::Load;

const MIB: f64 = 1024.0 * 1024.0;

/// Rows of a name and a value.
#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name:<12}{value}");
    }

    fn end(mut self) -> String {
        self.0.truncate(self.0.trim_end().len());
        self.0
    }
}

/// A report of a load of writes.
pub(crate) fn report(load: Load, report: &Report) -> String {
    let mut table = Table::default();
    let streams = plural(report.streams, "stream");
    let readers = plural(report.readers, "reader");
    let (size, window) = (report.write_bytes, report.window_bytes);
    table.row(
        load.name(),
        &format!("{streams}, {readers} each, writes of {size} bytes, {window} bytes under way"),
    );
    table.row("measured", &format!("{:.2} s", report.seconds));
    table.row("throughput", &format!("{:.1} MB/s delivered", report.bytes_per_second / 1e6));
    table.row("writes", &counted(report.writes, report.writes_per_second));
    table.row("deliveries", &counted(report.deliveries, report.deliveries_per_second));
    table.row("delivery", &percentiles(&report.delivery));
    table.row("round", &percentiles(&report.round));
    if let Some(server) = &report.server {
        let peak = server.peak_resident_bytes as f64 / MIB;
        table.row(
            "server",
            &format!(
                "{:.2} s of processor time: {:.3} s/GB delivered, {:.3} us a write; peak {peak:.1} \
                 MiB",
                server.cpu_seconds, server.cpu_seconds_per_gb, server.cpu_us_per_write,
            ),
        );
    }
    table.row("generator", &format!("{:.0} % of a processor", report.generator_cpu * 100.0));
    let all = report.writes_total;
    table.row("verified", &format!("{all} writes, all of them at every reader"));
    table.end()
}

/// A report of a storm.
pub(crate) fn storm(report: &StormReport) -> String {
    let mut table = Table::default();
    table.row("storm", &format!("open, Hello, close; {} at once", report.at_once));
    table.row("measured", &format!("{:.2} s", report.seconds));
    table.row("channels", &counted(report.channels, report.channels_per_second));
    table.row("hello", &percentiles(&report.hello));
    table.row("life", &percentiles(&report.life));
    if let Some(us) = report.server_cpu_us_per_channel {
        table.row("server", &format!("{us:.1} us of processor time a channel"));
    }
    table.end()
}

/// A report of idle channels.
pub(crate) fn idle(report: &IdleReport) -> String {
    let mut table = Table::default();
    let (channels, seconds) = (report.channels, report.seconds);
    table.row("idle", &format!("{channels} channels, opened in {seconds:.2} s"));
    if let (Some(before), Some(with), Some(each)) = (
        report.server_resident_bytes_before,
        report.server_resident_bytes,
        report.server_bytes_per_channel,
    ) {
        let (before, with) = (before as f64 / MIB, with as f64 / MIB);
        let text = format!("{before:.1} MiB before, {with:.1} MiB with them: {each:.0} bytes each");
        table.row("server", &text);
    }
    table.end()
}

fn plural(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

fn percentiles(times: &Percentiles) -> String {
    format!(
        "p50 {:.1} us, p90 {:.1} us, p99 {:.1} us, max {:.1} us",
        times.p50_us, times.p90_us, times.p99_us, times.max_us
    )
}

fn counted(count: u64, per_second: f64) -> String {
    let rate = match per_second {
        many if many >= 1e6 => format!("{:.2} M", many / 1e6),
        some if some >= 1e4 => format!("{:.1} k", some / 1e3),
        few => format!("{few:.1} "),
    };
    format!("{count} ({rate}/s)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        assert_eq!(counted(12, 6.0), "12 (6.0 /s)");
        assert_eq!(counted(120_000, 60_000.0), "120000 (60.0 k/s)");
        assert_eq!(counted(12_000_000, 6_000_000.0), "12000000 (6.00 M/s)");
        assert_eq!(
            (plural(1, "reader"), plural(0, "reader")),
            ("1 reader".into(), "0 readers".into())
        );
    }
}
