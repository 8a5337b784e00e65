//! A stream that waits for its writer, and how the writer comes back to it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::cli::args::PubArgs;
use crate::cli::connect::Caller;
use crate::cli::retry::Retry;
use crate::client::{CallError, ClientError, Connection, CreateOptions, Key};

/// How long a stream with a key is kept where nobody says.
const KEEP_FOR_MS: u64 = 60_000;

/// Whether and how a stream survives its writer's connection.
pub(super) struct Keeping {
    key: Option<Key>,
    /// Whether nobody else can have the same key.
    is_key_unique: bool,
    keep_for_ms: u64,
    retry: Retry,
}

/// In what state the stream was found on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakenUp {
    /// It is ours again and has taken so many bytes.
    At(u64),
    /// It has been ended.
    Ended,
    /// It has been ended for want of its writer.
    CutOff,
    /// There is none with this ID and key.
    Gone,
}

impl Keeping {
    pub(super) fn new(args: &PubArgs, caller: Caller) -> Keeping {
        let default = if args.key.is_some() { KEEP_FOR_MS } else { 0 };
        let keep_for_ms = args.keep_for.unwrap_or(default);
        let is_kept = keep_for_ms > 0;
        Keeping {
            key: args.key.clone().or_else(|| is_kept.then(random_key)),
            is_key_unique: args.key.is_none(),
            keep_for_ms,
            retry: Retry::new("pub", caller, Duration::from_millis(keep_for_ms)),
        }
    }

    /// Whether the stream waits for its writer.
    pub(super) fn is_kept(&self) -> bool {
        self.keep_for_ms > 0
    }

    /// Whether another connection could mend this error.
    pub(super) fn may_mend(&self, error: &ClientError) -> bool {
        self.retry.may_mend(error)
    }

    /// Creates the stream, on another connection where this one breaks.
    pub(super) fn create(
        &self,
        mut connection: Connection,
        args: &PubArgs,
    ) -> anyhow::Result<(Connection, String)> {
        let options = self.options(args);
        match connection.create(&args.r#type, &options) {
            Err(breakage) if self.may_mend(&breakage) => {
                self.retry.until_connected(&breakage, |connection| {
                    match self.find_created(connection, args)? {
                        Some(stream) => Ok(stream),
                        None => connection.create(&args.r#type, &options),
                    }
                })
            }
            result => Ok((connection, result?)),
        }
    }

    fn options(&self, args: &PubArgs) -> CreateOptions {
        CreateOptions {
            context: args.context.clone(),
            name: args.name.clone(),
            buffer_bytes: args.buffer,
            history_bytes: args.history,
            stall_timeout: args.stall_timeout,
            hold: args.hold,
            linger_ms: (args.linger > 0).then_some(args.linger),
            key: self.key.clone(),
            keep_for_ms: self.is_kept().then_some(self.keep_for_ms),
            ..CreateOptions::default()
        }
    }

    /// Looks for a stream that was created though its ID never arrived: our key opens it and
    /// nothing has been written. With a key that others may have too, an owner who is there is left
    /// alone.
    fn find_created(
        &self,
        connection: &mut Connection,
        args: &PubArgs,
    ) -> Result<Option<String>, ClientError> {
        let Some(key) = &self.key else { return Ok(None) };
        let entries = connection.list(Some(&args.r#type))?;
        let ours = entries.into_iter().rev().filter(|entry| {
            (entry.end, entry.eos) == (0, false)
                && (entry.name.as_ref(), entry.context.as_ref())
                    == (args.name.as_ref(), args.context.as_ref())
                && (self.is_key_unique || entry.owner.is_none())
        });
        for entry in ours {
            match connection.adopt(&entry.id, key) {
                Ok(_) => return Ok(Some(entry.id)),
                Err(ClientError::Call(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Comes back to the stream over a new connection.
    pub(super) fn take_up(
        &self,
        breakage: &ClientError,
        stream: &str,
    ) -> anyhow::Result<(Connection, TakenUp)> {
        let key = self.key.as_ref().expect("only a stream with a key is kept");
        self.retry.until_connected(breakage, |connection| match connection.adopt(stream, key) {
            Ok(position) => Ok(TakenUp::At(position)),
            Err(ClientError::Call(error)) if error.code == CallError::INVALID_CONTEXT => {
                Ok(TakenUp::Gone)
            }
            Err(ClientError::Call(error)) if error.code == CallError::END_OF_FILE => {
                let entries = connection.list(None)?;
                let is_cut_off = entries.iter().any(|e| e.id == stream && e.cut_off);
                Ok(if is_cut_off { TakenUp::CutOff } else { TakenUp::Ended })
            }
            Err(error) => Err(error),
        })
    }
}

/// 128 bits that nobody can guess: the standard library keys its hashes from the system's
/// randomness.
fn random_key() -> Key {
    let random = RandomState::new();
    Key::new(format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_keys_are_long_and_differ() {
        let (one, other) = (random_key(), random_key());
        assert_eq!(one.secret().len(), 32);
        assert_ne!(one, other);
    }
}
