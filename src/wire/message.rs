//! The kinds of messages and their header fields.

use std::borrow::Cow;

/// The fields before the arguments. Borrowed where they lie in one piece, as they nearly always do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// `C token service name`: a command.
    Command {
        /// Ties the reply to the command.
        token: Cow<'a, [u8]>,
        /// The service.
        service: Cow<'a, [u8]>,
        /// The command's name.
        name: Cow<'a, [u8]>,
    },
    /// `R token`: a final reply.
    Reply {
        /// Ties the reply to the command.
        token: Cow<'a, [u8]>,
    },
    /// `P token`: progress.
    Progress {
        /// Ties it to the command.
        token: Cow<'a, [u8]>,
    },
    /// `N token`: the command is not recognised.
    NotRecognized {
        /// Ties it to the command.
        token: Cow<'a, [u8]>,
    },
    /// `E service name`: an event.
    Event {
        /// The service.
        service: Cow<'a, [u8]>,
        /// The event's name.
        name: Cow<'a, [u8]>,
    },
    /// `F level`: congestion, -100 to 100. Accepted with or without its final NUL; an empty one is
    /// 0.
    FlowControl {
        /// The level.
        level: i64,
    },
}
