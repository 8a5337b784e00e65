//! How this reader attaches: with a place of its own in the stream, where the broker has places.

use std::hash::{BuildHasher, RandomState};

use crate::cli::args::TailArgs;
use crate::cli::say;
use crate::client::{
    AttachOptions, Attached, CallError, ClientError, Connection, Position, StallTimeout,
};

/// How long a place waits where nobody says: longer than a connection takes to come back, too
/// short to be in the way of others.
const KEEP_FOR_MS: u64 = 30_000;

/// The options that are the same each time.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `None`: none is wanted.
    name: Option<String>,
    keep_for_ms: u64,
    /// Whether the name outlives this run, so that the place is not given up at its end.
    is_chosen: bool,
    /// Whether the user has asked for it, and is told where there can be none.
    is_asked_for: bool,
    stall_timeout: Option<StallTimeout>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) attached: Attached,
    /// Whether the broker holds what is not confirmed.
    pub(super) has_place: bool,
}

impl Place {
    /// `kept` is the name that an earlier run used.
    pub(super) fn new(args: &TailArgs, kept: Option<String>) -> Place {
        let chosen = args.place.clone().or(kept);
        let is_chosen = chosen.is_some() || args.state.is_some();
        // A run that does not come back needs none.
        let is_wanted = !args.no_place && (is_chosen || args.retry_for > 0);
        let name = is_wanted.then(|| chosen.unwrap_or_else(random_name));
        let usual = if is_chosen { KEEP_FOR_MS } else { KEEP_FOR_MS.min(args.retry_for) };
        let keep_for_ms = args.keep_for.unwrap_or(usual);
        let is_asked_for = is_chosen || args.keep_for.is_some();
        Place { name, keep_for_ms, is_chosen, is_asked_for, stall_timeout: args.stall_timeout }
    }

    /// Its name.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether a stream is to be attached to where the channel is connected to it already.
    pub(super) fn has_wishes(&self) -> bool {
        self.name.is_some() || self.stall_timeout.is_some()
    }

    /// Whether the place goes with this run.
    pub(super) fn is_passing(&self) -> bool {
        !self.is_chosen
    }

    /// Attaches. A place that nobody asked for is done without where the broker has none to give.
    pub(super) fn attach(
        &self,
        connection: &mut Connection,
        id: &str,
        from: Position,
    ) -> Result<Taken, ClientError> {
        let options = AttachOptions {
            from: Some(from),
            stall_timeout: self.stall_timeout,
            place: self.name.clone(),
            keep_for_ms: self.name.is_some().then_some(self.keep_for_ms),
        };
        let refused = match connection.attach(id, &options) {
            Err(ClientError::Call(refused)) if self.is_doubtful(&refused) => refused,
            result => {
                return result.map(|attached| Taken { attached, has_place: self.name.is_some() });
            }
        };
        let without = AttachOptions { place: None, keep_for_ms: None, ..options };
        let attached = connection.attach(id, &without)?;
        if self.is_asked_for || refused.code == CallError::LIMIT {
            say::line(&format!(
                "weir tail: no place in {id}, a broken connection may cost bytes: {}",
                refused.text
            ));
        }
        Ok(Taken { attached, has_place: false })
    }

    /// Whether the refusal may be for the place alone: an older broker does not know it, a busy one
    /// may have too many.
    fn is_doubtful(&self, refused: &CallError) -> bool {
        self.name.is_some() && matches!(refused.code, CallError::BAD_VALUE | CallError::LIMIT)
    }
}

/// A name that no other run has.
fn random_name() -> String {
    format!("weir-tail-{:016x}", RandomState::new().hash_one(1))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Args, Verb};

    fn place(flags: &str, kept: Option<&str>) -> Place {
        let line = format!("weir tail {flags}");
        let Some(Verb::Tail(args)) = Args::try_parse_from(line.split_whitespace()).unwrap().verb
        else {
            panic!("tail is a verb")
        };
        Place::new(&args, kept.map(str::to_owned))
    }

    #[test]
    fn each_run_has_a_place_of_its_own_unless_a_name_is_chosen() {
        let (one, other) = (place("", None), place("", None));
        assert_ne!(one.name().unwrap(), other.name().unwrap());
        assert!(one.is_passing() && one.keep_for_ms == KEEP_FOR_MS);
        assert_eq!(place("--retry-for 2s", None).keep_for_ms, 2000);
        assert_eq!(place("--retry-for 0", None).name(), None);
        assert_eq!(place("--no-place", None).name(), None);
        let named = place("--place ci --keep-for 9s", None);
        assert_eq!((named.name(), named.keep_for_ms), (Some("ci"), 9000));
        assert!(!named.is_passing());
        let kept = place("--state f", Some("old"));
        assert_eq!((kept.name(), kept.is_passing()), (Some("old"), false));
    }
}
