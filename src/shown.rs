//! A stranger's text, made safe to show: what a peer or a broker said must not steer the terminal,
//! reorder a line or pass for another one.
//!
//! Escaped are control characters (C0, DEL, C1), separators of lines, and everything that Unicode
//! calls a format character, bidirectional marks among them. Bytes that are no UTF-8 and lone
//! surrogates were replaced by U+FFFD when they were decoded. The bytes of a stream are not text to
//! show: they are data, and pass as they are.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters that are not seen but change how others are: Unicode's category Cf with the gaps
/// between its neighbours, and the separators of lines and paragraphs (Zl, Zp).
const FORMATS: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e007f}'),
];

/// The beginning of what sets a colour.
const COLOUR: &str = "\x1b[";

/// Whether a character does something else than be seen.
fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' => false,
        _ => c.is_control() || FORMATS.iter().any(|&(first, last)| (first..=last).contains(&c)),
    }
}

/// Text for one line: hidden characters as `\n`, `\x1b` or `\u{202e}`.
///
/// A backslash stays one, so that paths stay readable; a text that spells an escape out therefore
/// looks like one, and does as little.
pub fn line(text: &str) -> Cow<'_, str> {
    replace(text, is_hidden, escape)
}

/// Text of our own that may have several lines, with something of a stranger's in it.
pub fn lines(text: &str) -> Cow<'_, str> {
    replace(text, |c| c != '\n' && is_hidden(c), escape)
}

/// As [`line()`], but sequences that only set colours (`ESC [ … m`) stay: for text of our own that
/// has some.
pub fn coloured_line(text: &str) -> Cow<'_, str> {
    if !text.contains(COLOUR) {
        return line(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(COLOUR) {
        shown.push_str(&line(before));
        let end = behind.find(|c: char| !matches!(c, '0'..='9' | ';'));
        match end.filter(|&end| behind[end..].starts_with('m')) {
            Some(end) => {
                shown.push_str(COLOUR);
                shown.push_str(&behind[..=end]);
                rest = &behind[end + 1..];
            }
            None => {
                shown.push_str(&line(COLOUR));
                rest = behind;
            }
        }
    }
    shown.push_str(&line(rest));
    Cow::Owned(shown)
}

/// Text for a column of a table: as [`line()`], and cut where it is longer than `chars_max`, so
/// that one long name does not pad every row.
pub fn brief(text: &str, chars_max: usize) -> String {
    // Each character shows as at least one: what is further behind need not be looked at.
    let front: String = text.chars().take(chars_max + 1).collect();
    let shown = line(&front);
    if shown.chars().count() <= chars_max {
        return shown.into_owned();
    }
    let mut cut: String = shown.chars().take(chars_max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A JSON text, in which hidden characters can only be within strings: the same values, with each
/// of them as `\u202e`. Line ends of a pretty form stay.
pub fn json(text: &str) -> Cow<'_, str> {
    replace(text, |c| c != '\n' && is_hidden(c), escape_json)
}

fn replace(
    text: &str,
    is_hidden: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    let Some(first) = text.find(&is_hidden) else { return Cow::Borrowed(text) };
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(&text[..first]);
    for c in text[first..].chars() {
        match is_hidden(c) {
            true => escape(&mut shown, c),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn escape(shown: &mut String, c: char) {
    // Writing to a string does not fail.
    let _ = match c {
        '\n' | '\r' | '\t' => write!(shown, "{}", c.escape_default()),
        '\0'..='\x7f' => write!(shown, "\\x{:02x}", c as u32),
        _ => write!(shown, "{}", c.escape_unicode()),
    };
}

fn escape_json(shown: &mut String, c: char) {
    // Between two values JSON knows no other blanks than these.
    if matches!(c, '\r' | '\t') {
        return shown.push(' ');
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(shown, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal or a reader could be led astray with.
    const HOSTILE: &str = "a\x1b[2J\r\n\t\x07\x7f\u{9b}31m\u{202e}gpj\u{2066}\u{feff}\u{2028}é漢\\";

    #[test]
    fn nothing_hidden_stays_and_everything_else_does() {
        assert_eq!(
            line(HOSTILE),
            "a\\x1b[2J\\r\\n\\t\\x07\\x7f\\u{9b}31m\\u{202e}gpj\\u{2066}\\u{feff}\\u{2028}é漢\\"
        );
        assert_eq!(lines("one\ntwo\u{85}"), "one\ntwo\\u{85}");
        for text in ["", "board-1 \"cpu0\" C:\\temp", "Ünïcödé 漢字 🦀 e\u{301}"] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn the_library_calls_no_hidden_character_printable() {
        for c in ('\0'..=char::MAX).filter(|&c| is_hidden(c)) {
            // Behind another one, so that a combining mark would stay as it is.
            assert_ne!(format!("a{c}").escape_debug().to_string(), format!("a{c}"), "{c:?}");
        }
        for c in ('\0'..=char::MAX).filter(|c| c.is_control()) {
            assert!(is_hidden(c), "{c:?}");
        }
    }

    #[test]
    fn colours_stay_where_they_are_wanted_and_nothing_else_does() {
        let text =
            "\x1b[2mtime\x1b[0m \x1b[1;31mWARN\x1b[0m x\x1b[2J \x1b[31 \x1b[ \x1b]0;t\x07\n\x1b[";
        assert_eq!(
            coloured_line(text),
            "\x1b[2mtime\x1b[0m \x1b[1;31mWARN\x1b[0m x\\x1b[2J \\x1b[31 \\x1b[ \\x1b]0;t\\x07\\n\\x1b["
        );
        assert_eq!(coloured_line("a\x1b"), "a\\x1b");
    }

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "\u{e0041}"] });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = json(&text);
            assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
        assert_eq!(json("{\t\"a\":\r1}"), "{ \"a\": 1}");
    }

    #[test]
    fn a_column_has_a_width() {
        assert_eq!(brief("abcde", 5), "abcde");
        assert_eq!(brief("abcdef", 5), "abcd…");
        assert_eq!(brief("ab\x1b", 5), "ab\\x…");
        assert_eq!(brief("ab\x1bcdefgh", 6), "ab\\x1…");
        assert_eq!(brief("é漢é漢é漢", 3), "é漢…");
        assert_eq!(brief(&"\x1b".repeat(1 << 20), 4), "\\x1…");
    }
}
