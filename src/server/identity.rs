//! What the broker says of itself.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use crate::worker::Identity;

/// The identity of this process on these addresses.
pub(crate) fn identity(name: &str, listens: &[SocketAddr]) -> Identity {
    Identity {
        agent_id: random_uuid(),
        name: name.to_owned(),
        listens: listens.iter().map(|address| (address.ip().to_string(), address.port())).collect(),
    }
}

/// A version 4 UUID (RFC 9562, section 5.4). It tells processes apart and guards nothing, so the
/// system's randomness behind the standard hash keys is good enough.
fn random_uuid() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    let high = random() & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = random() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_form_and_differ() {
        let (one, other) = (random_uuid(), random_uuid());
        assert_ne!(one, other);
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&one[14..15], "4");
        assert!("89ab".contains(&one[19..20]));
    }
}
