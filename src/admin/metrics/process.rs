//! What the system says of our process, under the names that Prometheus gives such numbers.

use prometheus_client::registry::Unit;

use crate::admin::metrics::{Family, Number, Samples};

/// The process's own numbers, as far as the system tells them.
pub(super) fn families() -> Vec<Family> {
    let gauge = |name, help, unit, value: Option<u64>| Family {
        name,
        help,
        unit,
        samples: Samples::Gauge(
            value.into_iter().map(|value| (Vec::new(), Number::Count(value))).collect(),
        ),
    };
    vec![
        gauge(
            "process_resident_memory",
            "Resident memory of the broker.",
            Some(Unit::Bytes),
            resident_bytes(),
        ),
        gauge("process_open_fds", "Open file descriptors of the broker.", None, open_descriptors()),
        gauge("process_max_fds", "File descriptors that it may open.", None, descriptors_max()),
    ]
}

/// A number in a row of a file of `/proc/self`.
fn row(file: &str, name: &str, column: usize) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).ok()?;
    let row = text.lines().find_map(|line| line.strip_prefix(name))?;
    row.split_whitespace().nth(column)?.parse().ok()
}

fn resident_bytes() -> Option<u64> {
    Some(row("status", "VmRSS:", 0)? * 1024)
}

fn open_descriptors() -> Option<u64> {
    // The one that lists them is among them.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64)
}

fn descriptors_max() -> Option<u64> {
    row("limits", "Max open files", 0)
}
