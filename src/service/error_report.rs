//! Error reports with the text that all clients can show.

use crate::wire::ErrorReport;

/// Characters of a report's text; what is longer is cut. A peer's own words may have come into it.
const TEXT_CHARS_MAX: usize = 255;

/// An error report whose text needs no formatting. Clients disagree about placeholders and quotes,
/// so those characters are replaced.
pub fn error_report(code: u16, unix_ms: u64, text: &str) -> ErrorReport {
    let is_plain = |byte: u8| byte.is_ascii() && !matches!(byte, b'{' | b'}' | b'\'');
    if text.len() <= TEXT_CHARS_MAX && text.bytes().all(is_plain) {
        return ErrorReport { code, time_ms: unix_ms, text: text.to_owned() };
    }
    let text = text
        .chars()
        .take(TEXT_CHARS_MAX)
        .map(|character| match character {
            '{' => '(',
            '}' => ')',
            '\'' => '"',
            _ => character,
        })
        .collect();
    ErrorReport { code, time_ms: unix_ms, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_no_placeholder_no_quote_and_an_end() {
        let report = error_report(1, 5, &format!("No such stream: it's {{0}} {}", "x".repeat(300)));
        assert!(report.text.starts_with("No such stream: it\"s (0) xxx"), "{}", report.text);
        assert_eq!(report.text.chars().count(), 255);
        assert_eq!((report.code, report.time_ms), (1, 5));
    }
}
