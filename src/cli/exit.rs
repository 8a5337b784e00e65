//! Exit codes: every one that the program ends with is decided here.

use std::io;
use std::process::ExitCode;

use crate::cli::retry::Interrupted;
use crate::cli::stats::FetchError;
use crate::client::ClientError;
use crate::config;

/// How a run ended, after the codes of `sysexits.h` where there is one, so that scripts can tell
/// "try again later" from "you called me wrongly".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Something failed at run time.
    Failed = 1,
    /// The arguments are wrong (clap ends with this number too).
    Usage = 2,
    /// Everything was copied that was still there, but bytes are missing.
    DataLost = 3,
    /// Nobody answers at the broker's address.
    Unreachable = 69,
    /// The broker went away in the middle; worth another try.
    Disconnected = 75,
    /// The broker does not allow it. Not in use before there is authentication.
    Denied = 77,
    /// The configuration cannot be used.
    BadConfig = 78,
}

/// Writing to standard output failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(pub io::Error);

impl Exit {
    /// The code for an error.
    pub fn of(error: &anyhow::Error) -> Exit {
        if let Some(error) = error.downcast_ref::<ClientError>() {
            return match error {
                ClientError::Unreachable { .. } | ClientError::NotTcf { .. } => Exit::Unreachable,
                ClientError::Closed { .. } | ClientError::Disconnected(_) => Exit::Disconnected,
                ClientError::Misbehaved(_) | ClientError::Call(_) => Exit::Failed,
            };
        }
        if let Some(error) = error.downcast_ref::<FetchError>() {
            return match error {
                FetchError::Unreachable { .. } | FetchError::NotHttp { .. } => Exit::Unreachable,
                FetchError::Refused(_) => Exit::Failed,
                FetchError::Off => Exit::Usage,
            };
        }
        match error.downcast_ref::<OutputError>() {
            // Whoever read our output has seen enough; that is no failure.
            Some(OutputError(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            _ if error.is::<Interrupted>() => Exit::Disconnected,
            _ if error.is::<config::Error>() => Exit::BadConfig,
            _ => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::CallError;

    #[test]
    fn each_error_has_its_code_also_behind_context() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let call = CallError { command: "Streams.read", code: 23, text: "no".to_owned() };
        let cases: [(anyhow::Error, Exit); 8] = [
            (
                ClientError::Unreachable { address: "a:1".to_owned(), error: refused() }.into(),
                Exit::Unreachable,
            ),
            (ClientError::Closed { report: None }.into(), Exit::Disconnected),
            (ClientError::Disconnected(refused()).into(), Exit::Disconnected),
            (Interrupted("gave up".to_owned()).into(), Exit::Disconnected),
            (ClientError::Call(call).into(), Exit::Failed),
            (OutputError(io::ErrorKind::BrokenPipe.into()).into(), Exit::Ok),
            (OutputError(io::ErrorKind::StorageFull.into()).into(), Exit::Failed),
            (
                config::Error::Value { key: "workers", message: "too many".to_owned() }.into(),
                Exit::BadConfig,
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(Exit::of(&error), expected, "{error}");
            assert_eq!(Exit::of(&error.context("while trying")), expected);
        }
    }

    #[test]
    fn the_numbers_are_the_published_ones() {
        let numbers = [
            Exit::Ok,
            Exit::Failed,
            Exit::Usage,
            Exit::DataLost,
            Exit::Unreachable,
            Exit::Disconnected,
            Exit::Denied,
            Exit::BadConfig,
        ]
        .map(|exit| exit as u8);
        assert_eq!(numbers, [0, 1, 2, 3, 69, 75, 77, 78]);
    }
}
