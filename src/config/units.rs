//! Sizes and durations as people write them: `64KiB`, `1MiB`, `500ms`, `5s`.

use std::time::Duration;

/// A size or a duration that cannot be read. Its text says what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a size.
    #[error(
        "`{0}` is not a size: write bytes as a whole number with a unit, such as 64KiB or 1MiB"
    )]
    Size(String),
    /// Not a duration.
    #[error("`{0}` is not a duration: write a whole number with a unit, such as 500ms or 5s")]
    Duration(String),
}

/// Units of size, the largest first, so that printing finds the longest that divides.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Units of time in milliseconds, the largest first.
const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a size in bytes: a whole number and a unit (`B`, `KB`, `KiB`, `MB`, `MiB`, `GB`, `GiB`, in
/// any case), or a bare number of bytes.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => Some(1),
        _ => SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|u| u.1),
    };
    let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    bytes.ok_or_else(|| UnitError::Size(text.to_owned()))
}

/// Reads a duration: a whole number and `ms`, `s`, `m` or `h`; only zero may stand without a unit.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" if number == "0" => Some(1),
        _ => DURATION_UNITS.iter().find(|(name, _)| *name == unit).map(|u| u.1),
    };
    let milliseconds = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    milliseconds.map(Duration::from_millis).ok_or_else(|| UnitError::Duration(text.to_owned()))
}

/// Writes a size so that [`parse_size`] reads it back.
pub fn show_size(bytes: u64) -> String {
    let binary = SIZE_UNITS.iter().filter(|(name, _)| name.len() != 2);
    let (name, factor) = binary
        .clone()
        .find(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor))
        .unwrap_or(&("B", 1));
    format!("{}{name}", bytes / factor)
}

/// Writes a duration, in whole milliseconds, so that [`parse_duration`] reads it back.
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (name, factor) = DURATION_UNITS
        .iter()
        .find(|(_, factor)| milliseconds != 0 && milliseconds.is_multiple_of(*factor))
        .unwrap_or(&("ms", 1));
    format!("{}{name}", milliseconds / factor)
}

/// Splits the leading digits from the unit; a blank between them is fine.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..digits], text[digits..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_decimal_and_no_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("64KiB", 65_536),
            ("64 kib", 65_536),
            ("1MB", 1_000_000),
            ("32MiB", 32 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "KiB", "1.5MiB", "-1", "12 parsecs", "1K", "99999999999999GiB"] {
            assert_eq!(parse_size(bad), Err(UnitError::Size(bad.to_owned())));
        }
    }

    #[test]
    fn durations_need_a_unit_but_for_zero() {
        for (text, milliseconds) in
            [("0", 0), ("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["", "5", "s", "-1s", "1.5s", "3 weeks", "99999999999999999h"] {
            assert_eq!(parse_duration(bad), Err(UnitError::Duration(bad.to_owned())));
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1000, 1024, 65_536, 3 << 20, 1 << 30, (1 << 30) + 1] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_size(1 << 20), "1MiB");
        for milliseconds in [0, 1, 999, 1000, 90_000, 7_200_000] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        assert_eq!(show_duration(Duration::from_secs(5)), "5s");
    }
}
