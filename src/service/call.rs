//! One command on its way to its handler.

use crate::service::{Identity, Responder};
use crate::stream::{Command, Flow};
use crate::wire::{Arguments, WireError};

/// What a handler gets.
#[derive(Debug)]
pub struct Call<'a> {
    /// The command's arguments, unread.
    pub arguments: Arguments<'a>,
    /// Where an answer goes that needs no core.
    pub responder: Responder<'a>,
    /// What the broker says of itself.
    pub identity: &'a Identity,
}

/// Where handlers hand in what concerns streams. It knows whose command this is, and its token.
pub trait Core {
    /// Carries out a command; its answer comes later.
    fn execute(&mut self, command: Command<'_>) -> Flow;
}

/// Carries out one command: reads all its arguments, then answers or hands in. An error closes the
/// channel; nothing was answered then.
pub type Handler = fn(Call<'_>, &mut dyn Core) -> Result<Flow, WireError>;
