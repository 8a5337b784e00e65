//! A TCF peer made of a socket: it says what it is told to, at any rate, and listens only when
//! asked.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::siege::now;
use socket2::{Domain, Socket, Type};

/// How long anything may take before a row gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long the broker may take nothing of what a peer says before it counts as not listening.
const UNHEARD: Duration = Duration::from_secs(2);
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes that the kernel keeps for a peer that does not read.
const DEAF_BUFFER_BYTES: usize = 4 << 10;

/// One message: its kind and its fields, without their NULs.
#[derive(Clone, Debug)]
pub struct Message {
    /// `R`, `E`, `N`; `Z` for the end of stream.
    pub kind: u8,
    /// What is behind the kind: the token of a reply, or the service and the name of an event; then
    /// arguments.
    pub fields: Vec<Vec<u8>>,
}

impl Message {
    fn parse(body: &[u8]) -> Message {
        let mut fields: Vec<Vec<u8>> = body.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
        // Each field has a NUL behind it.
        fields.pop();
        if fields.is_empty() {
            return Message { kind: 0, fields };
        }
        let kind = fields.remove(0).first().copied().unwrap_or(0);
        Message { kind, fields }
    }

    /// Whether it is the event `name`.
    pub fn is_event(&self, name: &str) -> bool {
        self.kind == b'E' && self.fields.get(1).is_some_and(|field| field == name.as_bytes())
    }

    /// Whether it is the reply to the command with this token.
    pub fn is_reply_to(&self, token: &str) -> bool {
        let is_reply = matches!(self.kind, b'R' | b'N');
        is_reply && self.fields.first().is_some_and(|field| field == token.as_bytes())
    }

    /// The code of a reply's error report; 0 for success.
    pub fn code(&self) -> i64 {
        match self.fields.get(1) {
            None => 0,
            Some(report) if report.is_empty() || report == b"null" => 0,
            Some(report) => {
                let report: Value = serde_json::from_slice(report).unwrap_or_default();
                report["Code"].as_i64().unwrap_or(-1)
            }
        }
    }

    /// An argument of a reply as JSON, behind the error report.
    pub fn result(&self, index: usize) -> Value {
        let field = self.fields.get(index + 2).map_or(&[][..], Vec::as_slice);
        serde_json::from_slice(field).unwrap_or_default()
    }
}

/// A peer.
#[derive(Debug)]
pub struct Peer {
    socket: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    taken: usize,
    next_token: u64,
    /// Put before each token.
    pub token_front: String,
}

impl Peer {
    /// Connects, and says nothing.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(address: SocketAddr) -> Result<Peer> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE).context("connecting")?;
        Peer::over(socket)
    }

    /// Connects with so little room in the kernel that what the peer does not read stays with the
    /// broker.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect_deaf(address: SocketAddr) -> Result<Peer> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_recv_buffer_size(DEAF_BUFFER_BYTES)?;
        socket.connect_timeout(&address.into(), PATIENCE).context("connecting")?;
        Peer::over(socket.into())
    }

    fn over(socket: TcpStream) -> Result<Peer> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(UNHEARD))?;
        Ok(Peer {
            socket,
            output: Vec::new(),
            input: Vec::new(),
            taken: 0,
            next_token: 1,
            token_front: String::new(),
        })
    }

    /// Connects and exchanges Hellos.
    ///
    /// # Errors
    /// The broker does not.
    pub fn open(address: SocketAddr) -> Result<Peer> {
        Peer::connect(address)?.greeted()
    }

    /// The same for a peer that will not read: see `connect_deaf`.
    ///
    /// # Errors
    /// The broker does not exchange Hellos.
    pub fn open_deaf(address: SocketAddr) -> Result<Peer> {
        Peer::connect_deaf(address)?.greeted()
    }

    fn greeted(mut self) -> Result<Peer> {
        self.hello(b"[\"Locator\"]")?;
        let hello = self.message(PATIENCE)?.context("no Hello")?;
        ensure!(hello.is_event("Hello"), "not a Hello: {hello:?}");
        Ok(self)
    }

    /// Says Hello with this list of services.
    ///
    /// # Errors
    /// The connection is broken, or the broker does not listen.
    pub fn hello(&mut self, services: &[u8]) -> Result<()> {
        self.put(&[b"E", b"Locator", b"Hello", services]);
        ensure!(self.flush()?, "the broker does not take a Hello");
        Ok(())
    }

    /// Puts bytes behind what is to be sent, as they are.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    fn put(&mut self, fields: &[&[u8]]) {
        for field in fields {
            for (index, part) in field.split(|&byte| byte == 3).enumerate() {
                if index > 0 {
                    self.output.extend_from_slice(&[3, 0]);
                }
                self.output.extend_from_slice(part);
            }
            self.output.push(0);
        }
        self.output.extend_from_slice(&[3, 1]);
    }

    /// Puts a command behind what is to be sent; its token.
    pub fn queue(&mut self, service: &str, name: &str, args: &[&[u8]]) -> String {
        let token = format!("{}{}", self.token_front, self.next_token);
        self.next_token += 1;
        let mut fields = vec![&b"C"[..], token.as_bytes(), service.as_bytes(), name.as_bytes()];
        fields.extend_from_slice(args);
        self.put(&fields);
        token
    }

    /// Bytes that are still to be sent.
    pub fn unsent(&self) -> usize {
        self.output.len()
    }

    /// Sends what is to be sent. False where the broker has taken nothing for a while: the rest
    /// stays.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> Result<bool> {
        let mut sent = 0;
        let outcome = loop {
            if sent == self.output.len() {
                break Ok(true);
            }
            match self.socket.write(&self.output[sent..]) {
                Ok(count) => sent += count,
                Err(error) if is_timeout(&error) => break Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error.into()),
            }
        };
        self.output.drain(..sent);
        outcome
    }

    /// The next message, or `None` when none came in time.
    ///
    /// # Errors
    /// The connection has ended or is broken.
    pub fn message(&mut self, patience: Duration) -> Result<Option<Message>> {
        let deadline = now() + patience;
        let mut looked_at = self.taken;
        loop {
            if let Some(end) = find_end(&self.input, &mut looked_at) {
                let body = unescape(&self.input[self.taken..end]);
                self.taken = end + 2;
                return Ok(Some(body));
            }
            if self.taken > 0 {
                self.input.drain(..self.taken);
                looked_at -= self.taken;
                self.taken = 0;
            }
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            let at = self.input.len();
            self.input.resize(at + READ_BYTES, 0);
            let outcome = self.socket.read(&mut self.input[at..]);
            self.input.truncate(at + *outcome.as_ref().unwrap_or(&0));
            match outcome {
                Ok(0) => bail!("the broker has closed the connection"),
                Ok(_) => {}
                Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The reply to a token; other messages go by.
    ///
    /// # Errors
    /// It does not come.
    pub fn reply(&mut self, token: &str) -> Result<Message> {
        loop {
            let message = self.message(PATIENCE)?;
            let message = message.with_context(|| format!("no reply within {PATIENCE:?}"))?;
            if message.is_reply_to(token) {
                return Ok(message);
            }
        }
    }

    /// Sends a command and waits for its reply.
    ///
    /// # Errors
    /// It does not come.
    pub fn call(&mut self, service: &str, name: &str, args: &[&[u8]]) -> Result<Message> {
        let token = self.queue(service, name, args);
        let deadline = now() + PATIENCE;
        while !self.flush()? {
            ensure!(now() < deadline, "the broker does not listen");
        }
        self.reply(&token)
    }

    /// Creates a stream: its ID.
    ///
    /// # Errors
    /// It is refused.
    pub fn create(&mut self, stream_type: &str, properties: &Value) -> Result<String> {
        let (kind, properties) = (quoted(stream_type), properties.to_string());
        let reply = self.call("StreamBroker", "create", &[&kind, properties.as_bytes()])?;
        ensure!(reply.code() == 0, "create is refused with {}", show(&reply));
        Ok(reply.result(0).as_str().context("an ID")?.to_owned())
    }

    /// Creates up to `count` streams, many at once: their IDs. It ends early where one is refused.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn create_many(
        &mut self,
        count: usize,
        mut stream: impl FnMut(usize) -> (String, Value),
    ) -> Result<Vec<String>> {
        /// Sent before their replies are read.
        const BATCH: usize = 256;
        let mut ids = Vec::with_capacity(count);
        let mut next = 0;
        while next < count {
            let batch = BATCH.min(count - next);
            for index in next..next + batch {
                let (kind, properties) = stream(index);
                let properties = properties.to_string();
                self.queue("StreamBroker", "create", &[&quoted(&kind), properties.as_bytes()]);
                if self.unsent() > 1 << 20 {
                    ensure!(self.flush()?, "the broker does not listen");
                }
            }
            ensure!(self.flush()?, "the broker does not listen");
            let mut is_refused = false;
            let mut answered = 0;
            while answered < batch {
                let message = self.message(PATIENCE)?.context("no reply to create")?;
                if message.kind != b'R' {
                    continue;
                }
                answered += 1;
                match message.result(0).as_str() {
                    Some(id) if message.code() == 0 => ids.push(id.to_owned()),
                    _ => is_refused = true,
                }
            }
            if is_refused {
                break;
            }
            next += batch;
        }
        Ok(ids)
    }

    /// `attach` with these options: the reply's code.
    ///
    /// # Errors
    /// There is no reply.
    pub fn attach(&mut self, stream: &str, options: &Value) -> Result<i64> {
        let options = options.to_string();
        let reply = self.call("StreamBroker", "attach", &[&quoted(stream), options.as_bytes()])?;
        Ok(reply.code())
    }

    /// Puts a write of these base64 characters, which stand for `size` bytes.
    pub fn queue_write(&mut self, stream: &str, size: usize, base64: &str) -> String {
        let size = size.to_string();
        self.queue("Streams", "write", &[&quoted(stream), size.as_bytes(), &quoted(base64)])
    }

    /// Puts a read.
    pub fn queue_read(&mut self, stream: &str, size: usize) -> String {
        self.queue("Streams", "read", &[&quoted(stream), size.to_string().as_bytes()])
    }

    /// A round trip that touches no stream.
    ///
    /// # Errors
    /// It does not come back.
    pub fn echo(&mut self) -> Result<Duration> {
        let from = now();
        self.call("Diagnostics", "echo", &[b"\"quiet\""])?;
        Ok(from.elapsed())
    }

    /// Whether the command with this token is answered before `patience` passes without a message.
    pub fn is_answered(&mut self, token: &str, patience: Duration) -> Result<bool> {
        while let Some(message) = self.message(patience)? {
            if message.is_reply_to(token) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Throws away what has come, without waiting: how many bytes. `None` where the connection is
    /// over.
    pub fn discard(&mut self, room: &mut [u8]) -> Option<usize> {
        self.socket.set_nonblocking(true).ok()?;
        let mut count = 0;
        let outcome = loop {
            match self.socket.read(room) {
                Ok(0) => break None,
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Some(count),
                Err(_) => break None,
            }
        };
        self.socket.set_nonblocking(false).ok()?;
        outcome
    }

    /// Waits until the broker has said something, and leaves it there.
    ///
    /// # Errors
    /// It says nothing.
    pub fn await_answer(&self) -> Result<()> {
        self.socket.set_read_timeout(Some(PATIENCE))?;
        self.socket.peek(&mut [0])?;
        Ok(())
    }

    /// Takes in a byte, if there is one.
    pub fn nibble(&mut self) {
        if self.socket.set_nonblocking(true).is_ok() {
            let _ = self.socket.read(&mut [0]);
            let _ = self.socket.set_nonblocking(false);
        }
    }

    /// Half-closes.
    pub fn finish(&self) {
        // A connection that is broken already is as good.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Its socket, for whoever polls many.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }
}

/// A string argument.
pub fn quoted(text: &str) -> Vec<u8> {
    format!("\"{text}\"").into_bytes()
}

/// A reply, for people.
pub fn show(reply: &Message) -> String {
    let report = reply.fields.get(1).map_or(&[][..], Vec::as_slice);
    report[..report.len().min(200)].escape_ascii().to_string()
}

/// The zero bytes of a write, in base64.
pub fn zeros(size: usize) -> String {
    let mut text = "A".repeat(size.div_ceil(3) * 4);
    let pad = (3 - size % 3) % 3;
    text.truncate(text.len() - pad);
    text + &"=".repeat(pad)
}

/// A whole write, its data raw in a BIN block. Its token is `w`.
pub fn raw_write(stream: &str, size: usize) -> Vec<u8> {
    let mut message = b"C\x00w\x00Streams\x00write\x00".to_vec();
    message.extend_from_slice(&quoted(stream));
    message.extend_from_slice(format!("\x00{size}\x00({size})\x03\x03").as_bytes());
    // The block's length: seven bits a byte, and a mark on all but the last.
    message
        .extend((0..4).map(|at| (size >> (7 * at)) as u8 & 0x7f | if at < 3 { 0x80 } else { 0 }));
    message.extend(std::iter::repeat_n(b'w', size));
    message.extend_from_slice(b"\x00\x03\x01");
    message
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Where the message that begins behind `looked_at` ends: at its `03 01`.
fn find_end(input: &[u8], looked_at: &mut usize) -> Option<usize> {
    while let Some(found) = input[*looked_at..].iter().position(|&byte| byte == 3) {
        let at = *looked_at + found;
        match input.get(at + 1) {
            None => {
                *looked_at = at;
                return None;
            }
            Some(1) => return Some(at),
            Some(_) => *looked_at = at + 2,
        }
    }
    *looked_at = input.len();
    None
}

/// The message without its escapes. The broker sends no BIN blocks to a peer without ZeroCopy.
fn unescape(bytes: &[u8]) -> Message {
    if bytes.starts_with(&[3, 2]) {
        return Message { kind: b'Z', fields: vec![bytes[2..].to_vec()] };
    }
    if !bytes.contains(&3) {
        return Message::parse(bytes);
    }
    let mut body = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        body.push(byte);
        if byte == 3 {
            rest.next();
        }
    }
    Message::parse(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_base64_of_the_size_asked_for() {
        assert_eq!(zeros(1), "AA==");
        assert_eq!(zeros(2), "AAA=");
        assert_eq!(zeros(3), "AAAA");
        assert_eq!(zeros(4), "AAAAAA==");
    }

    #[test]
    fn messages_are_found_behind_escapes() {
        let input = b"R\x001\x00\x03\x00x\x00\x03\x01R";
        let mut at = 0;
        let end = find_end(input, &mut at).expect("a whole message");
        let message = unescape(&input[..end]);
        assert_eq!(message.fields, [b"1".to_vec(), b"\x03x".to_vec()]);
        let mut rest = end + 2;
        assert_eq!(find_end(input, &mut rest), None);
    }
}
