//! The processor cores that this process may use, and how a thread stays on one.

/// The cores that the calling thread may run on (so the process, when asked at its start). Never
/// empty.
#[cfg(target_os = "linux")]
pub fn allowed() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => {
            let cores: Vec<usize> =
                (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect();
            if cores.is_empty() { vec![0] } else { cores }
        }
        // More cores than the set has bits for.
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

/// The cores that this process may use, as far as the system tells.
#[cfg(not(target_os = "linux"))]
pub fn allowed() -> Vec<usize> {
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// Keeps the calling thread on `core`.
///
/// # Errors
/// What the system says; `Unsupported` where it has no such call.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) -> std::io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Keeps the calling thread on `core`.
///
/// # Errors
/// `Unsupported`: only Linux has it here.
#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pinned_thread_may_run_on_its_core_only() {
        let core = allowed()[0];
        let after = std::thread::spawn(move || {
            pin(core).unwrap();
            allowed()
        });
        assert_eq!(after.join().unwrap(), vec![core]);
    }
}
