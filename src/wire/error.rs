//! What a peer can get wrong. Each closes its channel with a report.

/// A peer's nonsense. `code` is the TCF code of the report that closes the channel, after what the
/// reference agent answers to the same input; the text is composed in the reference's way, detail
/// first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Code 3: the message is not a TCF message, or an argument is of the wrong kind.
    #[error("{0}. Protocol format error")]
    Protocol(String),
    /// Code 2: an argument is not JSON, or ends in the wrong place.
    #[error("{0}. JSON syntax error")]
    Json(String),
    /// Code 8: binary data is not base64.
    #[error("Invalid BASE64 string")]
    Base64,
    /// Code 4: a bound of [`WireLimits`](crate::wire::WireLimits) is exceeded.
    #[error("{0}. Buffer overflow")]
    Limit(String),
}

impl WireError {
    /// The TCF error code.
    pub fn code(&self) -> u16 {
        match self {
            WireError::Json(_) => 2,
            WireError::Protocol(_) => 3,
            WireError::Limit(_) => 4,
            WireError::Base64 => 8,
        }
    }
}
