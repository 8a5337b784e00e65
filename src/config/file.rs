//! The text of a file → [`Settings`]. Every complaint names the line, the column and the key.

use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::config::{Error, Place, Settings};

/// Reads the text of the file at `path`; what it leaves out has its default. Ranges are not
/// checked: flags may still change a value.
///
/// # Errors
/// [`Error::Syntax`] where it is not TOML, [`Error::Key`] for a key that is unknown or a value of
/// the wrong kind.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Settings, Error> {
    let place = |error: &toml::de::Error| {
        Place::of(path.to_owned(), text, error.span().map_or(0, |span| span.start))
    };
    let syntax = |error: toml::de::Error| Error::Syntax {
        place: place(&error),
        message: error.message().to_owned(),
    };
    let document = DeTable::parse(text).map_err(syntax)?;
    let source = toml::Deserializer::from(document.clone());
    Settings::deserialize(source).map_err(|error| Error::Key {
        place: place(&error),
        key: error.span().and_then(|span| key_at(document.get_ref(), span.start)),
        message: error.message().replacen("unknown field", "unknown key", 1),
    })
}

/// The key, with its table, that byte `index` of the text belongs to.
fn key_at(table: &DeTable<'_>, index: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        if let DeValue::Table(inner) = value.get_ref()
            && let Some(inner) = key_at(inner, index)
        {
            return Some(format!("{name}.{inner}"));
        }
        let is_here = key.span().contains(&index) || value.span().contains(&index);
        is_here.then(|| name.to_string())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Address, HttpAddress, LimitSettings, LogLevel, Size};

    fn complaint(text: &str) -> String {
        parse(Path::new("weir.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_full_file_is_read() {
        let text = r#"
            listen = ["TCP:127.0.0.1:1600", "[::1]:1600"]
            http = "off"
            workers = 3
            pin = true
            name = "lab 7"
            log = "debug"

            [limits]
            channels_max = 1_000
            streams_max = 0x10
            buffer_size_max = "16MiB"
            message_size = 1048576
            unsent = "64KiB"
            parked = "2MiB"
            memory = "1GiB"
            keep_for = "2m"
            linger = "0ms"
            hello_timeout = "3s"
            linger_timeout = "500ms"
            http_head_timeout = "4s"
            http_body_timeout = "6s"
            drain_timeout = "1m"
        "#;
        let settings = parse(Path::new("weir.toml"), text).unwrap();
        assert_eq!(
            settings,
            Settings {
                listen: vec![
                    Address { host: "127.0.0.1".to_owned(), port: 1600 },
                    Address { host: "::1".to_owned(), port: 1600 },
                ],
                http: HttpAddress::Off,
                workers: 3,
                pin: true,
                name: "lab 7".to_owned(),
                log: LogLevel::Debug,
                limits: LimitSettings {
                    channels_max: 1000,
                    streams_max: 16,
                    buffer_size_max: Size(16 << 20),
                    message_size: Size(1 << 20),
                    unsent: Size(64 << 10),
                    parked: Size(2 << 20),
                    memory: Some(Size(1 << 30)),
                    keep_for: Duration::from_secs(120),
                    linger: Duration::ZERO,
                    hello_timeout: Duration::from_secs(3),
                    linger_timeout: Duration::from_millis(500),
                    http_head_timeout: Duration::from_secs(4),
                    http_body_timeout: Duration::from_secs(6),
                    drain_timeout: Duration::from_secs(60),
                },
            }
        );
        assert_eq!(parse(Path::new("weir.toml"), "").unwrap(), Settings::unchecked());
        let one = parse(Path::new("weir.toml"), "listen = \"127.0.0.1:7\"").unwrap();
        assert_eq!(one.listen, [Address::loopback(7)]);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        assert_eq!(
            complaint("workers = 2\nlissten = \"127.0.0.1:1\"\n"),
            "weir.toml:2:1: `lissten`: unknown key `lissten`, expected one of `listen`, `http`, \
             `workers`, `pin`, `name`, `log`, `limits`"
        );
        let text = complaint("[limits]\n  # a comment\n  unsnet = 3\n");
        let start = "weir.toml:3:3: `limits.unsnet`: unknown key `unsnet`, expected one of \
                     `channels_max`, `streams_max`, `buffer_size_max`, ";
        assert!(text.starts_with(start), "{text}");
        let text = complaint("limits.unsnet = 3\n");
        assert!(text.starts_with("weir.toml:1:8: `limits.unsnet`: unknown key"), "{text}");
    }

    #[test]
    fn a_bad_value_is_named_with_its_place_and_what_would_do() {
        for (text, message) in [
            (
                "workers = \"two\"",
                "weir.toml:1:11: `workers`: invalid type: string \"two\", expected a whole number",
            ),
            ("workers = -1", "weir.toml:1:11: `workers`: `-1` is out of range"),
            ("workers = 65536", "weir.toml:1:11: `workers`: `65536` is out of range"),
            (
                "listen = [\n  \"127.0.0.1:1\",\n  \"nowhere\"]",
                "weir.toml:3:3: `listen`: `nowhere` has no port: write nowhere:1534",
            ),
            (
                "listen = \"nowhere\"",
                "weir.toml:1:10: `listen`: `nowhere` has no port: write nowhere:1534",
            ),
            (
                "listen = 1534",
                "weir.toml:1:10: `listen`: invalid type: integer `1534`, expected a string or a \
                 list of strings",
            ),
            (
                "http = \"1534\"",
                "weir.toml:1:8: `http`: `1534` has no host: write 127.0.0.1:1534 for this machine \
                 only, TCP::1534 for all interfaces",
            ),
            ("pin = 1", "weir.toml:1:7: `pin`: invalid type: integer `1`, expected a boolean"),
            ("limits = 3", "weir.toml:1:10: `limits`: invalid type: integer `3`, expected a table"),
            (
                "[limits]\nunsent = \"12 parsecs\"",
                "weir.toml:2:10: `limits.unsent`: `12 parsecs` is not a size: write bytes as a \
                 whole number with a unit, such as 64KiB or 1MiB",
            ),
            (
                "[limits]\nmemory = true",
                "weir.toml:2:10: `limits.memory`: invalid type: boolean `true`, expected a size \
                 such as \"64KiB\"",
            ),
            (
                "limits.hello_timeout = 5",
                "weir.toml:1:24: `limits.hello_timeout`: invalid type: integer `5`, expected a \
                 duration such as \"5s\"",
            ),
            (
                "limits.hello_timeout = \"5\"",
                "weir.toml:1:24: `limits.hello_timeout`: `5` is not a duration: write a whole \
                 number with a unit, such as 500ms or 5s",
            ),
        ] {
            assert_eq!(complaint(text), message);
        }
    }

    #[test]
    fn a_file_that_is_not_toml_is_refused_with_its_place() {
        assert_eq!(
            complaint("workers = 2\nä = 1\n"),
            "weir.toml:2:1: invalid unquoted key, expected letters, numbers, `-`, `_`"
        );
        assert_eq!(complaint("pin = true\npin = false\n"), "weir.toml:2:1: duplicate key");
    }
}
