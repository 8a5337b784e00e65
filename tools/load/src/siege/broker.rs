//! The broker under siege: a process of its own, watched, and ended whatever becomes of the row.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::siege::now;

/// A broker that holds more is killed: the row has failed, and the machine is needed by others.
const RESIDENT_BYTES_MAX: u64 = 5 << 30;
/// A row that takes longer has its broker killed.
const ROW_TIME_MAX: Duration = Duration::from_secs(150);
/// How long a stop may take before it is forced.
const STOP_TIME_MAX: Duration = Duration::from_secs(60);
/// How often the process is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
/// Time given to a broker for draining, in every row.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// All brokers that run, so that a signal can stop them too.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// How a broker is started.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program.
    pub weir: PathBuf,
    /// Worker threads.
    pub workers: u16,
    /// The memory limit.
    pub limit_bytes: u64,
    /// More lines of `[limits]`, which a broker that does not know them is started without.
    pub limits: String,
    /// File descriptors that it may have, where fewer than this process may.
    pub files: Option<u32>,
}

/// A broker that runs.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    folder: PathBuf,
    /// Where it listens for TCF.
    pub address: SocketAddr,
    /// Where it answers HTTP.
    pub http: SocketAddr,
    is_over: Arc<AtomicBool>,
    verdict: Arc<Mutex<Option<String>>>,
    /// The largest resident size that was seen, for one that is gone.
    seen_bytes: Arc<AtomicU64>,
}

impl Broker {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(setting: &Setting) -> Result<Broker> {
        let first = Broker::launch(setting, &setting.limits);
        if first.is_ok() || setting.limits.is_empty() {
            return first;
        }
        // One of before a bound was there.
        Broker::launch(setting, "").or(first)
    }

    fn launch(setting: &Setting, limits: &str) -> Result<Broker> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("weir-siege-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        let config = folder.join("weir.toml");
        let drain = DRAIN_TIMEOUT.as_secs();
        let text =
            format!("[limits]\nstreams_max = 200000\ndrain_timeout = \"{drain}s\"\n{limits}\n");
        fs::write(&config, text)?;
        let log = fs::File::create(folder.join("log"))?;
        let mut command = match setting.files {
            None => Command::new(&setting.weir),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
                shell.arg(&setting.weir);
                shell
            }
        };
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"])
            .args(["--workers", &setting.workers.to_string()])
            .args(["--memory-limit", &format!("{}MiB", setting.limit_bytes >> 20)])
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", setting.weir.display()))?;
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(child.id());
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        let address = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let (Some(address), Some(http)) = (address(&told["listen"][0]), address(&told["http"]))
        else {
            let _ = child.kill();
            let _ = child.wait();
            forget(child.id());
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            let _ = fs::remove_dir_all(&folder);
            bail!("the broker did not start: {log}");
        };
        let broker = Broker {
            child,
            folder,
            address,
            http,
            is_over: Arc::default(),
            verdict: Arc::default(),
            seen_bytes: Arc::default(),
        };
        broker.watch()?;
        Ok(broker)
    }

    /// Kills it when it takes too much of anything.
    fn watch(&self) -> Result<()> {
        let (pid, is_over) = (self.child.id(), Arc::clone(&self.is_over));
        let (verdict, seen) = (Arc::clone(&self.verdict), Arc::clone(&self.seen_bytes));
        let deadline = now() + ROW_TIME_MAX;
        thread::Builder::new().name("siege-watch".to_owned()).spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(WATCH_INTERVAL);
                let Some(resident) = status(pid, "VmRSS:") else { return };
                seen.fetch_max(resident, Ordering::Relaxed);
                let why = if resident > RESIDENT_BYTES_MAX {
                    format!("killed at {} MiB", resident >> 20)
                } else if now() > deadline {
                    format!("killed after {} s", ROW_TIME_MAX.as_secs())
                } else {
                    continue;
                };
                *verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                signal(pid, "KILL");
                return;
            }
        })?;
        Ok(())
    }

    /// Why it was killed, if it was.
    pub fn verdict(&self) -> Option<String> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The largest resident size that it ever had.
    pub fn peak_bytes(&self) -> u64 {
        let seen = self.seen_bytes.load(Ordering::Relaxed);
        status(self.child.id(), "VmHWM:").unwrap_or(seen)
    }

    /// Its resident size.
    pub fn resident_bytes(&self) -> Option<u64> {
        status(self.child.id(), "VmRSS:")
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Asks it to stop and waits for it: how long that took. `None` where it had to be killed, or
    /// did not end with 0.
    pub fn stop(&mut self) -> Option<Duration> {
        let from = now();
        self.signal("TERM");
        while from.elapsed() < STOP_TIME_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success().then(|| from.elapsed());
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// One HTTP answer, whole: the status and all bytes.
    ///
    /// # Errors
    /// There is none in time.
    pub fn http(&self, request: &str, patience: Duration) -> Result<(u16, Vec<u8>)> {
        let mut socket = self.ask(request)?;
        let deadline = now() + patience;
        let mut answer = Vec::new();
        let mut room = vec![0; 256 << 10];
        loop {
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                bail!("no whole answer within {patience:?}");
            }
            socket.set_read_timeout(Some(left))?;
            match socket.read(&mut room)? {
                0 => break,
                count => answer.extend_from_slice(&room[..count]),
            }
        }
        let status = answer.get(9..12).and_then(|text| std::str::from_utf8(text).ok());
        let status = status.and_then(|text| text.parse().ok()).context("no HTTP answer")?;
        Ok((status, answer))
    }

    /// Sends an HTTP request of these words, such as `GET /healthz`; its answer ends with the
    /// connection.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn ask(&self, request: &str) -> Result<TcpStream> {
        let mut socket = TcpStream::connect_timeout(&self.http, Duration::from_secs(10))?;
        let http = self.http;
        write!(socket, "{request} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n")?;
        Ok(socket)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
        forget(self.child.id());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Kills every broker that was started here.
pub fn stop_all() {
    for pid in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        signal(pid, "KILL");
    }
}

fn forget(pid: u32) {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|running| *running != pid);
}

fn signal(pid: u32, name: &str) {
    // One that has ended needs none.
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
}

fn status(pid: u32, line: &str) -> Option<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(Path::new(&path)).ok()?;
    let text = text.lines().find_map(|row| row.strip_prefix(line))?;
    let kilobytes: u64 = text.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes << 10)
}
