//! The states of a channel, and what each lets through.

use std::borrow::Cow;

use serde_json::Value;

use crate::wire::{
    Arguments, Body, ErrorReport, Header, MessageWriter, Output, WireError, WireLimits,
};

/// Bytes kept of the names in a peer's Hello, for people. Known peers list some hundred.
const SERVICES_BYTES_MAX: usize = 1024;

/// One peer's channel.
///
/// ```text
///                 Hello                 end, bad input           all answered
///  WaitingForHello ----> Open ----------------> Finishing ----------------> Closed
///        \_______________________________________/
///              end, bad input, no Hello in time
/// ```
#[derive(Debug)]
pub struct Channel {
    state: State,
    zero_copy: bool,
    congestion: i64,
    services: Box<str>,
}

#[derive(Debug)]
enum State {
    /// Our Hello has left, the peer's has not come.
    WaitingForHello,
    /// Commands are carried out.
    Open,
    /// Input no longer counts; what pends is being answered. Our end of stream follows, with this
    /// report.
    Finishing(Option<ErrorReport>),
    /// Our end of stream has left. Nothing may follow it.
    Closed,
}

/// What a message asks of the channel's driver.
#[derive(Debug)]
pub enum Incoming<'a> {
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
    /// The peer said Hello: the channel is open now.
    Hello,
    /// Nothing to do.
    Nothing,
}

impl Channel {
    /// Opens a channel. Our Hello, with the names of our `services`, is in `output` at once and
    /// plain: it waits for nothing, and nothing is known of the peer yet.
    pub fn open(services: &[&str], output: &mut Output) -> Channel {
        let names = services.iter().map(|&name| Value::from(name)).collect();
        MessageWriter::event(output, false, "Locator", "Hello").json(&Value::Array(names)).end();
        let services = Box::default();
        Channel { state: State::WaitingForHello, zero_copy: false, congestion: 0, services }
    }

    /// Takes one message in. An error means that the peer misbehaved: the channel must be finished
    /// with a report of it.
    pub fn handle_message<'a>(
        &mut self,
        message: Body<'a>,
        limits: &'a WireLimits,
    ) -> Result<Incoming<'a>, WireError> {
        let (header, arguments) = message.open(limits)?;
        match header {
            Header::Command { token, service, name } => Ok(match self.state {
                State::WaitingForHello => Incoming::EarlyCommand { token },
                State::Open => Incoming::Command { token, service, name, arguments },
                State::Finishing(_) | State::Closed => Incoming::Nothing,
            }),
            Header::Event { service, name } => {
                // Events that nobody listens to are ignored in every state, a second Hello with
                // them.
                let is_hello = *service == *b"Locator" && *name == *b"Hello";
                if !is_hello || !matches!(self.state, State::WaitingForHello) {
                    return Ok(Incoming::Nothing);
                }
                let names = listed_services(arguments)?;
                self.zero_copy = names.iter().any(|name| name == "ZeroCopy");
                self.services = joined(&names);
                self.state = State::Open;
                Ok(Incoming::Hello)
            }
            Header::FlowControl { level } => {
                self.congestion = level;
                Ok(Incoming::Nothing)
            }
            Header::Reply { .. } | Header::Progress { .. } | Header::NotRecognized { .. } => {
                Err(WireError::Protocol("an answer to a command that was never sent".to_owned()))
            }
        }
    }

    /// Lets no further input count. Whoever drives the channel answers what pends, then calls
    /// [`Channel::close`]. False where that had begun before; its report stays.
    pub fn finish(&mut self, report: Option<ErrorReport>) -> bool {
        let begins = self.takes_input();
        if begins {
            self.state = State::Finishing(report);
        }
        begins
    }

    /// Writes our end of stream, once.
    pub fn close(&mut self, output: &mut Output) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => {}
            State::Finishing(report) => MessageWriter::end_of_stream(output, report.as_ref()),
            State::WaitingForHello | State::Open => MessageWriter::end_of_stream(output, None),
        }
    }

    /// Whether what the peer sends still counts.
    pub fn takes_input(&self) -> bool {
        matches!(self.state, State::WaitingForHello | State::Open)
    }

    /// Whether commands are carried out.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether our end of stream has left.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether the peer's Hello listed `ZeroCopy`: it understands BIN blocks and `(N)` data.
    pub fn zero_copy(&self) -> bool {
        self.zero_copy
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, Framer};

    fn open() -> (Channel, Output) {
        let mut output = Output::default();
        let channel = Channel::open(&["Locator", "ZeroCopy"], &mut output);
        (channel, output)
    }

    /// Takes in one message, `|` standing for NUL, and says what it asks in a word.
    fn take_in(channel: &mut Channel, text: &str) -> Result<&'static str, WireError> {
        let limits = WireLimits::default();
        let mut framer = Framer::new(limits.clone());
        let mut bytes = text.replace('|', "\0").into_bytes();
        bytes.extend([3, 1]);
        let Ok(Some(Frame::Message(message))) = framer.decode(&mut bytes.as_slice()) else {
            panic!("no message: {text}");
        };
        Ok(match channel.handle_message(message, &limits)? {
            Incoming::Command { .. } => "command",
            Incoming::EarlyCommand { .. } => "early",
            Incoming::Hello => "hello",
            Incoming::Nothing => "nothing",
        })
    }

    #[test]
    fn our_hello_leaves_at_once_and_plain() {
        let (channel, output) = open();
        let expected = b"E\0Locator\0Hello\0[\"Locator\",\"ZeroCopy\"]\0\x03\x01";
        assert_eq!(output.to_vec(), expected);
        assert!(channel.takes_input() && !channel.zero_copy());
    }

    #[test]
    fn commands_count_from_hello_to_the_end() {
        let (mut channel, mut output) = open();
        let sync = "C|1|Locator|sync|";
        assert_eq!(take_in(&mut channel, sync), Ok("early"));
        assert_eq!(take_in(&mut channel, "E|Foo|bar|\"x\"|"), Ok("nothing"));
        assert_eq!(take_in(&mut channel, "E|Locator|Hello|[]|"), Ok("hello"));
        assert_eq!(take_in(&mut channel, sync), Ok("command"));
        assert!(channel.finish(None));
        assert_eq!(take_in(&mut channel, sync), Ok("nothing"));
        output.advance(output.len());
        channel.close(&mut output);
        assert_eq!(output.to_vec(), b"\x03\x02\0\x03\x01");
        assert!(channel.is_closed());
    }

    #[test]
    fn zero_copy_is_what_the_first_hello_says() {
        for (first, second, zero_copy) in
            [("\"ZeroCopy\",\"Locator\"", "", true), ("\"Locator\"", "\"ZeroCopy\"", false)]
        {
            let (mut channel, _) = open();
            take_in(&mut channel, &format!("E|Locator|Hello|[{first}]|")).unwrap();
            let again = take_in(&mut channel, &format!("E|Locator|Hello|[{second}]|"));
            assert_eq!(again, Ok("nothing"));
            assert_eq!(channel.zero_copy(), zero_copy);
        }
    }

    #[test]
    fn a_malformed_hello_is_the_end() {
        for (arguments, code) in [
            ("{}|", 3),
            ("null|", 3),
            ("[1]|", 3),
            ("[null]|", 3),
            ("[]|[]|", 2),
            ("[|", 2),
            ("", 3),
        ] {
            let (mut channel, _) = open();
            let error = take_in(&mut channel, &format!("E|Locator|Hello|{arguments}"));
            assert_eq!(error.unwrap_err().code(), code, "{arguments}");
        }
    }

    #[test]
    fn congestion_is_noted_in_every_state() {
        let (mut channel, _) = open();
        assert_eq!(take_in(&mut channel, "F|100|"), Ok("nothing"));
        assert_eq!(channel.congestion(), 100);
        assert_eq!(take_in(&mut channel, "E|Locator|Hello|[]|"), Ok("hello"));
        assert_eq!(take_in(&mut channel, "F|-5"), Ok("nothing"));
        assert_eq!(channel.congestion(), -5);
    }

    #[test]
    fn an_answer_to_nothing_is_the_end() {
        for message in ["R|777||", "N|777|", "P|777|\"x\"|"] {
            let (mut channel, _) = open();
            take_in(&mut channel, "E|Locator|Hello|[]|").unwrap();
            assert_eq!(take_in(&mut channel, message).unwrap_err().code(), 3, "{message}");
        }
    }

    #[test]
    fn the_first_reason_to_end_is_the_one_that_is_told_and_only_once() {
        let (mut channel, mut output) = open();
        output.advance(output.len());
        let report = |code| ErrorReport { code, time_ms: 5, text: "no".to_owned() };
        assert!(channel.finish(Some(report(3))));
        assert!(!channel.finish(Some(report(1))));
        channel.close(&mut output);
        channel.close(&mut output);
        let expected = b"\x03\x02{\"Code\":3,\"Time\":5,\"Format\":\"no\"}\0\x03\x01";
        assert_eq!(output.to_vec(), expected);
    }
}
