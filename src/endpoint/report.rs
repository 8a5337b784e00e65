//! What a peer says with its end of stream.

use crate::wire::{ErrorReport, Frame, Framer, WireLimits};

/// What the report is read as: it has no header of its own, and with that of an event it is a
/// message like others.
const HEADER: &[u8] = b"E\0Locator\0closed\0";

/// Reads the report behind a peer's end of stream.
#[derive(Debug)]
pub struct ClosingReport {
    framer: Framer,
    limits: WireLimits,
}

impl ClosingReport {
    /// Begins behind the end of stream.
    pub fn new(limits: &WireLimits) -> ClosingReport {
        let mut framer = Framer::new(limits.clone());
        // A header alone is neither an error nor a message.
        let _ = framer.decode(&mut &HEADER[..]);
        ClosingReport { framer, limits: limits.clone() }
    }

    /// Takes further bytes in. `None`: the report is not whole yet. Then what it says, where that
    /// can be understood; what is wrong with it matters no more.
    pub fn receive(&mut self, mut input: &[u8]) -> Option<Option<String>> {
        match self.framer.decode(&mut input) {
            Ok(None) => None,
            Ok(Some(Frame::Message(body))) => Some(
                body.open(&self.limits)
                    .ok()
                    .and_then(|(_, mut arguments)| ErrorReport::describe(&arguments.json().ok()?)),
            ),
            Ok(Some(Frame::EndOfStream)) | Err(_) => Some(None),
        }
    }
}
