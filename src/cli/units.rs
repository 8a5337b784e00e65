//! Values of arguments as people write them.

use std::time::Duration;

use crate::client::{Key, Position, StallTimeout};
use crate::config::units::{parse_duration, parse_size};

/// The longest name of a place or of a caller.
const NAME_BYTES_MAX: usize = 255;

/// Bytes: `65536`, `64KiB`, `1MiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).map_err(|error| error.to_string())
}

/// Milliseconds: `5000`, `500ms`, `5s`.
pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    let duration = match text.parse() {
        Ok(number) => Duration::from_millis(number),
        Err(_) => parse_duration(text).map_err(|_| {
            format!("`{text}` is not a duration: write milliseconds or a unit, such as 500ms or 5s")
        })?,
    };
    Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The same, at least one.
pub(crate) fn some_milliseconds(text: &str) -> Result<u64, String> {
    match milliseconds(text)? {
        0 => Err("give at least 1ms".to_owned()),
        time => Ok(time),
    }
}

/// A number of threads; what is possible the settings know.
pub(crate) fn workers(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number of threads: write one such as 4"))
}

/// A duration, or `never`.
pub(crate) fn stall_timeout(text: &str) -> Result<StallTimeout, String> {
    match text {
        "never" => Ok(StallTimeout::Never),
        _ => milliseconds(text)
            .map(StallTimeout::AfterMs)
            .map_err(|error| format!("{error}, or never")),
    }
}

/// A secret: any text but none.
pub(crate) fn key(text: &str) -> Result<Key, String> {
    match text.is_empty() {
        true => Err("a key must not be empty".to_owned()),
        false => Ok(Key::new(text)),
    }
}

/// A name of at most as many bytes as brokers take, and at least one.
pub(crate) fn name(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("a name must not be empty".to_owned()),
        1..=NAME_BYTES_MAX => Ok(text.to_owned()),
        len => Err(format!("a name has at most {NAME_BYTES_MAX} bytes, this one {len}")),
    }
}

/// The ID of a stream, as the broker writes it.
pub(crate) fn stream_id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_id {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is not the ID of a stream: write one such as VS7")),
    }
}

/// `oldest`, `latest` or an offset in bytes.
pub(crate) fn position(text: &str) -> Result<Position, String> {
    match text {
        "oldest" => Ok(Position::Oldest),
        "latest" => Ok(Position::Latest),
        _ => text.parse().map(Position::Offset).map_err(|_| {
            format!("`{text}` is not a position: write oldest, latest or an offset in bytes")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(milliseconds("250"), Ok(250));
        assert_eq!(milliseconds("2s"), Ok(2000));
        assert_eq!(stall_timeout("never"), Ok(StallTimeout::Never));
        assert_eq!(stall_timeout("0"), Ok(StallTimeout::AfterMs(0)));
        assert_eq!(position("oldest"), Ok(Position::Oldest));
        assert_eq!(position("latest"), Ok(Position::Latest));
        assert_eq!(position("12"), Ok(Position::Offset(12)));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_what_would_do() {
        for message in [
            size("many").unwrap_err(),
            milliseconds("-1").unwrap_err(),
            stall_timeout("soon").unwrap_err(),
            position("-5").unwrap_err(),
            stream_id("VS1&top=2").unwrap_err(),
        ] {
            assert!(message.contains("write"), "{message}");
        }
        assert_eq!(name(&"x".repeat(255)).map(|name| name.len()), Ok(255));
        assert!(name(&"x".repeat(256)).unwrap_err().contains("at most 255 bytes, this one 256"));
        assert!(name("").unwrap_err().contains("empty"));
    }
}
