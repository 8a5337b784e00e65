//! What a process has cost so far, from `/proc` (Linux).

use std::fs;

/// Ticks of processor time in a second, the same on every Linux that people run servers on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Costs of one process since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessSample {
    /// Processor time of all its threads, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Memory that it has in RAM, in bytes.
    pub resident_bytes: u64,
    /// The most that it ever had.
    pub peak_bytes: u64,
}

impl ProcessSample {
    /// Reads them; `None` where the system does not tell, or there is no such process.
    pub fn take(pid: u32) -> Option<ProcessSample> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(ProcessSample {
            cpu_seconds: cpu_seconds(&stat)?,
            resident_bytes: kilobytes(&status, "VmRSS:").unwrap_or(0) << 10,
            peak_bytes: kilobytes(&status, "VmHWM:").unwrap_or(0) << 10,
        })
    }
}

/// utime and stime, fields 14 and 15 in proc(5). The name before them may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> =
        behind.split_whitespace().skip(11).take(2).map_while(|text| text.parse().ok()).collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<u64>() as f64 / TICKS_PER_SECOND)
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_from_the_kernels_tables() {
        let stat = "77 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 3 0";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!(cpu_seconds("77 (a) S 1"), None);
        let status = "Name:\tweir\nVmHWM:\t   2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(kilobytes(status, "VmHWM:"), Some(2048));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }
}
