//! Why a configuration is refused, and where it is wrong.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A spot in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
}

impl Place {
    /// The place of byte `index` of `text`.
    pub(crate) fn of(path: PathBuf, text: &str, index: usize) -> Place {
        // The parser's places are on character boundaries; the end stands in for any other.
        let before = text.get(..index).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            path,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: cannot read the configuration file: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where it is wrong.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// A key of the file is unknown, or its value cannot be used.
    #[error("{place}: {}{message}", key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default())]
    Key {
        /// Where it is wrong.
        place: Place,
        /// The key with its table, such as `limits.unsent`, where the place has one.
        key: Option<String>,
        /// What is wrong, and what would do.
        message: String,
    },
    /// A value, wherever it came from, cannot be used.
    #[error("`{key}`: {message}")]
    Value {
        /// The key with its table.
        key: &'static str,
        /// What is wrong, and what would do.
        message: String,
    },
}
