//! The commands that clients send.

use bytes::Bytes;
use serde_json::Value;

use crate::client::reply::ReplyForm;
use crate::client::{AttachOptions, CreateOptions, Introduction, Key};
use crate::endpoint::{CallId, Outbound};
use crate::wire::MessageWriter;

/// The command whose reply nobody waits for.
pub(crate) const INTRODUCE: &str = "StreamBroker.introduce";

/// A command whose reply has not come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The command, as `Service.name`.
    pub(crate) command: &'static str,
    /// How its reply is read.
    pub(crate) form: ReplyForm,
}

impl Outbound<Call> {
    fn command(
        &mut self,
        command: &'static str,
        form: ReplyForm,
        arguments: impl FnOnce(MessageWriter<'_>) -> MessageWriter<'_>,
    ) -> CallId {
        self.call(command, Call { command, form }, arguments)
    }

    /// `Streams.subscribe`: interest in a type, `"*"` for every type.
    pub(crate) fn subscribe(&mut self, stream_type: &str) -> CallId {
        self.command("Streams.subscribe", ReplyForm::Done, |m| m.string(stream_type))
    }

    /// `Streams.unsubscribe`.
    pub(crate) fn unsubscribe(&mut self, stream_type: &str) -> CallId {
        self.command("Streams.unsubscribe", ReplyForm::Done, |m| m.string(stream_type))
    }

    /// `Streams.connect`: read from the oldest byte kept.
    pub(crate) fn connect(&mut self, stream: &str) -> CallId {
        self.command("Streams.connect", ReplyForm::Done, |m| m.string(stream))
    }

    /// `Streams.disconnect`.
    pub(crate) fn disconnect(&mut self, stream: &str) -> CallId {
        self.command("Streams.disconnect", ReplyForm::Done, |m| m.string(stream))
    }

    /// `Streams.read` of at most `size` bytes.
    pub(crate) fn read(&mut self, stream: &str, size: u64) -> CallId {
        self.command("Streams.read", ReplyForm::Read, |m| m.string(stream).integer(size))
    }

    /// `Streams.write`. Large data is not copied on its way to the socket where the peer knows
    /// ZeroCopy.
    pub(crate) fn write(&mut self, stream: &str, data: Bytes) -> CallId {
        self.command("Streams.write", ReplyForm::Done, |m| {
            m.string(stream).integer(data.len() as u64).binary(&[data])
        })
    }

    /// `Streams.eos`.
    pub(crate) fn eos(&mut self, stream: &str) -> CallId {
        self.command("Streams.eos", ReplyForm::Done, |m| m.string(stream))
    }

    /// `StreamBroker.create`.
    pub(crate) fn create(&mut self, stream_type: &str, options: &CreateOptions) -> CallId {
        let options = to_json(options);
        self.command("StreamBroker.create", ReplyForm::Created, |m| {
            m.string(stream_type).json(&options)
        })
    }

    /// `StreamBroker.dispose`.
    pub(crate) fn dispose(&mut self, stream: &str) -> CallId {
        self.command("StreamBroker.dispose", ReplyForm::Done, |m| m.string(stream))
    }

    /// `StreamBroker.list`: the streams of a type, or all of them.
    pub(crate) fn list(&mut self, stream_type: Option<&str>) -> CallId {
        let stream_type = stream_type.unwrap_or("*");
        self.command("StreamBroker.list", ReplyForm::Listed, |m| m.string(stream_type))
    }

    /// `StreamBroker.attach`.
    pub(crate) fn attach(&mut self, stream: &str, options: &AttachOptions) -> CallId {
        let options = to_json(options);
        self.command("StreamBroker.attach", ReplyForm::Attached, |m| {
            m.string(stream).json(&options)
        })
    }

    /// `StreamBroker.confirm`: what is before `offset` need not be held for the place here.
    pub(crate) fn confirm(&mut self, stream: &str, offset: u64) -> CallId {
        self.command("StreamBroker.confirm", ReplyForm::Done, |m| m.string(stream).integer(offset))
    }

    /// `StreamBroker.introduce`. Its reply is taken in and tells nothing: a peer that does without
    /// names is as good as any other.
    pub(crate) fn introduce(&mut self, introduction: &Introduction) -> CallId {
        let introduction = to_json(introduction);
        self.command(INTRODUCE, ReplyForm::Done, |m| m.json(&introduction))
    }

    /// `StreamBroker.adopt`.
    pub(crate) fn adopt(&mut self, stream: &str, key: &Key) -> CallId {
        self.command("StreamBroker.adopt", ReplyForm::Adopted, |m| {
            m.string(stream).string(key.secret())
        })
    }

    /// `Locator.sync`: answered when everything before it has been started.
    pub(crate) fn sync(&mut self) -> CallId {
        self.command("Locator.sync", ReplyForm::Done, |m| m)
    }

    /// `Locator.getAgentID`.
    pub(crate) fn agent_id(&mut self) -> CallId {
        self.command("Locator.getAgentID", ReplyForm::AgentId, |m| m)
    }

    /// `Diagnostics.createTestStreams`.
    pub(crate) fn create_test_streams(&mut self, input_bytes: u64, output_bytes: u64) -> CallId {
        self.command("Diagnostics.createTestStreams", ReplyForm::TestStreams, |m| {
            m.integer(input_bytes).integer(output_bytes)
        })
    }

    /// `Diagnostics.disposeTestStream`.
    pub(crate) fn dispose_test_stream(&mut self, stream: &str) -> CallId {
        self.command("Diagnostics.disposeTestStream", ReplyForm::Done, |m| m.string(stream))
    }
}

fn to_json(options: &impl serde::Serialize) -> Value {
    serde_json::to_value(options).expect("options have string keys and finite numbers")
}
