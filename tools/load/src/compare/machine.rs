//! What the figures were taken on.

use std::fs;
use std::process::Command;

use crate::compare::Programs;

/// A machine and the programs on it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The processor.
    pub processor: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Memory, in GiB.
    pub memory_gib: f64,
    /// The system.
    pub kernel: String,
    /// Versions of the programs.
    pub programs: Vec<String>,
}

impl Machine {
    /// This one.
    pub fn this(programs: &Programs) -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let unknown = || "unknown".to_owned();
        let memory = value(&read("/proc/meminfo"), "MemTotal").and_then(|text| {
            let kilobytes: f64 = text.split_whitespace().next()?.parse().ok()?;
            Some(kilobytes / 1024.0 / 1024.0)
        });
        // mosquitto has no flag for its version alone; its help begins with it, and ends with 1.
        let version = |program: &std::path::Path, flag: &str| {
            let output = Command::new(program).arg(flag).output();
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            let Ok(output) = output else { return format!("{name}: NOT INSTALLED") };
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().next().unwrap_or(&name).to_owned()
        };
        Machine {
            processor: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory.unwrap_or(0.0),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            programs: [
                version(&programs.weir, "--version"),
                version(&programs.nats, "--version"),
                version(&programs.redis, "--version"),
                version(&programs.mosquitto, "-h"),
            ]
            .to_vec(),
        }
    }

    /// In one sentence.
    pub fn describe(&self) -> String {
        let plural = if self.cores == 1 { "core" } else { "cores" };
        format!(
            "{}, {} {plural}, {:.0} GiB of memory, {}; {}",
            self.processor,
            self.cores,
            self.memory_gib,
            self.kernel,
            self.programs.join("; ")
        )
    }
}
