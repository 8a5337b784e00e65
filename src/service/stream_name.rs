//! Stream IDs as peers write them.

use std::borrow::Cow;

use crate::id::StreamId;
use crate::service::{Responder, error_code};
use crate::stream::{Refusal, Reply};
use crate::wire::{Arguments, WireError};

/// A stream ID argument: `null` is the empty string, and any string may come.
#[derive(Debug)]
pub struct StreamName<'a>(Cow<'a, str>);

impl<'a> StreamName<'a> {
    /// Reads the next argument.
    pub fn read(arguments: &mut Arguments<'a>) -> Result<StreamName<'a>, WireError> {
        arguments.string().map(StreamName)
    }

    /// The stream meant; `None` where no stream of this broker could have that name.
    pub fn id(&self) -> Option<StreamId> {
        StreamId::parse(self.0.as_bytes())
    }

    /// "No such stream", as the reference says for commands that need a connected stream.
    pub fn no_such_stream(&self) -> String {
        format!("No such stream: {}", self.0)
    }

    /// Answers a command that needs a connected stream: there is none of this name.
    pub fn refuse_as_not_connected(&self, responder: Responder<'_>) {
        responder.begin_with_error(error_code::OTHER, &self.no_such_stream()).end();
    }

    /// Why a command that looks a stream up cannot find one of this name.
    pub fn unknown(self) -> Refusal {
        Refusal::UnknownContext(format!("no stream {}", self.0))
    }

    /// Answers a command whose reply is an error report alone: there is no stream of this name.
    pub fn refuse_as_unknown(self, responder: Responder<'_>) {
        responder.answer(Reply::Done(Err(self.unknown())));
    }
}
