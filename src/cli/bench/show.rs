//! Reports as tables for people.

use std::fmt::Write;

use crate::bench::{Percentiles, Report};
use crate::cli::bench::Load;

/// A report of a load of writes.
pub(crate) fn report(load: Load, report: &Report) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    let plural =
        |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    row(
        load.name(),
        format!(
            "{}, {} each, writes of {} bytes, {} bytes under way",
            plural(report.streams, "stream"),
            plural(report.readers, "reader"),
            report.write_bytes,
            report.window_bytes
        ),
    );
    row("measured", format!("{:.2} s", report.seconds));
    row("throughput", format!("{:.1} MB/s delivered", report.bytes_per_second / 1e6));
    row("writes", format!("{} ({}/s)", report.writes, rate(report.writes_per_second)));
    row("deliveries", format!("{} ({}/s)", report.deliveries, rate(report.deliveries_per_second)));
    row("delivery", percentiles(&report.delivery));
    row("round", percentiles(&report.round));
    if let Some(server) = &report.server {
        row(
            "server",
            format!(
                "{:.2} s of processor time: {:.3} s/GB delivered, {:.3} us a write; peak {:.1} MiB",
                server.cpu_seconds,
                server.cpu_seconds_per_gb,
                server.cpu_us_per_write,
                server.peak_resident_bytes as f64 / f64::from(1 << 20)
            ),
        );
    }
    row("generator", format!("{:.0} % of a processor", report.generator_cpu * 100.0));
    row("verified", format!("{} writes, all of them at every reader", report.writes_total));
    text.truncate(text.trim_end().len());
    text
}

fn percentiles(times: &Percentiles) -> String {
    format!(
        "p50 {:.1} us, p90 {:.1} us, p99 {:.1} us, max {:.1} us",
        times.p50_us, times.p90_us, times.p99_us, times.max_us
    )
}

fn rate(per_second: f64) -> String {
    match per_second {
        many if many >= 1e6 => format!("{:.2} M", many / 1e6),
        some if some >= 1e4 => format!("{:.1} k", some / 1e3),
        few => format!("{few:.1} "),
    }
}
