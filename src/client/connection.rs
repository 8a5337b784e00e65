//! A connection that makes one call at a time.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::client::joint::Joint;
use crate::client::{
    Address, AttachOptions, Attached, CallId, ClientError, CreateOptions, Event, Introduction, Key,
    ReadReply, Receiver, Reply, Sender, StreamEntry,
};
use crate::endpoint::Endpoint;
use crate::wire::WireLimits;

/// Idle time after which the system asks whether the peer is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long it waits for an answer before it asks again, some times.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Whether our Hello lists `ZeroCopy`, so that the peer may send binary data as it is.
    pub zero_copy: bool,
    /// How long the peer may take to accept, and again to say Hello.
    pub timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> ConnectOptions {
        ConnectOptions { zero_copy: true, timeout: Duration::from_secs(10) }
    }
}

/// An open TCF channel: both Hellos are said.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    receiver: Receiver,
    services: Vec<String>,
}

impl Connection {
    /// Connects with the usual options.
    pub fn connect(address: &Address) -> Result<Connection, ClientError> {
        Connection::connect_with(address, &ConnectOptions::default())
    }

    /// Connects and exchanges Hellos.
    pub fn connect_with(
        address: &Address,
        options: &ConnectOptions,
    ) -> Result<Connection, ClientError> {
        let unreachable = |error| ClientError::Unreachable { address: address.to_string(), error };
        let socket = open_socket(address, options.timeout).map_err(unreachable)?;
        socket.set_read_timeout(Some(options.timeout)).map_err(unreachable)?;
        let services: &[&str] = match options.zero_copy {
            true => &["ZeroCopy", "Locator"],
            false => &["Locator"],
        };
        // A list of very many streams is one argument; the peer is one that we chose.
        let limits = WireLimits { argument_bytes_max: 32 << 20, ..WireLimits::default() };
        let (inbound, outbound) = Endpoint::open(services, &limits).split();
        let joint = Arc::new(Joint::new(socket, outbound));
        joint.flush().map_err(unreachable)?;
        let mut receiver = Receiver::new(Arc::clone(&joint), inbound, limits);
        let services = receiver.receive_hello().map_err(|error| no_hello(address, error))?;
        joint.socket.set_read_timeout(None).map_err(unreachable)?;
        Ok(Connection { sender: Sender::new(joint), receiver, services })
    }

    /// The services that the peer's Hello listed.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// Whether the peer's Hello listed a service.
    pub fn has_service(&self, service: &str) -> bool {
        self.services.iter().any(|name| name == service)
    }

    /// Queues who is at this end, for a peer that may want to know.
    pub fn introduce(&self, introduction: &Introduction) {
        if self.has_service("StreamBroker") {
            self.sender.introduce(introduction);
        }
    }

    /// Parts the connection, so that commands can overlap. Nothing that came is lost.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// The writing half, for commands whose replies are waited for later.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The receiving half.
    pub fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    /// Sends what is queued and waits for the reply to `call`.
    pub fn wait(&mut self, call: CallId) -> Result<Reply, ClientError> {
        // Where sending fails the peer may have said why: the receiving half knows better.
        let _ = self.sender.flush();
        self.receiver.wait(call)
    }

    /// The next event, waiting for it.
    pub fn wait_event(&mut self) -> Result<Event, ClientError> {
        let _ = self.sender.flush();
        self.receiver.wait_event()
    }

    /// `Streams.subscribe`.
    pub fn subscribe(&mut self, stream_type: &str) -> Result<(), ClientError> {
        let call = self.sender.subscribe(stream_type);
        self.wait(call).map(drop)
    }

    /// `Streams.unsubscribe`.
    pub fn unsubscribe(&mut self, stream_type: &str) -> Result<(), ClientError> {
        let call = self.sender.unsubscribe(stream_type);
        self.wait(call).map(drop)
    }

    /// `Streams.connect`.
    pub fn connect_stream(&mut self, stream: &str) -> Result<(), ClientError> {
        let call = self.sender.connect(stream);
        self.wait(call).map(drop)
    }

    /// `Streams.disconnect`.
    pub fn disconnect_stream(&mut self, stream: &str) -> Result<(), ClientError> {
        let call = self.sender.disconnect(stream);
        self.wait(call).map(drop)
    }

    /// `Streams.read`, waiting for bytes or the end.
    pub fn read(&mut self, stream: &str, size: u64) -> Result<ReadReply, ClientError> {
        let call = self.sender.read(stream, size);
        match self.wait(call)? {
            Reply::Read(reply) => Ok(reply),
            other => mismatch(&other),
        }
    }

    /// `Streams.write`, waiting until the broker has taken the bytes.
    pub fn write(&mut self, stream: &str, data: impl Into<Bytes>) -> Result<(), ClientError> {
        let call = self.sender.write(stream, data.into());
        self.wait(call).map(drop)
    }

    /// `Streams.eos`.
    pub fn eos(&mut self, stream: &str) -> Result<(), ClientError> {
        let call = self.sender.eos(stream);
        self.wait(call).map(drop)
    }

    /// `StreamBroker.create`: the new stream's ID.
    pub fn create(
        &mut self,
        stream_type: &str,
        options: &CreateOptions,
    ) -> Result<String, ClientError> {
        let call = self.sender.create(stream_type, options);
        match self.wait(call)? {
            Reply::Created(id) => Ok(id),
            other => mismatch(&other),
        }
    }

    /// `StreamBroker.dispose`.
    pub fn dispose(&mut self, stream: &str) -> Result<(), ClientError> {
        let call = self.sender.dispose(stream);
        self.wait(call).map(drop)
    }

    /// `StreamBroker.list`, oldest stream first.
    pub fn list(&mut self, stream_type: Option<&str>) -> Result<Vec<StreamEntry>, ClientError> {
        let call = self.sender.list(stream_type);
        match self.wait(call)? {
            Reply::Listed(entries) => Ok(entries),
            other => mismatch(&other),
        }
    }

    /// `StreamBroker.attach`.
    pub fn attach(
        &mut self,
        stream: &str,
        options: &AttachOptions,
    ) -> Result<Attached, ClientError> {
        let call = self.sender.attach(stream, options);
        match self.wait(call)? {
            Reply::Attached(attached) => Ok(attached),
            other => mismatch(&other),
        }
    }

    /// `StreamBroker.adopt`: how many bytes the stream has accepted.
    pub fn adopt(&mut self, stream: &str, key: &Key) -> Result<u64, ClientError> {
        let call = self.sender.adopt(stream, key);
        match self.wait(call)? {
            Reply::Adopted(position) => Ok(position),
            other => mismatch(&other),
        }
    }

    /// `Locator.sync`.
    pub fn sync(&mut self) -> Result<(), ClientError> {
        let call = self.sender.sync();
        self.wait(call).map(drop)
    }

    /// `Locator.getAgentID`: which process the peer is. Stream IDs hold within one.
    pub fn agent_id(&mut self) -> Result<String, ClientError> {
        let call = self.sender.agent_id();
        match self.wait(call)? {
            Reply::AgentId(id) => Ok(id),
            other => mismatch(&other),
        }
    }

    /// `Diagnostics.createTestStreams`: the IDs of input and output.
    pub fn create_test_streams(
        &mut self,
        input_bytes: u64,
        output_bytes: u64,
    ) -> Result<(String, String), ClientError> {
        let call = self.sender.create_test_streams(input_bytes, output_bytes);
        match self.wait(call)? {
            Reply::TestStreams(input, output) => Ok((input, output)),
            other => mismatch(&other),
        }
    }

    /// Ends the channel in good order: our end of stream, then the peer's, waited for a little.
    pub fn close(self) -> Result<(), ClientError> {
        self.sender.end()?;
        self.receiver.drain(Duration::from_secs(5))
    }
}

/// The form of a reply was noted with its command, so the two agree.
fn mismatch(reply: &Reply) -> ! {
    unreachable!("the reply was read in another form than its command's: {reply:?}")
}

fn open_socket(address: &Address, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in (address.host(), address.port()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, timeout) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                let keep_alive = socket2::TcpKeepalive::new()
                    .with_time(KEEP_ALIVE)
                    .with_interval(KEEP_ALIVE_INTERVAL);
                socket2::SockRef::from(&socket).set_tcp_keepalive(&keep_alive)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn no_hello(address: &Address, error: ClientError) -> ClientError {
    let reason = match error {
        ClientError::Disconnected(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it says nothing".to_owned(),
            io::ErrorKind::UnexpectedEof => "it closed the connection without a Hello".to_owned(),
            _ => error.to_string(),
        },
        ClientError::Misbehaved(error) => error.to_string(),
        other => return other,
    };
    ClientError::NotTcf { address: address.to_string(), reason }
}
