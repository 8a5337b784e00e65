//! The text of a file → [`Overrides`]. Every complaint names the line, the column and the key.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::units::{parse_duration, parse_size};
use crate::config::{Error, LimitOverrides, Overrides, Place};

const KEYS: &[&str] = &["listen", "http", "workers", "pin", "name", "log", "limits"];
const LIMIT_KEYS: &[&str] = &[
    "channels_max",
    "streams_max",
    "buffer_size_max",
    "message_size",
    "unsent",
    "parked",
    "memory",
    "hello_timeout",
    "linger_timeout",
    "drain_timeout",
];

/// Reads the text of the file at `path`.
///
/// # Errors
/// [`Error::Syntax`] where it is not TOML, [`Error::Key`] for a key that is unknown or a value of
/// the wrong kind.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Overrides, Error> {
    let file = File { path, text };
    let document = DeTable::parse(text).map_err(|error| Error::Syntax {
        place: file.place(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut overrides = Overrides::default();
    for (key, value) in document.get_ref() {
        let entry = Entry { file, table: "", key: key.get_ref(), value };
        match entry.key {
            "listen" => overrides.listen = Some(entry.list()?),
            "http" => overrides.http = Some(entry.parsed(value)?),
            "workers" => overrides.workers = Some(entry.whole_number()?),
            "pin" => overrides.pin = Some(entry.claim()?),
            "name" => overrides.name = Some(entry.string(value)?.to_owned()),
            "log" => overrides.log = Some(entry.parsed(value)?),
            "limits" => overrides.limits = limits(&entry)?,
            _ => return Err(entry.unknown(key.span().start, KEYS)),
        }
    }
    Ok(overrides)
}

fn limits(entry: &Entry<'_>) -> Result<LimitOverrides, Error> {
    let DeValue::Table(table) = entry.value.get_ref() else {
        return Err(entry.wrong_kind(entry.value, "a table"));
    };
    let mut limits = LimitOverrides::default();
    for (key, value) in table {
        let entry = Entry { file: entry.file, table: "limits.", key: key.get_ref(), value };
        match entry.key {
            "channels_max" => limits.channels_max = Some(entry.whole_number()?),
            "streams_max" => limits.streams_max = Some(entry.whole_number()?),
            "buffer_size_max" => limits.buffer_size_max = Some(entry.size()?),
            "message_size" => limits.message_size = Some(entry.size()?),
            "unsent" => limits.unsent = Some(entry.size()?),
            "parked" => limits.parked = Some(entry.size()?),
            "memory" => limits.memory = Some(entry.size()?),
            "hello_timeout" => limits.hello_timeout = Some(entry.duration()?),
            "linger_timeout" => limits.linger_timeout = Some(entry.duration()?),
            "drain_timeout" => limits.drain_timeout = Some(entry.duration()?),
            _ => return Err(entry.unknown(key.span().start, LIMIT_KEYS)),
        }
    }
    Ok(limits)
}

#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn place(&self, index: usize) -> Place {
        Place::of(self.path.to_owned(), self.text, index)
    }
}

/// One key and its value, with what a complaint needs.
struct Entry<'a> {
    file: File<'a>,
    table: &'static str,
    key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    fn error(&self, index: usize, message: impl Display) -> Error {
        Error::Key {
            place: self.file.place(index),
            key: format!("{}{}", self.table, self.key),
            message: message.to_string(),
        }
    }

    fn unknown(&self, index: usize, known: &[&str]) -> Error {
        self.error(index, format_args!("unknown key; known here are {}", known.join(", ")))
    }

    fn wrong_kind(&self, value: &Spanned<DeValue<'_>>, wanted: &str) -> Error {
        let kind = value.get_ref().type_str();
        self.error(value.span().start, format_args!("expected {wanted}, found {kind}"))
    }

    fn string(&self, value: &'a Spanned<DeValue<'a>>) -> Result<&'a str, Error> {
        value.get_ref().as_str().ok_or_else(|| self.wrong_kind(value, "a string"))
    }

    fn parsed<T: FromStr<Err: Display>>(
        &self,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Result<T, Error> {
        self.string(value)?.parse().map_err(|error| self.error(value.span().start, error))
    }

    /// A list of strings; a single string is a list of one.
    fn list<T: FromStr<Err: Display>>(&self) -> Result<Vec<T>, Error> {
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| self.parsed(item)).collect(),
            DeValue::String(_) => Ok(vec![self.parsed(self.value)?]),
            _ => Err(self.wrong_kind(self.value, "a string or a list of strings")),
        }
    }

    fn whole_number<T: TryFrom<u64>>(&self) -> Result<T, Error> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return Err(self.wrong_kind(self.value, "a whole number"));
        };
        u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                self.error(
                    self.value.span().start,
                    format_args!("`{}` is out of range", integer.as_str()),
                )
            })
    }

    fn claim(&self) -> Result<bool, Error> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wrong_kind(self.value, "true or false"))
    }

    fn size(&self) -> Result<u64, Error> {
        if self.value.get_ref().is_integer() {
            return self.whole_number();
        }
        let Some(text) = self.value.get_ref().as_str() else {
            return Err(self.wrong_kind(self.value, "a size such as \"64KiB\""));
        };
        parse_size(text).map_err(|error| self.error(self.value.span().start, error))
    }

    fn duration(&self) -> Result<Duration, Error> {
        let Some(text) = self.value.get_ref().as_str() else {
            return Err(self.wrong_kind(self.value, "a duration such as \"5s\""));
        };
        parse_duration(text).map_err(|error| self.error(self.value.span().start, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, HttpAddress, LogLevel};

    fn complaint(text: &str) -> String {
        parse(Path::new("weir.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_full_file_is_read() {
        let text = r#"
            listen = ["TCP:127.0.0.1:1600", "[::1]:1600"]
            http = "off"
            workers = 3
            pin = false
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
            hello_timeout = "3s"
            linger_timeout = "500ms"
            drain_timeout = "1m"
        "#;
        let overrides = parse(Path::new("weir.toml"), text).unwrap();
        assert_eq!(
            overrides,
            Overrides {
                listen: Some(vec![
                    Address { host: "127.0.0.1".to_owned(), port: 1600 },
                    Address { host: "::1".to_owned(), port: 1600 },
                ]),
                http: Some(HttpAddress::Off),
                workers: Some(3),
                pin: Some(false),
                name: Some("lab 7".to_owned()),
                log: Some(LogLevel::Debug),
                limits: LimitOverrides {
                    channels_max: Some(1000),
                    streams_max: Some(16),
                    buffer_size_max: Some(16 << 20),
                    message_size: Some(1 << 20),
                    unsent: Some(64 << 10),
                    parked: Some(2 << 20),
                    memory: Some(1 << 30),
                    hello_timeout: Some(Duration::from_secs(3)),
                    linger_timeout: Some(Duration::from_millis(500)),
                    drain_timeout: Some(Duration::from_secs(60)),
                },
            }
        );
        assert_eq!(parse(Path::new("weir.toml"), "").unwrap(), Overrides::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        assert_eq!(
            complaint("workers = 2\nlissten = \"127.0.0.1:1\"\n"),
            "weir.toml:2:1: `lissten`: unknown key; known here are listen, http, workers, pin, name, log, limits"
        );
        assert_eq!(
            complaint("[limits]\n  # a comment\n  unsnet = 3\n"),
            "weir.toml:3:3: `limits.unsnet`: unknown key; known here are channels_max, streams_max, \
             buffer_size_max, message_size, unsent, parked, memory, hello_timeout, linger_timeout, drain_timeout"
        );
    }

    #[test]
    fn a_bad_value_is_named_with_its_place_and_what_would_do() {
        for (text, message) in [
            (
                "workers = \"two\"",
                "weir.toml:1:11: `workers`: expected a whole number, found string",
            ),
            ("workers = -1", "weir.toml:1:11: `workers`: `-1` is out of range"),
            ("workers = 65536", "weir.toml:1:11: `workers`: `65536` is out of range"),
            (
                "listen = [\n  \"127.0.0.1:1\",\n  \"nowhere\"]",
                "weir.toml:3:3: `listen`: `nowhere` has no port: write nowhere:1534",
            ),
            (
                "listen = 1534",
                "weir.toml:1:10: `listen`: expected a string or a list of strings, found integer",
            ),
            ("pin = 1", "weir.toml:1:7: `pin`: expected true or false, found integer"),
            ("limits = 3", "weir.toml:1:10: `limits`: expected a table, found integer"),
            (
                "[limits]\nunsent = \"12 parsecs\"",
                "weir.toml:2:10: `limits.unsent`: `12 parsecs` is not a size: write bytes as a whole \
                 number with a unit, such as 64KiB or 1MiB",
            ),
            (
                "limits.hello_timeout = 5",
                "weir.toml:1:24: `limits.hello_timeout`: expected a duration such as \"5s\", found integer",
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
