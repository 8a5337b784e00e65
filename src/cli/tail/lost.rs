//! What a reader did not get, and what helps.

/// Why bytes are missing: what helps one reader is of no use to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// They went before it came.
    Late,
    /// They went while its connection was broken, or between two runs.
    Away,
    /// The stream did not wait for it any longer.
    Slow,
    /// The stream is gone.
    Gone,
}

impl Cause {
    fn remedy(self) -> Option<&'static str> {
        match self {
            Cause::Late => Some(
                "a longer --history, or --hold, where it is written keeps more for late readers",
            ),
            Cause::Away => Some(
                "a longer --stall-timeout, or a larger --buffer where it is written, keeps more for \
                 a reader that is away",
            ),
            Cause::Slow => Some("a longer --stall-timeout makes the stream wait for this reader"),
            Cause::Gone => None,
        }
    }
}

/// The gaps so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    bytes: u64,
    gaps: u64,
    /// Gaps whose size nobody knows.
    unknown: u64,
    causes: Vec<Cause>,
}

impl Lost {
    /// Notes a gap and gives its notice. `bytes` is `None` where nobody knows how many.
    #[must_use]
    pub(super) fn add(
        &mut self,
        bytes: Option<u64>,
        stream: &str,
        position: u64,
        cause: Cause,
    ) -> String {
        self.gaps += 1;
        self.unknown += u64::from(bytes.is_none());
        self.bytes += bytes.unwrap_or_default();
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
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
        let Lost { bytes, gaps, unknown, causes } = self;
        let places = if *gaps == 1 { "gap" } else { "gaps" };
        let least = if *unknown > 0 { "at least " } else { "" };
        let mut text = format!("weir tail: lost {least}{bytes} bytes in {gaps} {places}");
        for remedy in causes.iter().filter_map(|cause| cause.remedy()) {
            text.push_str("; ");
            text.push_str(remedy);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_add_up() {
        let mut lost = Lost::default();
        assert_eq!(lost.summary(), None);
        let notice = lost.add(Some(1234), "VS3", 5678, Cause::Slow);
        assert_eq!(notice, "weir tail: lost 1234 bytes of VS3 at offset 5678");
        assert!(lost.summary().is_some_and(|text| text.contains("lost 1234 bytes in 1 gap;")));
        let notice = lost.add(None, "VS4", 0, Cause::Gone);
        assert_eq!(notice, "weir tail: lost an unknown number of bytes of VS4 at offset 0");
        assert!(lost.summary().is_some_and(|text| text.contains("at least 1234 bytes in 2 gaps;")));
    }

    #[test]
    fn a_late_reader_is_not_advised_as_a_slow_one_is() {
        let summary = |cause| {
            let mut lost = Lost::default();
            let _ = lost.add(Some(1), "VS0", 0, cause);
            lost.summary().unwrap()
        };
        assert!(summary(Cause::Late).contains("--history"));
        assert!(!summary(Cause::Late).contains("--stall-timeout"));
        assert!(summary(Cause::Slow).contains("--stall-timeout"));
        assert!(!summary(Cause::Slow).contains("--history"));
        assert!(summary(Cause::Gone).ends_with("in 1 gap"));
    }
}
