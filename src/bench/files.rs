//! How many connections a process may have.

/// Lets this process open as many files as the system allows, and says how many that is.
#[cfg(target_os = "linux")]
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // What cannot be raised shows when the connections are opened.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Lets this process open as many files as the system allows, and says how many that is.
#[cfg(not(target_os = "linux"))]
pub fn raise_open_files() -> u64 {
    256
}
