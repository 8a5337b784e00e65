//! The writing half of a connection.

use std::net::Shutdown;
use std::sync::Arc;

use bytes::Bytes;

use crate::client::joint::Joint;
use crate::client::{AttachOptions, CallId, ClientError, CreateOptions, Introduction, Key};

/// Queues commands and sends them on [`Sender::flush`]. Clones share the connection, so commands
/// may come from several threads; each gets the number under which its reply will come. After
/// [`Sender::end`] commands are dropped.
#[derive(Clone, Debug)]
pub struct Sender {
    joint: Arc<Joint>,
}

impl Sender {
    pub(super) fn new(joint: Arc<Joint>) -> Sender {
        Sender { joint }
    }

    /// `Streams.subscribe`: interest in a type, `"*"` for every type.
    pub fn subscribe(&self, stream_type: &str) -> CallId {
        self.joint.queue(|outbound| outbound.subscribe(stream_type))
    }

    /// `Streams.unsubscribe`.
    pub fn unsubscribe(&self, stream_type: &str) -> CallId {
        self.joint.queue(|outbound| outbound.unsubscribe(stream_type))
    }

    /// `Streams.connect`: read from the oldest byte kept.
    pub fn connect(&self, stream: &str) -> CallId {
        self.joint.queue(|outbound| outbound.connect(stream))
    }

    /// `Streams.disconnect`.
    pub fn disconnect(&self, stream: &str) -> CallId {
        self.joint.queue(|outbound| outbound.disconnect(stream))
    }

    /// `Streams.read` of at most `size` bytes.
    pub fn read(&self, stream: &str, size: u64) -> CallId {
        self.joint.queue(|outbound| outbound.read(stream, size))
    }

    /// `Streams.write`. Large data is not copied on its way to the socket where the peer knows
    /// ZeroCopy.
    pub fn write(&self, stream: &str, data: Bytes) -> CallId {
        self.joint.queue(|outbound| outbound.write(stream, data))
    }

    /// `Streams.eos`.
    pub fn eos(&self, stream: &str) -> CallId {
        self.joint.queue(|outbound| outbound.eos(stream))
    }

    /// `StreamBroker.create`.
    pub fn create(&self, stream_type: &str, options: &CreateOptions) -> CallId {
        self.joint.queue(|outbound| outbound.create(stream_type, options))
    }

    /// `StreamBroker.dispose`.
    pub fn dispose(&self, stream: &str) -> CallId {
        self.joint.queue(|outbound| outbound.dispose(stream))
    }

    /// `StreamBroker.list`: the streams of a type, or all of them.
    pub fn list(&self, stream_type: Option<&str>) -> CallId {
        self.joint.queue(|outbound| outbound.list(stream_type))
    }

    /// `StreamBroker.attach`.
    pub fn attach(&self, stream: &str, options: &AttachOptions) -> CallId {
        self.joint.queue(|outbound| outbound.attach(stream, options))
    }

    /// `StreamBroker.confirm`: what is before `offset` need not be held for the place here.
    pub fn confirm(&self, stream: &str, offset: u64) -> CallId {
        self.joint.queue(|outbound| outbound.confirm(stream, offset))
    }

    /// `StreamBroker.introduce`. Its reply is taken in and tells nothing: a peer that does without
    /// names is as good as any other.
    pub fn introduce(&self, introduction: &Introduction) {
        self.joint.queue(|outbound| outbound.introduce(introduction));
    }

    /// `StreamBroker.adopt`.
    pub fn adopt(&self, stream: &str, key: &Key) -> CallId {
        self.joint.queue(|outbound| outbound.adopt(stream, key))
    }

    /// `Locator.sync`: answered when everything before it has been started.
    pub fn sync(&self) -> CallId {
        self.joint.queue(|outbound| outbound.sync())
    }

    /// `Locator.getAgentID`.
    pub fn agent_id(&self) -> CallId {
        self.joint.queue(|outbound| outbound.agent_id())
    }

    /// `Diagnostics.createTestStreams`.
    pub fn create_test_streams(&self, input_bytes: u64, output_bytes: u64) -> CallId {
        self.joint.queue(|outbound| outbound.create_test_streams(input_bytes, output_bytes))
    }

    /// `Diagnostics.disposeTestStream`.
    pub fn dispose_test_stream(&self, stream: &str) -> CallId {
        self.joint.queue(|outbound| outbound.dispose_test_stream(stream))
    }

    /// Sends what is queued. Waits while the peer does not read.
    ///
    /// Whoever also holds the receiving half may ignore the error: that half learns the reason.
    pub fn flush(&self) -> Result<(), ClientError> {
        self.joint.flush().map_err(ClientError::Disconnected)
    }

    /// Breaks the connection, so that whoever sends or receives on it stops at once.
    pub fn abort(&self) {
        // It fails only where the connection is broken already.
        let _ = self.joint.socket.shutdown(Shutdown::Both);
    }

    /// Ends the channel from our side: what is queued, end of stream, FIN. The receiving half gets
    /// what the peer still has to say, and then [`ClientError::Closed`].
    pub fn end(&self) -> Result<(), ClientError> {
        self.joint.end().map_err(ClientError::Disconnected)
    }
}
