//! Who a peer is, and what it may see and do.
//!
//! Every channel has a [`Principal`]; the core asks it before it does anything in the channel's
//! name (`stream`: "does this stream exist for you, and may you do that").

/// Something that a principal may do with streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Know that a stream is there: `list`, and the events of a subscription.
    See,
    /// Attach to it as a reader.
    Read,
    /// Write to it, and end it.
    Write,
    /// Make streams, and take over those whose key is known.
    Create,
    /// Dispose streams of others.
    Manage,
}

impl Right {
    /// All of them.
    pub const ALL: [Right; 5] =
        [Right::See, Right::Read, Right::Write, Right::Create, Right::Manage];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Who is behind a channel, as far as the broker goes by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    rights: u8,
}

impl Principal {
    /// Whoever can reach the broker: has every right.
    pub fn everybody() -> Principal {
        Principal::with(&Right::ALL)
    }

    /// Somebody with just these rights.
    pub fn with(rights: &[Right]) -> Principal {
        Principal { rights: rights.iter().fold(0, |bits, right| bits | right.bit()) }
    }

    /// Whether it has the right.
    #[inline]
    pub fn has(&self, right: Right) -> bool {
        self.rights & right.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_the_rights_it_was_given_and_no_other() {
        for given in Right::ALL {
            let principal = Principal::with(&[given]);
            for right in Right::ALL {
                assert_eq!(principal.has(right), right == given, "{right:?} of {given:?}");
            }
        }
        assert!(Right::ALL.iter().all(|right| Principal::everybody().has(*right)));
    }
}
