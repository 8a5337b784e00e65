//! A headless Chromium, driven over WebDriver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::wait::{PATIENCE, wait_until};

/// How long the driver may take for one command.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);

/// One browser with one page.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Where driver and browser put their files, which they do not all take away. Goes last.
    _files: TempDir,
}

impl Browser {
    /// Starts a browser with a window of this size.
    pub fn start(width: u32, height: u32) -> Browser {
        let files = tempfile::tempdir().expect("a temporary folder");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", files.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver can be run (Debian: apt-get install chromium-driver)");
        let stdout = driver.stdout.take().expect("stdout is piped");
        let port = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split("successfully on port ").nth(1).map(digits))
            .expect("chromedriver tells its port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut browser = Browser { driver, address, session: String::new(), _files: files };
        // The sandbox needs rights that neither root nor a container has; the page is our own.
        let arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments},
        }}});
        let made = browser.ask("POST", "/session", &capabilities);
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser.resize(width, height);
        browser
    }

    /// Gives the page this many CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Makes the page prefer a colour scheme, `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features);
    }

    fn devtools(&self, command: &str, params: Value) {
        let body = json!({"cmd": command, "params": params});
        self.command("/goog/cdp/execute", &body);
    }

    /// Opens an address.
    pub fn open(&self, url: &str) {
        self.command("/url", &json!({"url": url}));
    }

    /// Runs JavaScript in the page: what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression in the page is true.
    pub fn wait_until(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        wait_until(PATIENCE, what, || self.run(&script) == json!(true));
    }

    /// Presses a key, by WebDriver's code or character, where the focus is.
    pub fn press(&self, key: &str) {
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let actions = json!({"actions": [{"type": "key", "id": "keys", "actions": keys}]});
        self.command("/actions", &actions);
    }

    /// What the page wrote to its console that is an error, and what the browser refused it.
    pub fn errors(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().expect("a list").iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut socket = TcpStream::connect(self.address).expect("chromedriver listens");
        socket.set_read_timeout(Some(COMMAND_PATIENCE)).expect("a socket option");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        socket.write_all(request.as_bytes()).expect("chromedriver reads");
        let (status, body) = read_answer(socket);
        let told: Value = serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error} in {}", body.escape_ascii()));
        assert!(status.contains(" 200 "), "{method} {path}: {told}");
        told["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let path = format!("/session/{}", self.session);
            if let Ok(mut socket) = TcpStream::connect(self.address) {
                let request = format!("DELETE {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
                // The driver ends the browser, and answers when it has.
                socket.set_read_timeout(Some(PATIENCE)).ok();
                socket.write_all(request.as_bytes()).ok();
                BufReader::new(socket).read_line(&mut String::new()).ok();
            }
        }
        // Asked to end, unlike killed, the driver takes along what browsers it still has.
        Command::new("kill").arg(self.driver.id().to_string()).status().ok();
        self.driver.wait().ok();
    }
}

/// The status line and the body; the driver keeps the connection open behind them.
fn read_answer(socket: TcpStream) -> (String, Vec<u8>) {
    let mut socket = BufReader::new(socket);
    let mut line = || {
        let mut line = String::new();
        socket.read_line(&mut line).expect("chromedriver answers");
        line.trim_end().to_owned()
    };
    let status = line();
    let mut size = 0;
    loop {
        let header = line().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            size = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; size];
    socket.read_exact(&mut body).expect("the whole body");
    (status, body)
}

fn digits(text: &str) -> u16 {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().expect("a port")
}
