//! What `create` and `attach` may be told, in the form that goes over the wire.

use std::fmt;

use serde::{Serialize, Serializer};

/// How long a full stream waits for a reader that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallTimeout {
    /// So many milliseconds; 0 never waits.
    AfterMs(u64),
    /// For ever: lossless.
    Never,
}

impl Serialize for StallTimeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            StallTimeout::AfterMs(milliseconds) => serializer.serialize_u64(*milliseconds),
            StallTimeout::Never => serializer.serialize_unit(),
        }
    }
}

/// The secret that lets a stream's creator take it up again. It is told to the broker and to nobody
/// else: also where it is printed for debugging it stays hidden.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The key that the user chose.
    pub fn new(secret: impl Into<String>) -> Key {
        Key(secret.into())
    }

    /// The secret itself.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The oldest byte kept.
    Oldest,
    /// The next byte to come.
    Latest,
    /// This byte, or the oldest kept after it.
    Offset(u64),
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Position::Oldest => serializer.serialize_str("oldest"),
            Position::Latest => serializer.serialize_str("latest"),
            Position::Offset(offset) => serializer.serialize_u64(*offset),
        }
    }
}

/// Properties of `StreamBroker.create`; what is `None` or false is left to the broker's default.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateOptions {
    /// The context that the stream belongs to.
    #[serde(rename = "ContextID", skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `"out"`, `"in"` or `"bus"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// The most bytes kept.
    #[serde(rename = "BufferSize", skip_serializing_if = "Option::is_none")]
    pub buffer_bytes: Option<u64>,
    /// Bytes kept after everyone has read them.
    #[serde(rename = "History", skip_serializing_if = "Option::is_none")]
    pub history_bytes: Option<u64>,
    /// How long the full stream waits for a reader that does not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<StallTimeout>,
    /// Whether everything is kept until the first reader attaches.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
    /// Milliseconds that the disposed stream stays readable for late hosts.
    #[serde(rename = "Linger", skip_serializing_if = "Option::is_none")]
    pub linger_ms: Option<u64>,
    /// The secret for `adopt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// Milliseconds that a keyed stream waits for its creator.
    #[serde(rename = "KeepFor", skip_serializing_if = "Option::is_none")]
    pub keep_for_ms: Option<u64>,
}

/// Options of `StreamBroker.attach`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachOptions {
    /// Where to start; the oldest byte kept where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// The reader's own value; the stream's where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_timeout: Option<StallTimeout>,
    /// The name of the reader's place, which holds what is not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Milliseconds that the place stays after its channel broke.
    #[serde(rename = "KeepFor", skip_serializing_if = "Option::is_none")]
    pub keep_for_ms: Option<u64>,
}

/// Who is at this end, for people: what `StreamBroker.introduce` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Introduction {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_over_the_wire_and_is_hidden_elsewhere() {
        let options = CreateOptions {
            key: Some(Key::new("s3cret")),
            keep_for_ms: Some(9),
            ..CreateOptions::default()
        };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(text, r#"{"Key":"s3cret","KeepFor":9}"#);
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn only_what_was_chosen_goes_over_the_wire() {
        let empty = serde_json::to_string(&CreateOptions::default()).unwrap();
        assert_eq!(empty, "{}");
        let options = CreateOptions {
            context: Some("P1".to_owned()),
            buffer_bytes: Some(10),
            history_bytes: Some(5),
            stall_timeout: Some(StallTimeout::Never),
            hold: true,
            linger_ms: Some(7),
            ..CreateOptions::default()
        };
        assert_eq!(
            serde_json::to_string(&options).unwrap(),
            r#"{"ContextID":"P1","BufferSize":10,"History":5,"StallTimeout":null,"Hold":true,"Linger":7}"#
        );
        let attach = AttachOptions {
            from: Some(Position::Offset(9)),
            stall_timeout: Some(StallTimeout::AfterMs(0)),
            ..AttachOptions::default()
        };
        assert_eq!(serde_json::to_string(&attach).unwrap(), r#"{"From":9,"StallTimeout":0}"#);
        let placed = AttachOptions {
            place: Some("p".to_owned()),
            keep_for_ms: Some(3),
            ..AttachOptions::default()
        };
        assert_eq!(serde_json::to_string(&placed).unwrap(), r#"{"Place":"p","KeepFor":3}"#);
    }
}
