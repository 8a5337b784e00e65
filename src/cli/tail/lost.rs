//! What a reader did not get.

/// The gaps so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    bytes: u64,
    gaps: u64,
    /// Gaps whose size nobody knows.
    unknown: u64,
}

impl Lost {
    /// Notes a gap and gives its notice. `bytes` is `None` where nobody knows how many.
    #[must_use]
    pub(super) fn add(&mut self, bytes: Option<u64>, stream: &str, position: u64) -> String {
        self.gaps += 1;
        self.unknown += u64::from(bytes.is_none());
        self.bytes += bytes.unwrap_or_default();
        let count = bytes.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string());
        format!("weir tail: lost {count} bytes of {stream} at offset {position}")
    }

    /// Whether there was one.
    pub(super) fn is_any(&self) -> bool {
        self.gaps > 0
    }

    /// All of it in a line. `None`: nothing is missing.
    pub(super) fn summary(&self) -> Option<String> {
        if !self.is_any() {
            return None;
        }
        let Lost { bytes, gaps, unknown } = self;
        let places = if *gaps == 1 { "gap" } else { "gaps" };
        let least = if *unknown > 0 { "at least " } else { "" };
        Some(format!(
            "weir tail: lost {least}{bytes} bytes in {gaps} {places}; \
             a longer --stall-timeout makes the stream wait for this reader"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_add_up() {
        let mut lost = Lost::default();
        assert_eq!(lost.summary(), None);
        let notice = lost.add(Some(1234), "VS3", 5678);
        assert_eq!(notice, "weir tail: lost 1234 bytes of VS3 at offset 5678");
        assert!(lost.summary().is_some_and(|text| text.contains("lost 1234 bytes in 1 gap;")));
        let notice = lost.add(None, "VS4", 0);
        assert_eq!(notice, "weir tail: lost an unknown number of bytes of VS4 at offset 0");
        assert!(lost.summary().is_some_and(|text| text.contains("at least 1234 bytes in 2 gaps;")));
    }
}
