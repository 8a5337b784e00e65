//! Which stream types have a name in metrics.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::stream::TYPES_MAX;

/// The label of all other types.
pub(super) const OTHER: &str = "other";

/// The first so many types that came. Settled once and for all, so that no series ever shrinks.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<Arc<str>>);

impl Names {
    /// The label of a type.
    pub(super) fn label<'a>(&mut self, stream_type: &'a Arc<str>) -> &'a str {
        if self.0.contains(stream_type) {
            return stream_type;
        }
        if self.0.len() == TYPES_MAX {
            return OTHER;
        }
        self.0.insert(Arc::clone(stream_type));
        stream_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_and_one_too_many_is_other() {
        let mut names = Names::default();
        let types: Vec<Arc<str>> = (0..=TYPES_MAX).map(|n| format!("type {n}").into()).collect();
        for _ in 0..2 {
            for (index, name) in types.iter().enumerate() {
                let expected = if index < TYPES_MAX { name } else { OTHER };
                assert_eq!(names.label(name), expected);
            }
        }
    }
}
