//! A plain HTTP client on a socket: what goes over the wire is what the test says.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::wait::{PATIENCE, now};

/// An answer whose body may still be coming.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    socket: TcpStream,
    /// What came and is not decoded.
    raw: Vec<u8>,
    body: Vec<u8>,
    is_chunked: bool,
    length: Option<usize>,
    /// Whether the body is whole.
    pub is_whole: bool,
    is_over: bool,
    pub trailers: Vec<(String, String)>,
}

/// Connects and sends a request's head; `lines` are header lines besides Host.
pub fn send_head(address: SocketAddr, request: &str, lines: &[&str]) -> TcpStream {
    send_head_to(address, request, &[&[&format!("Host: {address}")[..]], lines].concat())
}

/// The same without a Host of its own.
pub fn send_head_to(address: SocketAddr, request: &str, lines: &[&str]) -> TcpStream {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE).expect("HTTP is served");
    let mut head = format!("{request} HTTP/1.1\r\n");
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).expect("a request can be sent");
    socket
}

/// Sends a request without a body and waits for the answer's head.
pub fn request(address: SocketAddr, request: &str, lines: &[&str]) -> Answer {
    Answer::of(send_head(address, request, lines), !request.starts_with("HEAD "))
}

impl Answer {
    /// Waits for the head of an answer; `has_body` is false for that to HEAD.
    pub fn of(mut socket: TcpStream, has_body: bool) -> Answer {
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        let mut raw = Vec::new();
        let at = loop {
            if let Some(at) = find(&raw, b"\r\n\r\n") {
                break at;
            }
            let mut buf = [0; 4096];
            let count = socket.read(&mut buf).expect("an answer comes");
            assert!(count > 0, "the connection ended in the head: {}", raw.escape_ascii());
            raw.extend_from_slice(&buf[..count]);
        };
        let head = String::from_utf8(raw[..at].to_vec()).expect("a head in UTF-8");
        let rest = raw.split_off(at + 4);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        let headers: Vec<(String, String)> = lines.map(header).collect();
        let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, v)| v);
        let is_chunked = find("transfer-encoding").is_some_and(|value| value == "chunked");
        let length = find("content-length").map(|text| text.parse().expect("a number"));
        Answer {
            status: status.parse().expect("a status is a number"),
            socket,
            raw: rest,
            body: Vec::new(),
            is_chunked,
            length: if has_body { length } else { Some(0) },
            headers,
            is_whole: false,
            is_over: false,
            trailers: Vec::new(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    pub fn number(&self, name: &str) -> u64 {
        self.header(name).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// What of the body is here, without waiting for more.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Waits until the body satisfies `wanted`, or is over.
    pub fn read_until(&mut self, mut wanted: impl FnMut(&[u8]) -> bool) {
        let deadline = now() + PATIENCE;
        self.decode();
        while !self.is_over && !wanted(&self.body) {
            assert!(now() < deadline, "waited in vain; there is {}", self.body.escape_ascii());
            self.receive();
        }
    }

    /// Waits for the whole body.
    pub fn text(&mut self) -> String {
        self.read_until(|_| false);
        String::from_utf8(self.body.clone()).expect("a body in UTF-8")
    }

    /// Waits for the whole body, however it ends.
    pub fn bytes(&mut self) -> &[u8] {
        self.read_until(|_| false);
        &self.body
    }

    fn receive(&mut self) {
        self.socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket option");
        let mut buf = vec![0; 256 << 10];
        match self.socket.read(&mut buf) {
            Ok(0) => {
                self.is_whole |= !self.is_chunked && self.length.is_none();
                self.is_over = true;
            }
            Ok(count) => {
                self.raw.extend_from_slice(&buf[..count]);
                self.decode();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.is_over = true,
            Err(error) => panic!("the connection: {error}"),
        }
    }

    fn decode(&mut self) {
        if self.is_over {
            return;
        }
        if !self.is_chunked {
            self.body.append(&mut self.raw);
            if self.length.is_some_and(|length| self.body.len() >= length) {
                (self.is_whole, self.is_over) = (true, true);
            }
            return;
        }
        let mut used = 0;
        while let Some(line) = find(&self.raw[used..], b"\r\n") {
            let size = std::str::from_utf8(&self.raw[used..used + line]).expect("a chunk size");
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk size");
            let start = used + line + 2;
            if size == 0 {
                let Some(end) = find(&self.raw[used + line..], b"\r\n\r\n") else { break };
                let text = String::from_utf8(self.raw[start..used + line + end + 2].to_vec());
                let lines = text.expect("trailers in UTF-8");
                self.trailers = lines.lines().filter(|line| !line.is_empty()).map(header).collect();
                (self.is_whole, self.is_over) = (true, true);
                return;
            }
            if self.raw.len() < start + size + 2 {
                break;
            }
            self.body.extend_from_slice(&self.raw[start..start + size]);
            used = start + size + 2;
        }
        self.raw.drain(..used);
    }
}

fn header(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect("a header has a colon");
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
