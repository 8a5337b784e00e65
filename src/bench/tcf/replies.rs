//! Messages of any form, read with care and at some cost.

use crate::bench::BenchError;
use crate::wire::{Arguments, ErrorReport, Frame, Framer, Header, WireLimits};

/// Reads a connection message by message.
#[derive(Debug)]
pub(super) struct Replies {
    framer: Framer,
    limits: WireLimits,
}

impl Replies {
    /// At the start of a message.
    pub(super) fn new() -> Replies {
        let limits = WireLimits::default();
        Replies { framer: Framer::new(limits.clone()), limits }
    }

    /// Takes all of `input` in and hands out the replies: token and arguments. Events are none of a
    /// load's business.
    ///
    /// # Errors
    /// What `reply` says, an end of the channel, or bytes that make no sense.
    pub(super) fn take(
        &mut self,
        mut input: &[u8],
        mut reply: impl FnMut(usize, Arguments<'_>) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        while let Some(frame) = self.framer.decode(&mut input)? {
            let Frame::Message(body) = frame else {
                return Err(BenchError::Closed { report: None });
            };
            let (header, arguments) = body.open(&self.limits)?;
            match header {
                Header::Reply { token } => {
                    let text = std::str::from_utf8(&token).ok();
                    let token = text.and_then(|text| text.parse().ok());
                    let token = token.ok_or_else(|| {
                        BenchError::Misbehaved("a reply to no command of ours".to_owned())
                    })?;
                    reply(token, arguments)?;
                }
                Header::NotRecognized { .. } => {
                    return Err(BenchError::Refused {
                        command: "a command".to_owned(),
                        text: "it does not know it".to_owned(),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads an error report, which should be that of a success.
///
/// # Errors
/// [`BenchError::Refused`].
pub(super) fn succeed(command: &str, arguments: &mut Arguments<'_>) -> Result<(), BenchError> {
    match ErrorReport::describe(&arguments.json()?) {
        None => Ok(()),
        Some(text) => Err(BenchError::Refused { command: command.to_owned(), text }),
    }
}
