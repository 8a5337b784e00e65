//! What came: replies read according to their commands, and events.

use crate::client::commands::{Call, INTRODUCE};
use crate::client::reply::read_reply;
use crate::client::{CallError, CallId, Reply};
use crate::endpoint::{Heard, Outbound};
use crate::wire::{Arguments, WireError};

/// A reply or an event, in the order in which they came.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// The answer to a command.
    Reply {
        /// Which call.
        call: CallId,
        /// The command, as `Service.name`.
        command: &'static str,
        /// What it brought.
        result: Result<Reply, CallError>,
    },
    /// An event of the Streams service.
    Event(Event),
}

/// An event of the Streams service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stream of a subscribed type; the channel is connected to it.
    Created {
        /// Its type.
        stream_type: String,
        /// Its ID.
        id: String,
        /// The context that it belongs to.
        context: Option<String>,
    },
    /// A stream is gone for this channel.
    Disposed {
        /// Its type.
        stream_type: String,
        /// Its ID.
        id: String,
    },
}

/// What one message came to.
pub(crate) enum Decoded {
    /// Something for whoever uses the client.
    Incoming(Incoming),
    /// The peer's Hello, with its services.
    Hello(Vec<String>),
    /// Nothing; a command of the peer is answered.
    Nothing,
}

/// Takes in what was heard.
pub(crate) fn interpret(
    heard: Heard<'_>,
    outbound: &mut Outbound<Call>,
) -> Result<Decoded, WireError> {
    let (call, command, result) = match heard {
        Heard::Reply { token, arguments } => {
            let (id, call) = outbound.take_call(&token)?;
            (id, call.command, read_reply(call.command, call.form, arguments)?)
        }
        Heard::NotRecognized { token } => {
            let (id, call) = outbound.take_call(&token)?;
            let error = CallError {
                command: call.command,
                code: CallError::NOT_RECOGNIZED,
                text: "the peer does not know this command".to_owned(),
            };
            (id, call.command, Err(error))
        }
        Heard::Progress { token, .. } => {
            outbound.call_under_way(&token)?;
            return Ok(Decoded::Nothing);
        }
        Heard::Event { service, name, arguments } => {
            return interpret_event(&service, &name, arguments);
        }
        Heard::Command { token, service, name, .. } => {
            outbound.answer(&token, &service, &name);
            return Ok(Decoded::Nothing);
        }
        Heard::EarlyCommand { token } => {
            outbound.not_recognized(&token);
            return Ok(Decoded::Nothing);
        }
        Heard::Hello { services } => {
            outbound.greet(&services);
            return Ok(Decoded::Hello(services));
        }
        Heard::Nothing | Heard::End => return Ok(Decoded::Nothing),
    };
    if command == INTRODUCE {
        return Ok(Decoded::Nothing);
    }
    Ok(Decoded::Incoming(Incoming::Reply { call, command, result }))
}

fn interpret_event(
    service: &[u8],
    name: &[u8],
    mut arguments: Arguments<'_>,
) -> Result<Decoded, WireError> {
    let event = match (service, name) {
        (b"Streams", b"created") => {
            let stream_type = arguments.string()?.into_owned();
            let id = arguments.string()?.into_owned();
            // The first version of the service had no context.
            let context = match arguments.is_empty() {
                true => None,
                false => arguments.optional_string()?.map(|context| context.into_owned()),
            };
            Event::Created { stream_type, id, context }
        }
        (b"Streams", b"disposed") => {
            let stream_type = arguments.string()?.into_owned();
            Event::Disposed { stream_type, id: arguments.string()?.into_owned() }
        }
        _ => return Ok(Decoded::Nothing),
    };
    Ok(Decoded::Incoming(Incoming::Event(event)))
}
