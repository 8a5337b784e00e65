//! Who a peer says it is, for people: it decides nothing.

use std::fmt;

/// The longest part of an introduction, in bytes.
pub const INTRODUCTION_BYTES_MAX: usize = 255;

/// What `introduce` said: shown beside the address, never in place of it. Each part has at most
/// [`INTRODUCTION_BYTES_MAX`] bytes, all of them the peer's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// What it calls itself.
    pub name: Option<Box<str>>,
    /// Whose it is.
    pub user: Option<Box<str>>,
    /// What runs there.
    pub program: Option<Box<str>>,
}

impl Introduction {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.parts().all(|(_, part)| part.is_none())
    }

    /// What it costs to keep, in bytes.
    pub fn bytes(&self) -> u64 {
        let said = self.parts().filter_map(|(_, part)| part);
        said.map(|part| part.len() as u64).sum::<u64>() + size_of::<Introduction>() as u64
    }

    /// The parts with their names on the wire.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let parts = [("Name", &self.name), ("User", &self.user), ("Program", &self.program)];
        parts.into_iter().map(|(name, part)| (name, part.as_deref()))
    }
}

impl fmt::Display for Introduction {
    /// What was said, in one line, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (_, part) in self.parts() {
            if let Some(part) = part {
                write!(f, "{separator}{part}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_shows_in_one_line() {
        let mut who = Introduction::default();
        assert!(who.is_empty());
        assert_eq!(who.to_string(), "");
        who.program = Some("weir tail".into());
        who.name = Some("ci-7".into());
        assert_eq!(who.to_string(), "ci-7, weir tail");
        assert!(!who.is_empty());
    }
}
