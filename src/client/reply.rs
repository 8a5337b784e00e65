//! Replies, read according to the command that they answer.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::CallError;
use crate::wire::{Arguments, Binary, ErrorReport, WireError};

/// What a successful call brought.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing but success.
    Done,
    /// `Streams.read`.
    Read(ReadReply),
    /// `StreamBroker.create`: the new stream's ID.
    Created(String),
    /// `StreamBroker.attach`.
    Attached(Attached),
    /// `StreamBroker.adopt`: the bytes that the stream has accepted.
    Adopted(u64),
    /// `StreamBroker.list`.
    Listed(Vec<StreamEntry>),
    /// `Locator.getAgentID`: the peer's process.
    AgentId(String),
    /// `Diagnostics.createTestStreams`: the IDs of the input and the output.
    TestStreams(String, String),
}

/// What a read brought.
#[derive(Clone, Debug)]
pub struct ReadReply {
    /// The bytes; none where the stream has ended or bytes were lost only.
    pub data: Bytes,
    /// Bytes lost right before `data`; `None` where the peer does not know how many.
    pub lost: Option<u64>,
    /// Whether everything has been read and no more will come.
    pub eos: bool,
}

/// Where a reader was put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The offset of the next byte that it will get.
    pub position: u64,
    /// Bytes between the requested offset and `position` that are gone.
    pub lost: u64,
}

/// One stream in a list.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StreamEntry {
    /// Its ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its type.
    #[serde(rename = "Type")]
    pub stream_type: String,
    /// The context that it belongs to.
    #[serde(rename = "ContextID")]
    pub context: Option<String>,
    /// A name for people.
    pub name: Option<String>,
    /// `out`, `in` or `bus`.
    pub direction: String,
    /// The most bytes kept.
    pub buffer_size: u64,
    /// Bytes kept after everyone has read them.
    pub history: u64,
    /// Milliseconds that it waits, full, for a reader that does not read; `None` for ever.
    pub stall_timeout: Option<u64>,
    /// The offset of the oldest byte kept.
    pub start: u64,
    /// The offset of the next byte to be written.
    pub end: u64,
    /// Whether its end has been set.
    #[serde(rename = "EOS")]
    pub eos: bool,
    /// Whether it ended because its writer broke off.
    pub cut_off: bool,
    /// How many read it.
    pub readers: u64,
    /// Writes that wait for space.
    pub parked_writes: u64,
    /// Who created it.
    pub owner: Option<String>,
    /// What its owner says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
    /// Bytes that went before the first reader came.
    #[serde(skip_serializing_if = "is_zero")]
    pub unread: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a command's reply looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReplyForm {
    Done,
    Read,
    Created,
    Attached,
    Adopted,
    Listed,
    AgentId,
    TestStreams,
}

/// Reads the arguments of a reply to `command`. The outer error is the peer's nonsense.
pub(crate) fn read_reply(
    command: &'static str,
    form: ReplyForm,
    mut arguments: Arguments<'_>,
) -> Result<Result<Reply, CallError>, WireError> {
    let reply = match form {
        ReplyForm::Read => {
            let data = match arguments.binary()? {
                Binary::Borrowed(slice) => Bytes::copy_from_slice(slice),
                Binary::Owned(bytes) => bytes,
            };
            let failure = read_failure(command, &mut arguments)?;
            // -1, "unknown", reads as the largest number.
            let lost = arguments.integer()?;
            let eos = arguments.boolean()?;
            let lost = (lost != u64::MAX).then_some(lost);
            failure.map_or(Ok(Reply::Read(ReadReply { data, lost, eos })), Err)
        }
        _ => match read_failure(command, &mut arguments)? {
            // What stands behind an error report is null and of no use.
            Some(failure) => return Ok(Err(failure)),
            None => Ok(read_result(form, &mut arguments)?),
        },
    };
    arguments.end()?;
    Ok(reply)
}

fn read_failure(
    command: &'static str,
    arguments: &mut Arguments<'_>,
) -> Result<Option<CallError>, WireError> {
    if arguments.is_empty() {
        // Java and Python answer some commands without the empty argument of success.
        return Ok(None);
    }
    let report = arguments.json()?;
    Ok(ErrorReport::describe(&report).map(|text| CallError {
        command,
        code: report.get("Code").and_then(Value::as_i64).unwrap_or(1),
        text,
    }))
}

fn read_result(form: ReplyForm, arguments: &mut Arguments<'_>) -> Result<Reply, WireError> {
    Ok(match form {
        ReplyForm::Done | ReplyForm::Read => Reply::Done,
        ReplyForm::Created => Reply::Created(arguments.required_string()?.into_owned()),
        ReplyForm::Attached => {
            let object = arguments.object()?;
            Reply::Attached(Attached {
                position: member(&object, "Position")?,
                lost: member(&object, "Lost")?,
            })
        }
        ReplyForm::Adopted => Reply::Adopted(member(&arguments.object()?, "Position")?),
        ReplyForm::Listed => {
            let entries = Vec::<StreamEntry>::deserialize(arguments.json()?);
            Reply::Listed(entries.map_err(|error| WireError::Json(error.to_string()))?)
        }
        ReplyForm::AgentId => Reply::AgentId(arguments.required_string()?.into_owned()),
        ReplyForm::TestStreams => {
            let input = arguments.required_string()?.into_owned();
            Reply::TestStreams(input, arguments.required_string()?.into_owned())
        }
    })
}

fn member(object: &serde_json::Map<String, Value>, name: &str) -> Result<u64, WireError> {
    let number = object.get(name).and_then(Value::as_u64);
    number.ok_or_else(|| WireError::Protocol(format!("the result has no number \"{name}\"")))
}
