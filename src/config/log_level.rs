//! Which log lines are written.

use std::fmt;
use std::str::FromStr;

/// The least severe lines that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// None at all.
    Off,
    /// What went wrong.
    Error,
    /// And what looks wrong.
    Warn,
    /// And what happens seldom.
    #[default]
    Info,
    /// And every channel.
    Debug,
}

/// A level that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log level: write off, error, warn, info or debug")]
pub struct LogLevelError(String);

impl LogLevel {
    const ALL: [LogLevel; 5] =
        [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<LogLevel, LogLevelError> {
        let found = LogLevel::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| LogLevelError(text.to_owned()))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_back_and_others_are_told_what_there_is() {
        for level in LogLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!(
            "loud".parse::<LogLevel>().unwrap_err().to_string(),
            "`loud` is not a log level: write off, error, warn, info or debug"
        );
    }
}
