//! `StreamBroker.list`: describe the streams that are there.

use serde::Serialize;

use crate::service::{Call, Core};
use crate::stream::{Command, Flow, StallTimeout, StreamReport};
use crate::wire::WireError;

/// Reads the type; `null` and `"*"` are all types.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let stream_type = call.arguments.optional_string()?;
    call.arguments.end()?;
    let stream_type = stream_type.as_deref().filter(|stream_type| *stream_type != "*");
    Ok(core.execute(Command::List(stream_type)))
}

/// The array of stream objects as JSON text.
pub fn streams_json(streams: &[StreamReport]) -> Vec<u8> {
    let objects: Vec<StreamObject<'_>> = streams.iter().map(StreamObject::new).collect();
    serde_json::to_vec(&objects).expect("a stream object has string keys and finite numbers only")
}

/// One stream as peers see it. Its key is never told.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamObject<'a> {
    #[serde(rename = "ID")]
    id: String,
    r#type: &'a str,
    #[serde(rename = "ContextID")]
    context_id: Option<&'a str>,
    name: Option<&'a str>,
    direction: &'static str,
    buffer_size: u64,
    history: u64,
    stall_timeout: Option<u64>,
    start: u64,
    end: u64,
    #[serde(rename = "EOS")]
    eos: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut_off: bool,
    readers: u64,
    parked_writes: u64,
    owner: Option<&'a str>,
    /// What the owner says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    unread: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> StreamObject<'a> {
    fn new(report: &'a StreamReport) -> StreamObject<'a> {
        StreamObject {
            id: report.id.to_string(),
            r#type: &report.stream_type,
            context_id: report.context.as_deref(),
            name: report.name.as_deref(),
            direction: report.direction.as_str(),
            buffer_size: report.buffer_bytes,
            history: report.history_bytes,
            stall_timeout: match report.stall_timeout {
                // Properties come in whole milliseconds, at most u64::MAX of them.
                StallTimeout::After(time) => Some(time.as_millis() as u64),
                StallTimeout::Never => None,
            },
            start: report.start.0,
            end: report.end.0,
            eos: report.eos,
            cut_off: report.cut_off,
            readers: report.readers,
            parked_writes: report.parked_writes,
            owner: report.owner.as_deref(),
            owner_name: report.introduction.as_ref().map(|who| who.to_string()),
            unread: report.unread,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::id::{Offset, StreamId};
    use crate::stream::Direction;

    fn report() -> StreamReport {
        StreamReport {
            id: StreamId(7),
            stream_type: "Log".into(),
            context: None,
            name: Some("boot \u{3}\n".into()),
            direction: Direction::Out,
            buffer_bytes: 100,
            history_bytes: 10,
            stall_timeout: StallTimeout::After(Duration::from_millis(5000)),
            start: Offset(5),
            end: Offset(9),
            eos: false,
            cut_off: false,
            readers: 2,
            parked_writes: 3,
            parked_bytes: 4,
            unread: 0,
            is_held: false,
            full_since: None,
            owner: Some("127.0.0.1:5".into()),
            introduction: None,
            created_at: crate::time::Instant(1),
        }
    }

    #[test]
    fn a_stream_object_has_exactly_the_members_of_the_contract() {
        let text = streams_json(&[report()]);
        assert!(text.iter().all(|byte| *byte >= 0x20), "no raw control bytes");
        let expected = json!([{
            "ID": "VS7", "Type": "Log", "ContextID": null, "Name": "boot \u{3}\n", "Direction": "out",
            "BufferSize": 100, "History": 10, "StallTimeout": 5000, "Start": 5, "End": 9,
            "EOS": false, "Readers": 2, "ParkedWrites": 3, "Owner": "127.0.0.1:5",
        }]);
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn bytes_that_nobody_read_show_only_where_there_are_some() {
        let unread = StreamReport { unread: 7, ..report() };
        let value: Value = serde_json::from_slice(&streams_json(&[unread])).unwrap();
        assert_eq!(value[0]["Unread"], json!(7));
    }

    #[test]
    fn cut_off_shows_only_where_it_is_true() {
        let cut_off =
            StreamReport { cut_off: true, stall_timeout: StallTimeout::Never, ..report() };
        let value: Value = serde_json::from_slice(&streams_json(&[cut_off])).unwrap();
        assert_eq!(value[0]["CutOff"], json!(true));
        assert_eq!(value[0]["StallTimeout"], Value::Null);
        assert_eq!(streams_json(&[]), b"[]");
    }
}
