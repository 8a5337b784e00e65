//! `StreamBroker.create`: make a stream.

use serde_json::{Map, Value};

use crate::service::object::{Object, ObjectError, bad_value};
use crate::service::{Call, Core, error_code};
use crate::stream::{Command, Direction, Flow, Properties};
use crate::wire::WireError;

/// Reads type and properties.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let stream_type = call.arguments.string()?;
    let properties = call.arguments.object()?;
    call.arguments.end()?;
    match read_properties(&stream_type, properties) {
        Ok(properties) => Ok(core.execute(Command::Create(Box::new(properties)))),
        Err(ObjectError::Wire(error)) => Err(error),
        Err(ObjectError::Value(text)) => {
            call.responder.begin_with_error(error_code::INV_NUMBER, &text).null().end();
            Ok(Flow::Continue)
        }
    }
}

fn read_properties(
    stream_type: &str,
    properties: Map<String, Value>,
) -> Result<Properties, ObjectError> {
    let mut object = Object::new(properties);
    let defaults = Properties::new(stream_type);
    let context = object.string_or_null("ContextID")?;
    let name = object.string("Name")?;
    let direction = object.string("Direction")?;
    let buffer_bytes = object.integer("BufferSize")?.unwrap_or(defaults.buffer_bytes);
    let history_bytes = object.integer("History")?;
    let stall_timeout = object.stall_timeout("StallTimeout")?;
    let hold = object.boolean("Hold")?;
    let linger = object.milliseconds("Linger")?;
    let key = object.string("Key")?;
    let keep_for = object.milliseconds("KeepFor")?;
    object.end()?;

    if buffer_bytes == 0 {
        return Err(bad_value("BufferSize", "must be at least 1"));
    }
    if history_bytes.is_some_and(|history| history > buffer_bytes) {
        return Err(bad_value("History", "must not be above BufferSize"));
    }
    if key.as_ref().is_some_and(String::is_empty) {
        return Err(bad_value("Key", "must not be empty"));
    }
    Ok(Properties {
        context,
        name,
        direction: read_direction(direction)?.unwrap_or(defaults.direction),
        buffer_bytes,
        history_bytes: history_bytes.unwrap_or(defaults.history_bytes.min(buffer_bytes)),
        stall_timeout: stall_timeout.unwrap_or(defaults.stall_timeout),
        hold: hold.unwrap_or(defaults.hold),
        linger: linger.unwrap_or(defaults.linger),
        key,
        keep_for: keep_for.unwrap_or(defaults.keep_for),
        ..defaults
    })
}

fn read_direction(word: Option<String>) -> Result<Option<Direction>, ObjectError> {
    let Some(word) = word else { return Ok(None) };
    [Direction::Out, Direction::In, Direction::Bus]
        .into_iter()
        .find(|direction| direction.as_str() == word)
        .map(Some)
        .ok_or_else(|| bad_value("Direction", "must be out, in or bus"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::stream::StallTimeout;

    fn read(properties: Value) -> Result<Properties, ObjectError> {
        let Value::Object(properties) = properties else { panic!("an object") };
        read_properties("Log", properties)
    }

    fn refusal(properties: Value) -> String {
        match read(properties) {
            Err(ObjectError::Value(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_said_gives_the_defaults() {
        let properties = read(json!({})).unwrap();
        assert_eq!(properties.stream_type, "Log");
        assert_eq!(properties.direction, Direction::Out);
        assert_eq!(properties.buffer_bytes, 1 << 20);
        assert_eq!(properties.history_bytes, 64 << 10);
        assert_eq!(properties.stall_timeout, StallTimeout::After(Duration::from_secs(5)));
        assert!(!properties.hold && properties.key.is_none() && properties.context.is_none());
        assert_eq!((properties.linger, properties.keep_for), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn everything_said_is_taken() {
        let properties = read(json!({
            "ContextID": "P1", "Name": "boot", "Direction": "bus", "BufferSize": 100, "History": 100,
            "StallTimeout": null, "Hold": true, "Linger": 7, "Key": "k", "KeepFor": 9,
        }))
        .unwrap();
        assert_eq!(properties.context.as_deref(), Some("P1"));
        assert_eq!(properties.name.as_deref(), Some("boot"));
        assert_eq!(properties.direction, Direction::Bus);
        assert_eq!((properties.buffer_bytes, properties.history_bytes), (100, 100));
        assert_eq!(properties.stall_timeout, StallTimeout::Never);
        assert!(properties.hold);
        assert_eq!(properties.linger, Duration::from_millis(7));
        assert_eq!(properties.key.as_deref(), Some("k"));
        assert_eq!(properties.keep_for, Duration::from_millis(9));
    }

    #[test]
    fn history_defaults_to_no_more_than_the_buffer() {
        assert_eq!(read(json!({ "BufferSize": 10 })).unwrap().history_bytes, 10);
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_its_property() {
        for (properties, name) in [
            (json!({ "BufferSize": 0 }), "BufferSize"),
            (json!({ "BufferSize": -1 }), "BufferSize"),
            (json!({ "BufferSize": 1.5 }), "BufferSize"),
            (json!({ "BufferSize": 10, "History": 11 }), "History"),
            (json!({ "Direction": "up" }), "Direction"),
            (json!({ "StallTimeout": -5 }), "StallTimeout"),
            (json!({ "Key": "" }), "Key"),
            (json!({ "Linger": -1 }), "Linger"),
            (json!({ "Colour": "red" }), "Colour"),
        ] {
            let text = refusal(properties);
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn a_wrong_type_closes_the_channel() {
        for properties in [
            json!({ "BufferSize": "1" }),
            json!({ "Name": 1 }),
            json!({ "Name": null }),
            json!({ "Hold": 1 }),
            json!({ "ContextID": {} }),
            json!({ "StallTimeout": "never" }),
        ] {
            match read(properties) {
                Err(ObjectError::Wire(error)) => assert_eq!(error.code(), 3, "{error}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
