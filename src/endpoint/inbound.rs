//! What a peer says: framing taken off, and what each state of the channel lets through.

use std::borrow::Cow;

use serde_json::Value;

use crate::wire::{Arguments, Body, Frame, Framer, Header, WireError, WireLimits};

/// Bytes kept of the names in a peer's Hello, for people. Known peers list some hundred.
const SERVICES_BYTES_MAX: usize = 1024;

/// The half of an endpoint that listens.
///
/// ```text
///                 Hello           end of stream, bad input, stop
///  WaitingForHello ----> Open ---------------------------------> Over
///        \______________________________________________________/
/// ```
#[derive(Debug)]
pub struct Inbound {
    framer: Framer,
    state: State,
    congestion: i64,
    services: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The peer has not said Hello.
    WaitingForHello,
    /// What the peer says counts.
    Open,
    /// It counts no more.
    Over,
}

/// What one message asks of whoever drives the endpoint.
#[derive(Debug)]
pub enum Heard<'a> {
    /// A command to carry out.
    Command {
        /// Ties the reply to the command.
        token: Cow<'a, [u8]>,
        /// The service.
        service: Cow<'a, [u8]>,
        /// The command's name.
        name: Cow<'a, [u8]>,
        /// What follows the name.
        arguments: Arguments<'a>,
    },
    /// A command to which the answer is `N`, whatever it is: the peer has not said Hello.
    EarlyCommand {
        /// Ties the answer to the command.
        token: Cow<'a, [u8]>,
    },
    /// The answer to a call.
    Reply {
        /// The call's.
        token: Cow<'a, [u8]>,
        /// What follows the token.
        arguments: Arguments<'a>,
    },
    /// The peer does not know the command of a call.
    NotRecognized {
        /// The call's.
        token: Cow<'a, [u8]>,
    },
    /// Something about a call that goes on.
    Progress {
        /// The call's.
        token: Cow<'a, [u8]>,
        /// What follows the token.
        arguments: Arguments<'a>,
    },
    /// An event other than Hello.
    Event {
        /// The service.
        service: Cow<'a, [u8]>,
        /// The event's name.
        name: Cow<'a, [u8]>,
        /// What follows the name.
        arguments: Arguments<'a>,
    },
    /// The peer said Hello: the channel is open now.
    Hello {
        /// The services that it listed.
        services: Vec<String>,
    },
    /// Nothing to do.
    Nothing,
    /// The peer will say nothing more, but for a report that may follow
    /// ([`ClosingReport`](crate::endpoint::ClosingReport)).
    End,
}

impl Inbound {
    /// Waits for the peer's Hello.
    pub fn new(limits: &WireLimits) -> Inbound {
        Inbound {
            framer: Framer::new(limits.clone()),
            state: State::WaitingForHello,
            congestion: 0,
            services: Box::default(),
        }
    }

    /// Takes the next message out of `input`, which is advanced behind it. `None`: all of it is
    /// taken in, and more is needed.
    ///
    /// # Errors
    /// The peer misbehaved: its channel must be ended.
    pub fn receive<'i: 'a, 'a>(
        &'a mut self,
        limits: &'a WireLimits,
        input: &mut &'i [u8],
    ) -> Result<Option<Heard<'a>>, WireError> {
        let message = match self.framer.decode(input)? {
            Some(Frame::Message(message)) => message,
            Some(Frame::EndOfStream) => return Ok(Some(Heard::End)),
            None => return Ok(None),
        };
        let Inbound { state, congestion, services, .. } = self;
        interpret(message, limits, state, congestion, services).map(Some)
    }

    /// Gives the memory of the last message back. Called when it has been dealt with and no input
    /// is left.
    pub fn give_memory_back(&mut self) {
        self.framer.give_memory_back();
    }

    /// Where the next bytes of the peer's socket belong, if a large block is under way. Asked only
    /// while no earlier input is left.
    pub fn direct(&mut self) -> Option<&mut [u8]> {
        self.framer.direct()
    }

    /// Says that the first `count` bytes of `direct` are there now.
    pub fn filled(&mut self, count: usize) {
        self.framer.filled(count);
    }

    /// Lets nothing further count; false where that was so before.
    pub fn stop(&mut self) -> bool {
        std::mem::replace(&mut self.state, State::Over) != State::Over
    }

    /// Whether what the peer sends still counts.
    pub fn takes_input(&self) -> bool {
        self.state != State::Over
    }

    /// Whether the next byte begins a message, of which a command would be carried out.
    pub fn takes_command(&self) -> bool {
        self.state == State::Open && self.framer.is_at_start()
    }

    /// Bytes held of a message under way.
    pub fn held_bytes(&self) -> usize {
        self.framer.buffered_bytes()
    }

    /// The services that the peer's Hello listed, with commas between them; those that go over a
    /// bound are left out.
    pub fn services(&self) -> &str {
        &self.services
    }

    /// The last congestion level that the peer told, -100 to 100. Weir paces by replies and by TCP
    /// and does not act on it.
    pub fn congestion(&self) -> i64 {
        self.congestion
    }
}

fn interpret<'a>(
    message: Body<'a>,
    limits: &'a WireLimits,
    state: &mut State,
    congestion: &mut i64,
    kept_services: &mut Box<str>,
) -> Result<Heard<'a>, WireError> {
    let (header, arguments) = message.open(limits)?;
    if *state == State::Over {
        return Ok(Heard::Nothing);
    }
    Ok(match header {
        Header::Command { token, .. } if *state == State::WaitingForHello => {
            Heard::EarlyCommand { token }
        }
        Header::Command { token, service, name } => {
            Heard::Command { token, service, name, arguments }
        }
        Header::Event { service, name } if *service == *b"Locator" && *name == *b"Hello" => {
            // Without a redirect a second Hello changes nothing.
            if *state == State::Open {
                return Ok(Heard::Nothing);
            }
            let services = listed_services(arguments)?;
            *kept_services = joined(&services);
            *state = State::Open;
            Heard::Hello { services }
        }
        Header::Event { service, name } => Heard::Event { service, name, arguments },
        Header::FlowControl { level } => {
            *congestion = level;
            Heard::Nothing
        }
        Header::Reply { token } => Heard::Reply { token, arguments },
        Header::NotRecognized { token } => Heard::NotRecognized { token },
        Header::Progress { token } => Heard::Progress { token, arguments },
    })
}

/// Reads the one argument of Hello: an array of strings.
fn listed_services(mut arguments: Arguments<'_>) -> Result<Vec<String>, WireError> {
    let names = if arguments.is_empty() { Value::Null } else { arguments.json()? };
    let Value::Array(names) = names else {
        return Err(WireError::Protocol("Hello carries no array of service names".to_owned()));
    };
    arguments.end()?;
    let string = |name| match name {
        Value::String(name) => Ok(name),
        _ => {
            let text = "Hello names a service by something else than a string";
            Err(WireError::Protocol(text.to_owned()))
        }
    };
    names.into_iter().map(string).collect()
}

fn joined(names: &[String]) -> Box<str> {
    let mut text = String::new();
    for name in names {
        if text.len() + name.len() >= SERVICES_BYTES_MAX {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
    }
    text.into()
}
