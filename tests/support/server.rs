//! A real broker in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::peer::RawPeer;
use super::signal::send_signal;
use super::tool::Tool;
use super::wait::{PATIENCE, wait_for};

/// A broker on ports of its own, killed when the test is done with it.
#[derive(Debug)]
pub struct TestServer {
    child: Child,
    address: SocketAddr,
    http: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl TestServer {
    /// A broker with two workers.
    pub fn start() -> TestServer {
        TestServer::start_with(&["--workers", "2"])
    }

    /// A broker with these flags besides its addresses.
    pub fn start_with(flags: &[&str]) -> TestServer {
        TestServer::launch("127.0.0.1:0", "127.0.0.1:0", flags)
    }

    /// A broker where this one was, which has ended.
    pub fn start_again(&self) -> TestServer {
        let (tcf, http) = (self.address.to_string(), self.http.to_string());
        TestServer::launch(&tcf, &http, &["--workers", "2"])
    }

    fn launch(listen: &str, http: &str, flags: &[&str]) -> TestServer {
        let mut child = Tool::command()
            .args(["serve", "--listen", listen, "--http", http, "--json"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the weir binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("nobody panics with the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let ready = Arc::new(Mutex::new(None));
        let stdout = child.stdout.take().expect("stdout is piped");
        let slot = Arc::clone(&ready);
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let read = stdout.read_line(&mut line);
            *slot.lock().expect("nobody panics with the line") = Some(read.map(|_| line));
            std::io::copy(&mut stdout, &mut std::io::sink()).ok();
        });
        let mut server = TestServer {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
        };
        let line = wait_for(PATIENCE, "the broker says that it is ready", || {
            ready.lock().expect("nobody panics with the line").take()
        })
        .expect("the ready line can be read");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!("the ready line {line:?} is JSON: {error}\n{}", server.log())
        });
        assert_eq!(told["ready"], true, "{line}");
        assert_eq!(told["pid"], server.child.id(), "{line}");
        server.address = parse_address(&told["listen"][0]);
        server.http = parse_address(&told["http"]);
        server
    }

    /// Where it listens for TCF.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The address as `--broker` takes it.
    pub fn broker(&self) -> String {
        self.address.to_string()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with the log").clone()
    }

    /// A peer with an open channel, without ZeroCopy.
    pub fn peer(&self) -> RawPeer {
        RawPeer::open(self.address, &["Locator"])
    }

    /// A peer with an open channel and ZeroCopy.
    pub fn zero_copy_peer(&self) -> RawPeer {
        RawPeer::open(self.address, &["ZeroCopy", "Locator"])
    }

    /// Where it answers HTTP.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The answer to an HTTP GET: its status and its body.
    pub fn http_get(&self, path: &str) -> (u16, String) {
        http_get(self.http, path)
    }

    /// `/stats`.
    pub fn stats(&self) -> Value {
        let (status, body) = self.http_get("/stats");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
    }

    /// Whether the process runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Checks that the process runs and serves a new peer.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn assert_well(&mut self) {
        assert!(self.is_running(), "the broker died:\n{}", self.log());
        self.peer().sync();
        let log = self.log();
        assert!(!log.contains("panicked at"), "the broker panicked:\n{log}");
    }

    /// The largest resident size that the process ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The resident size of the process, in bytes.
    pub fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, line: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(Path::new(&path)).expect("Linux tells of processes");
        let text = status.lines().find_map(|row| row.strip_prefix(line)).expect("the line exists");
        let kilobytes: u64 =
            text.trim().trim_end_matches(" kB").parse().expect("a number of kilobytes");
        kilobytes * 1024
    }

    /// Asks the broker to end (SIGTERM) and waits for it: its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait_for_end()
    }

    /// Sends a signal, `TERM` or another.
    pub fn signal(&self, name: &str) {
        send_signal(&self.child, name);
    }

    /// Waits until the process has ended: its exit code.
    pub fn wait_for_end(&mut self) -> Option<i32> {
        wait_for(PATIENCE, "the broker has ended", || {
            self.child.try_wait().expect("a child can be waited for")
        })
        .code()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the broker's last words:");
            for line in tail.into_iter().rev() {
                eprintln!("  {line}");
            }
        }
    }
}

fn parse_address(value: &Value) -> SocketAddr {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("address {value}"))
}

fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE).expect("HTTP is served");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("a request can be sent");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("an answer comes");
    let answer = String::from_utf8(answer).expect("an answer in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer with a head");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return (status, unchunk(body));
    }
    (status, body.to_owned())
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk size");
        body.push_str(&behind[..size]);
        rest = behind[size..].trim_start_matches("\r\n");
    }
    body
}
