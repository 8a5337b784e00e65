//! The writing half of a connection.

use std::net::Shutdown;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::client::link::Link;
use crate::client::reply::ReplyForm;
use crate::client::{AttachOptions, CallId, ClientError, CreateOptions, Key};

/// Queues commands and sends them on [`Sender::flush`]. Clones share the connection, so commands
/// may come from several threads; each gets the number under which its reply will come. After
/// [`Sender::end`] commands are dropped.
#[derive(Clone, Debug)]
pub struct Sender {
    link: Arc<Link>,
}

impl Sender {
    pub(super) fn new(link: Arc<Link>) -> Sender {
        Sender { link }
    }

    /// `Streams.subscribe`: interest in a type, `"*"` for every type.
    pub fn subscribe(&self, stream_type: &str) -> CallId {
        self.link.call("Streams.subscribe", ReplyForm::Done, |m| m.string(stream_type))
    }

    /// `Streams.unsubscribe`.
    pub fn unsubscribe(&self, stream_type: &str) -> CallId {
        self.link.call("Streams.unsubscribe", ReplyForm::Done, |m| m.string(stream_type))
    }

    /// `Streams.connect`: read from the oldest byte kept.
    pub fn connect(&self, stream: &str) -> CallId {
        self.link.call("Streams.connect", ReplyForm::Done, |m| m.string(stream))
    }

    /// `Streams.disconnect`.
    pub fn disconnect(&self, stream: &str) -> CallId {
        self.link.call("Streams.disconnect", ReplyForm::Done, |m| m.string(stream))
    }

    /// `Streams.read` of at most `size` bytes.
    pub fn read(&self, stream: &str, size: u64) -> CallId {
        self.link.call("Streams.read", ReplyForm::Read, |m| m.string(stream).integer(size))
    }

    /// `Streams.write`. Large data is not copied on its way to the socket where the peer knows
    /// ZeroCopy.
    pub fn write(&self, stream: &str, data: Bytes) -> CallId {
        self.link.call("Streams.write", ReplyForm::Done, |m| {
            m.string(stream).integer(data.len() as u64).binary(&[data])
        })
    }

    /// `Streams.eos`.
    pub fn eos(&self, stream: &str) -> CallId {
        self.link.call("Streams.eos", ReplyForm::Done, |m| m.string(stream))
    }

    /// `StreamBroker.create`.
    pub fn create(&self, stream_type: &str, options: &CreateOptions) -> CallId {
        let options = to_json(options);
        self.link.call("StreamBroker.create", ReplyForm::Created, |m| {
            m.string(stream_type).json(&options)
        })
    }

    /// `StreamBroker.dispose`.
    pub fn dispose(&self, stream: &str) -> CallId {
        self.link.call("StreamBroker.dispose", ReplyForm::Done, |m| m.string(stream))
    }

    /// `StreamBroker.list`: the streams of a type, or all of them.
    pub fn list(&self, stream_type: Option<&str>) -> CallId {
        let stream_type = stream_type.unwrap_or("*");
        self.link.call("StreamBroker.list", ReplyForm::Listed, |m| m.string(stream_type))
    }

    /// `StreamBroker.attach`.
    pub fn attach(&self, stream: &str, options: &AttachOptions) -> CallId {
        let options = to_json(options);
        self.link
            .call("StreamBroker.attach", ReplyForm::Attached, |m| m.string(stream).json(&options))
    }

    /// `StreamBroker.adopt`.
    pub fn adopt(&self, stream: &str, key: &Key) -> CallId {
        self.link.call("StreamBroker.adopt", ReplyForm::Adopted, |m| {
            m.string(stream).string(key.secret())
        })
    }

    /// `Locator.sync`: answered when everything before it has been started.
    pub fn sync(&self) -> CallId {
        self.link.call("Locator.sync", ReplyForm::Done, |m| m)
    }

    /// `Locator.getAgentID`.
    pub fn agent_id(&self) -> CallId {
        self.link.call("Locator.getAgentID", ReplyForm::AgentId, |m| m)
    }

    /// `Diagnostics.createTestStreams`.
    pub fn create_test_streams(&self, input_bytes: u64, output_bytes: u64) -> CallId {
        self.link.call("Diagnostics.createTestStreams", ReplyForm::TestStreams, |m| {
            m.integer(input_bytes).integer(output_bytes)
        })
    }

    /// `Diagnostics.disposeTestStream`.
    pub fn dispose_test_stream(&self, stream: &str) -> CallId {
        self.link.call("Diagnostics.disposeTestStream", ReplyForm::Done, |m| m.string(stream))
    }

    /// Sends what is queued. Waits while the peer does not read.
    ///
    /// Whoever also holds the receiving half may ignore the error: that half learns the reason.
    pub fn flush(&self) -> Result<(), ClientError> {
        self.link.flush().map_err(ClientError::Disconnected)
    }

    /// Breaks the connection, so that whoever sends or receives on it stops at once.
    pub fn abort(&self) {
        // It fails only where the connection is broken already.
        let _ = self.link.socket.shutdown(Shutdown::Both);
    }

    /// Ends the channel from our side: what is queued, end of stream, FIN. The receiving half gets
    /// what the peer still has to say, and then [`ClientError::Closed`].
    pub fn end(&self) -> Result<(), ClientError> {
        self.link.end().map_err(ClientError::Disconnected)
    }
}

fn to_json(options: &impl serde::Serialize) -> Value {
    serde_json::to_value(options).expect("options have string keys and finite numbers")
}
