//! A TCF peer made of a socket and this folder's own codec.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::framing::{Decoder, EOM, EOS, ESC, bin_block, frame};
use super::message::{Message, base64_arg, binary, counted_arg, error_code, json};
use super::wait::{PATIENCE, now};

/// One answered `Streams.read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReply {
    pub data: Vec<u8>,
    pub code: i64,
    pub lost: i64,
    pub eos: bool,
}

impl ReadReply {
    /// Reads the four arguments, strictly: a client dereferences all of them.
    pub fn parse(args: &[Vec<u8>]) -> ReadReply {
        assert_eq!(args.len(), 4, "a read reply has four arguments: {args:?}");
        ReadReply {
            data: binary(&args[0]),
            code: error_code(&args[1]),
            lost: json(&args[2]).as_i64().expect("the lost size is a number"),
            eos: json(&args[3]).as_bool().expect("end of stream is a boolean"),
        }
    }
}

/// A peer under a test's control. It answers nothing by itself.
#[derive(Debug)]
pub struct RawPeer {
    socket: TcpStream,
    decoder: Decoder,
    inbox: VecDeque<Message>,
    next_token: u64,
    is_closed: bool,
    /// Whether this peer told the broker that it decodes BIN blocks and `(N)`.
    pub zero_copy: bool,
}

impl RawPeer {
    /// Connects, and sends nothing.
    pub fn connect(address: SocketAddr) -> RawPeer {
        let socket = TcpStream::connect_timeout(&address, PATIENCE).expect("the broker listens");
        socket.set_nodelay(true).expect("a socket option");
        RawPeer {
            socket,
            decoder: Decoder::default(),
            inbox: VecDeque::new(),
            next_token: 1,
            is_closed: false,
            zero_copy: false,
        }
    }

    /// Connects and exchanges Hellos.
    pub fn open(address: SocketAddr, services: &[&str]) -> RawPeer {
        let mut peer = RawPeer::connect(address);
        peer.hello(services);
        match peer.next_message() {
            Message::Event { service, name, args } if service == "Locator" && name == "Hello" => {
                assert_eq!(args.len(), 1, "a Hello has one argument");
            }
            other => panic!("the broker's Hello comes first, not {other:?}"),
        }
        peer
    }

    /// Sends a Hello.
    pub fn hello(&mut self, services: &[&str]) {
        self.zero_copy = services.contains(&"ZeroCopy");
        let list = serde_json::to_vec(services).expect("strings are JSON");
        self.send_fields(&[b"E", b"Locator", b"Hello", &list]);
    }

    /// The address of this end.
    pub fn local_address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a connected socket has an address")
    }

    /// A second handle of the socket, for a thread of the test's.
    pub fn try_clone_socket(&self) -> TcpStream {
        self.socket.try_clone().expect("a handle more")
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.try_send_raw(bytes).expect("the broker reads");
    }

    /// Sends bytes as they are; fails where the broker has closed.
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends a message of these fields, each with its NUL.
    pub fn send_fields(&mut self, fields: &[&[u8]]) {
        self.send_raw(&frame(&join(fields)));
    }

    /// Sends a command under a token of its own and gives the token.
    pub fn command(&mut self, service: &str, name: &str, args: &[&[u8]]) -> String {
        let token = self.next_token.to_string();
        self.next_token += 1;
        self.command_as(token.as_bytes(), service, name, args);
        token
    }

    /// Sends a command under a chosen token.
    pub fn command_as(&mut self, token: &[u8], service: &str, name: &str, args: &[&[u8]]) {
        let mut fields = vec![&b"C"[..], token, service.as_bytes(), name.as_bytes()];
        fields.extend_from_slice(args);
        self.send_fields(&fields);
    }

    /// Sends a command and waits for its reply, which must be an `R`: its arguments. What else
    /// comes meanwhile stays to be taken.
    pub fn call(&mut self, service: &str, name: &str, args: &[&[u8]]) -> Vec<Vec<u8>> {
        let token = self.command(service, name, args);
        self.reply(&token)
    }

    /// Waits for the reply to a token. What else comes meanwhile stays to be taken, in order.
    pub fn reply(&mut self, token: &str) -> Vec<Vec<u8>> {
        match self.take(|message| message.token() == Some(token.as_bytes())) {
            Message::Reply { args, .. } => args,
            other => panic!("a reply to {token}, not {other:?}"),
        }
    }

    /// Sends a command of `Streams` whose reply is an error report alone, and waits: the code.
    pub fn streams(&mut self, name: &str, args: &[&[u8]]) -> i64 {
        let reply = self.call("Streams", name, args);
        assert_eq!(reply.len(), 1, "{name} is answered with one argument: {reply:?}");
        error_code(&reply[0])
    }

    /// `Streams.read`, not waiting for its reply.
    pub fn start_read(&mut self, stream: &str, size: i64) -> String {
        self.command("Streams", "read", &[&quoted(stream), size.to_string().as_bytes()])
    }

    /// `Streams.read` and its reply.
    pub fn read(&mut self, stream: &str, size: i64) -> ReadReply {
        let token = self.start_read(stream, size);
        self.read_reply(&token)
    }

    /// The reply to a read.
    pub fn read_reply(&mut self, token: &str) -> ReadReply {
        ReadReply::parse(&self.reply(token))
    }

    /// `Streams.write`, not waiting for its reply; in the form that this peer's Hello suggests.
    pub fn start_write(&mut self, stream: &str, data: &[u8]) -> String {
        let size = data.len().to_string();
        let stream = quoted(stream);
        if !self.zero_copy {
            return self.command(
                "Streams",
                "write",
                &[&stream, size.as_bytes(), &base64_arg(data)],
            );
        }
        let token = self.next_token.to_string();
        self.next_token += 1;
        let head = join(&[b"C", token.as_bytes(), b"Streams", b"write", &stream, size.as_bytes()]);
        let mut args = counted_arg(data);
        args.push(0);
        let mut wire = head;
        bin_block(&args, &mut wire);
        wire.extend_from_slice(&[ESC, EOM]);
        self.send_raw(&wire);
        token
    }

    /// `Streams.write` and the code of its reply.
    pub fn write(&mut self, stream: &str, data: &[u8]) -> i64 {
        let token = self.start_write(stream, data);
        self.code_of(&token)
    }

    /// The code of a reply that is an error report alone.
    pub fn code_of(&mut self, token: &str) -> i64 {
        let reply = self.reply(token);
        assert_eq!(reply.len(), 1, "one argument: {reply:?}");
        error_code(&reply[0])
    }

    /// `Diagnostics.createTestStreams`: the stream to write and the one to read.
    pub fn create_test_streams(&mut self, input: u64, output: u64) -> (String, String) {
        let args = [input.to_string(), output.to_string()];
        let reply = self.call(
            "Diagnostics",
            "createTestStreams",
            &[args[0].as_bytes(), args[1].as_bytes()],
        );
        assert_eq!(error_code(&reply[0]), 0, "{reply:?}");
        (unquoted(&reply[1]), unquoted(&reply[2]))
    }

    /// `StreamBroker.introduce`, which must succeed.
    pub fn introduce(&mut self, introduction: Value) {
        let reply = self.call("StreamBroker", "introduce", &[introduction.to_string().as_bytes()]);
        assert_eq!(error_code(&reply[0]), 0, "{reply:?}");
    }

    /// `StreamBroker.create`, which must succeed: the stream's ID.
    pub fn create(&mut self, stream_type: &str, properties: Value) -> String {
        let reply = self.call(
            "StreamBroker",
            "create",
            &[&quoted(stream_type), properties.to_string().as_bytes()],
        );
        assert_eq!(error_code(&reply[0]), 0, "{}", reply[0].escape_ascii());
        assert_eq!(reply.len(), 2, "{reply:?}");
        unquoted(&reply[1])
    }

    /// `StreamBroker.attach`: the code and the object.
    pub fn attach(&mut self, stream: &str, options: Value) -> (i64, Value) {
        let reply =
            self.call("StreamBroker", "attach", &[&quoted(stream), options.to_string().as_bytes()]);
        (error_code(&reply[0]), reply.get(1).map_or(Value::Null, |arg| json(arg)))
    }

    /// `StreamBroker.list` of all types.
    pub fn list(&mut self) -> Vec<Value> {
        let reply = self.call("StreamBroker", "list", &[b"\"*\""]);
        assert_eq!(error_code(&reply[0]), 0, "{reply:?}");
        json(&reply[1]).as_array().expect("a list is an array").clone()
    }

    /// One stream's object in `list`, where it is there.
    pub fn listed(&mut self, stream: &str) -> Option<Value> {
        self.list().into_iter().find(|object| object["ID"] == stream)
    }

    /// `Locator.sync`: everything that this peer sent before has been started.
    pub fn sync(&mut self) {
        let reply = self.call("Locator", "sync", &[]);
        assert_eq!(reply, [b""], "sync is answered with one empty argument");
    }

    /// The next message, whatever it is.
    pub fn next_message(&mut self) -> Message {
        self.try_next(PATIENCE).unwrap_or_else(|| panic!("no message within {PATIENCE:?}"))
    }

    /// The first message, among those that came and those to come, that `wanted` wants.
    pub fn take(&mut self, mut wanted: impl FnMut(&Message) -> bool) -> Message {
        let mut index = 0;
        let deadline = now() + PATIENCE;
        loop {
            while index < self.inbox.len() {
                if wanted(&self.inbox[index]) {
                    return self.inbox.remove(index).expect("the index is inside");
                }
                index += 1;
            }
            let left = deadline.saturating_duration_since(now());
            let got = self.receive(left);
            assert!(got, "the message did not come; there are {:?}", self.inbox);
        }
    }

    /// The next event with this name, in the order of its kind.
    pub fn event(&mut self, name: &str) -> Vec<Vec<u8>> {
        let event =
            self.take(|message| matches!(message, Message::Event { name: got, .. } if got == name));
        match event {
            Message::Event { args, .. } => args,
            _ => unreachable!("only events are taken"),
        }
    }

    /// The next message, or `None` when none came in time.
    pub fn try_next(&mut self, patience: Duration) -> Option<Message> {
        if self.inbox.is_empty() {
            self.receive(patience);
        }
        self.inbox.pop_front()
    }

    /// What came until now and was not taken, after a round trip. A peer that is closed gives what
    /// is left.
    pub fn drain(&mut self) -> Vec<Message> {
        if !self.is_closed {
            self.sync();
        }
        self.inbox.drain(..).collect()
    }

    /// Sends our end of stream.
    pub fn send_end(&mut self) {
        self.send_raw(&[ESC, EOS, ESC, EOM]);
    }

    /// Closes in order and gives all that came before the broker's end of stream.
    pub fn close(mut self) -> Vec<Message> {
        self.send_end();
        let (before, report) = self.expect_end();
        assert!(report.is_empty(), "an orderly close: {}", report.escape_ascii());
        before
    }

    /// Waits for the broker's end of stream and its FIN: what came before, and the report.
    pub fn expect_end(&mut self) -> (Vec<Message>, Vec<u8>) {
        let mut before = Vec::new();
        loop {
            match self.next_message() {
                Message::End { report } => {
                    assert_eq!(self.next_message(), Message::Fin, "after the end of stream");
                    return (before, report);
                }
                Message::Fin => panic!("the broker closed without an end of stream: {before:?}"),
                other => before.push(other),
            }
        }
    }

    /// Waits for the broker to close with a report: its code.
    pub fn expect_error_end(&mut self) -> i64 {
        let (_, report) = self.expect_end();
        assert!(!report.is_empty(), "a report that says why");
        error_code(&report)
    }

    /// Half-closes: the broker sees our FIN.
    pub fn finish(&mut self) {
        self.socket.shutdown(Shutdown::Write).ok();
    }

    /// How many BIN blocks the broker has sent.
    pub fn bin_blocks(&self) -> u64 {
        self.decoder.bin_blocks()
    }

    /// Reads from the socket until at least one whole message came; false when none came in time.
    fn receive(&mut self, patience: Duration) -> bool {
        let deadline = now() + patience;
        let mut buf = [0u8; 65536];
        loop {
            if let Some(unit) = self.decoder.next_unit().expect("the broker's framing is right") {
                let message = Message::parse(unit).expect("the broker's messages are right");
                self.inbox.push_back(message);
                return true;
            }
            if self.is_closed {
                return false;
            }
            let left = deadline.saturating_duration_since(now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).expect("a socket option");
            match self.socket.read(&mut buf) {
                Ok(0) => {
                    assert!(!self.decoder.is_mid_unit(), "the broker closed inside a message");
                    self.is_closed = true;
                    self.inbox.push_back(Message::Fin);
                    return true;
                }
                Ok(count) => self.decoder.push(&buf[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.is_closed = true;
                    self.inbox.push_back(Message::Fin);
                    return true;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if now() >= deadline {
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the connection: {error}"),
            }
        }
    }
}

/// Fields with their NULs.
pub fn join(fields: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for field in fields {
        body.extend_from_slice(field);
        body.push(0);
    }
    body
}

/// A string argument.
pub fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string is JSON")
}

/// A string argument's text.
pub fn unquoted(arg: &[u8]) -> String {
    json(arg).as_str().expect("a string").to_owned()
}
