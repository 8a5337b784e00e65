//! The two forms in which a viewer gets a stream: plain bytes with notices of what is missing, and
//! Server-Sent Events (the HTML standard, "Server-sent events").

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

/// How a viewer gets a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The bytes as they are.
    Plain {
        /// Whether losses are told among them.
        has_notices: bool,
    },
    /// Events; each has the offset behind it as its ID, so that a browser that comes back says
    /// where it stopped. The ID is an event's last line: a client that takes lines as they come and
    /// is cut off within an event must not have the ID of bytes that it has not got.
    Events,
}

impl Form {
    /// Bytes of the stream; the last is right before `position`.
    pub(super) fn data(self, data: Bytes, position: u64) -> Bytes {
        match self {
            Form::Plain { .. } => data,
            Form::Events => {
                let text = BASE64_STANDARD.encode(&data);
                format!("data: {text}\nid: {position}\n\n").into()
            }
        }
    }

    /// The notice that `lost` bytes right before `position` are missing.
    pub(super) fn lost(self, lost: u64, position: u64) -> Option<Bytes> {
        match self {
            Form::Plain { has_notices: false } => None,
            Form::Plain { has_notices: true } => {
                Some(format!("\n[weir: {lost} bytes lost]\n").into())
            }
            Form::Events => Some(format!("event: lost\ndata: {lost}\nid: {position}\n\n").into()),
        }
    }

    /// The end of the stream.
    pub(super) fn end(self, position: u64) -> Option<Bytes> {
        match self {
            Form::Plain { .. } => None,
            Form::Events => {
                Some(format!("event: end\ndata: {position}\nid: {position}\n\n").into())
            }
        }
    }

    /// What keeps a silent connection open.
    pub(super) fn keep_alive(self) -> Option<Bytes> {
        match self {
            Form::Plain { .. } => None,
            Form::Events => Some(Bytes::from_static(b":\n\n")),
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Form::Plain { .. } => "text/plain; charset=utf-8",
            Form::Events => "text/event-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_are_plain_and_notices_are_lines() {
        let plain = Form::Plain { has_notices: true };
        assert_eq!(plain.data("ab\n".into(), 7), "ab\n");
        assert_eq!(plain.lost(5, 7).unwrap(), "\n[weir: 5 bytes lost]\n");
        assert_eq!(Form::Plain { has_notices: false }.lost(5, 7), None);
        assert_eq!((plain.end(7), plain.keep_alive()), (None, None));
    }

    #[test]
    fn events_hold_any_byte_and_say_where_to_go_on() {
        let all: Vec<u8> = (0..=255).collect();
        let event = Form::Events.data(all.clone().into(), 300);
        let text = std::str::from_utf8(&event).unwrap();
        let data = text.strip_prefix("data: ").unwrap().strip_suffix("\nid: 300\n\n").unwrap();
        assert_eq!(BASE64_STANDARD.decode(data).unwrap(), all);
        assert_eq!(Form::Events.lost(9, 20).unwrap(), "event: lost\ndata: 9\nid: 20\n\n");
        assert_eq!(Form::Events.end(20).unwrap(), "event: end\ndata: 20\nid: 20\n\n");
    }
}
