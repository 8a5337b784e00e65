//! A blocking TCF channel, for what comes before the load.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::bench::{BenchError, Intake, Opened};
use crate::wire::{
    Arguments, ErrorReport, Frame, Framer, Header, MessageWriter, Output, WireLimits,
};

/// How long a peer may take to accept, and for each answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Commands sent before their replies are waited for.
const PIPELINE: usize = 256;

/// End of stream, end of message: what a channel says last.
pub(crate) const END: &[u8] = b"\x03\x02\x03\x01";

/// An open channel.
#[derive(Debug)]
pub(crate) struct Setup {
    socket: TcpStream,
    framer: Framer,
    limits: WireLimits,
    /// What came, and how much of it the framer has taken.
    received: Vec<u8>,
    taken: usize,
    token: u64,
    services: Vec<String>,
}

impl Setup {
    /// Connects and exchanges Hellos. `zero_copy` says whether ours lists `ZeroCopy`.
    pub(crate) fn open(address: SocketAddr, zero_copy: bool) -> Result<Setup, BenchError> {
        let unreachable = |error| BenchError::Unreachable { address: address.to_string(), error };
        let socket = TcpStream::connect_timeout(&address, TIMEOUT).map_err(unreachable)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let limits = WireLimits::default();
        let mut channel = Setup {
            socket,
            framer: Framer::new(limits.clone()),
            limits,
            received: Vec::new(),
            taken: 0,
            token: 0,
            services: Vec::new(),
        };
        let address = address.to_string();
        channel.exchange_hellos(zero_copy).map_err(|error| match error {
            BenchError::Closed { report: None } => {
                let reason = "it closed the connection without a Hello".to_owned();
                BenchError::NotTcf { address, reason }
            }
            BenchError::Broken(error) => BenchError::NotTcf { address, reason: error.to_string() },
            BenchError::Misbehaved(reason) => BenchError::NotTcf { address, reason },
            other => other,
        })?;
        Ok(channel)
    }

    fn exchange_hellos(&mut self, zero_copy: bool) -> Result<(), BenchError> {
        self.socket.write_all(&hello(zero_copy))?;
        while self.services.is_empty() {
            self.services = self.next(|header, mut arguments| match header {
                Header::Event { service, name }
                    if *service == *b"Locator" && *name == *b"Hello" =>
                {
                    let names = arguments.json()?;
                    let names = names.as_array().into_iter().flatten();
                    Ok(names.filter_map(|name| Some(name.as_str()?.to_owned())).collect())
                }
                _ => Ok(Vec::new()),
            })?;
        }
        Ok(())
    }

    /// Whether the peer's Hello listed a service.
    pub(crate) fn has_service(&self, service: &str) -> bool {
        self.services.iter().any(|name| name == service)
    }

    /// `StreamBroker.create`.
    pub(crate) fn create(
        &mut self,
        stream_type: &str,
        properties: &Value,
    ) -> Result<String, BenchError> {
        self.send("StreamBroker", "create", |message| {
            message.string(stream_type).json(properties)
        })?;
        self.reply("StreamBroker.create", |arguments| Ok(arguments.string()?.into_owned()))
    }

    /// `Diagnostics.createTestStreams`: the IDs of the ends to write to and to read from.
    pub(crate) fn create_test_streams(
        &mut self,
        bytes: u64,
    ) -> Result<(String, String), BenchError> {
        self.send("Diagnostics", "createTestStreams", |message| {
            message.integer(bytes).integer(bytes)
        })?;
        self.reply("Diagnostics.createTestStreams", |arguments| {
            let write = arguments.string()?.into_owned();
            Ok((write, arguments.string()?.into_owned()))
        })
    }

    /// A command whose reply is an error report.
    pub(crate) fn call(
        &mut self,
        service: &str,
        name: &str,
        arguments: impl FnOnce(MessageWriter<'_>) -> MessageWriter<'_>,
    ) -> Result<(), BenchError> {
        self.send(service, name, arguments)?;
        self.reply(&format!("{service}.{name}"), |_| Ok(()))
    }

    /// The same command for each of `items`, many under way at once.
    pub(crate) fn call_each<T>(
        &mut self,
        service: &str,
        name: &str,
        items: &[T],
        arguments: impl for<'w> Fn(MessageWriter<'w>, &T) -> MessageWriter<'w>,
    ) -> Result<(), BenchError> {
        for chunk in items.chunks(PIPELINE) {
            for item in chunk {
                self.send(service, name, |message| arguments(message, item))?;
            }
            for _ in chunk {
                self.reply(&format!("{service}.{name}"), |_| Ok(()))?;
            }
        }
        Ok(())
    }

    /// The connection for the load.
    pub(crate) fn into_opened(mut self, first: Vec<u8>, intake: Box<dyn Intake>) -> Opened {
        self.received.drain(..self.taken);
        Opened { socket: self.socket, received: self.received, first, intake }
    }

    /// Ends the channel; the peer's end is not waited for.
    pub(crate) fn end(mut self) {
        // Who has gone already cannot be told.
        let _ = self.socket.write_all(END);
    }

    fn send(
        &mut self,
        service: &str,
        name: &str,
        arguments: impl FnOnce(MessageWriter<'_>) -> MessageWriter<'_>,
    ) -> Result<(), BenchError> {
        let mut output = Output::default();
        let token = self.token.to_string();
        self.token += 1;
        let message = MessageWriter::command(&mut output, false, token.as_bytes(), service, name);
        arguments(message).end();
        self.socket.write_all(&output.to_vec())?;
        Ok(())
    }

    /// Waits for the next reply, and reads what is behind its error report.
    fn reply<T>(
        &mut self,
        command: &str,
        read: impl Fn(&mut Arguments<'_>) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        loop {
            let refused = |text| BenchError::Refused { command: command.to_owned(), text };
            let result = self.next(|header, mut arguments| match header {
                Header::Reply { .. } => {
                    if let Some(text) = ErrorReport::describe(&arguments.json()?) {
                        return Err(refused(text));
                    }
                    read(&mut arguments).map(Some)
                }
                Header::NotRecognized { .. } => Err(refused("it does not know it".to_owned())),
                _ => Ok(None),
            })?;
            if let Some(result) = result {
                return Ok(result);
            }
        }
    }

    /// Waits for the next message.
    fn next<T>(
        &mut self,
        read: impl FnOnce(Header<'_>, Arguments<'_>) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        loop {
            let mut input = &self.received[self.taken..];
            let before = input.len();
            let frame = self.framer.decode(&mut input)?;
            self.taken += before - input.len();
            match frame {
                Some(Frame::Message(body)) => {
                    let (header, arguments) = body.open(&self.limits)?;
                    return read(header, arguments);
                }
                Some(Frame::EndOfStream) => return Err(BenchError::Closed { report: None }),
                None => {}
            }
            let mut buf = [0; 16 << 10];
            let count = self.socket.read(&mut buf).map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => {
                    let silent = format!("it has said nothing for {} s", TIMEOUT.as_secs());
                    io::Error::new(io::ErrorKind::TimedOut, silent)
                }
                _ => error,
            })?;
            if count == 0 {
                return Err(BenchError::Closed { report: None });
            }
            self.received.clear();
            self.taken = 0;
            self.received.extend_from_slice(&buf[..count]);
        }
    }
}

/// Our Hello.
pub(crate) fn hello(zero_copy: bool) -> Vec<u8> {
    let services: &[u8] = if zero_copy { b"[\"ZeroCopy\",\"Locator\"]" } else { b"[\"Locator\"]" };
    let mut output = Output::default();
    MessageWriter::event(&mut output, false, "Locator", "Hello").raw(services).end();
    output.to_vec()
}
