//! `StreamBroker.attach`: read a stream from a chosen byte on.

use serde_json::{Map, Value};

use crate::id::Offset;
use crate::service::object::{Object, ObjectError, bad_value};
use crate::service::stream_name::StreamName;
use crate::service::{Call, Core, error_code};
use crate::stream::{AttachOptions, Command, Flow, From, PLACE_NAME_BYTES_MAX, Placing, Reply};
use crate::wire::WireError;

/// Reads stream ID and options.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let name = StreamName::read(&mut call.arguments)?;
    let options = call.arguments.object()?;
    call.arguments.end()?;
    let options = match read_options(options) {
        Ok(options) => options,
        Err(ObjectError::Wire(error)) => return Err(error),
        Err(ObjectError::Value(text)) => {
            call.responder.begin_with_error(error_code::INV_NUMBER, &text).null().end();
            return Ok(Flow::Continue);
        }
    };
    let (options, placing) = options;
    match (name.id(), placing) {
        (Some(stream), None) => Ok(core.execute(Command::Attach(stream, options))),
        (Some(stream), Some(placing)) => {
            Ok(core.execute(Command::TakePlace(stream, options, placing)))
        }
        (None, _) => {
            call.responder.answer(Reply::Attached(Err(name.unknown())));
            Ok(Flow::Continue)
        }
    }
}

fn read_options(
    options: Map<String, Value>,
) -> Result<(AttachOptions, Option<Placing>), ObjectError> {
    let mut object = Object::new(options);
    let from = object.take("From");
    let stall_timeout = object.stall_timeout("StallTimeout")?;
    let name = object.string("Place")?;
    let keep_for = object.milliseconds("KeepFor")?;
    object.end()?;
    let from = from.map(read_from).transpose()?;
    let options = AttachOptions { from: from.unwrap_or_default(), stall_timeout };
    let Some(name) = name else {
        return match keep_for {
            None => Ok((options, None)),
            Some(_) => Err(bad_value("KeepFor", "needs a Place")),
        };
    };
    if name.is_empty() || name.len() > PLACE_NAME_BYTES_MAX {
        let why = format!("must have 1 to {PLACE_NAME_BYTES_MAX} bytes");
        return Err(bad_value("Place", &why));
    }
    let placing = Placing { name: name.into(), keep_for: keep_for.unwrap_or_default(), from };
    Ok((options, Some(placing)))
}

/// `From` takes words and numbers, so whatever else comes has a wrong value, not a wrong type.
fn read_from(from: Value) -> Result<From, ObjectError> {
    let read = match &from {
        Value::String(word) => match word.as_str() {
            "oldest" => Some(From::Oldest),
            "latest" => Some(From::Latest),
            _ => None,
        },
        Value::Number(number) => number.as_u64().map(|offset| From::Offset(Offset(offset))),
        _ => None,
    };
    read.ok_or_else(|| bad_value("From", "must be oldest, latest or an offset"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::stream::StallTimeout;

    fn read_all(options: Value) -> Result<(AttachOptions, Option<Placing>), ObjectError> {
        let Value::Object(options) = options else { panic!("an object") };
        read_options(options)
    }

    fn read(options: Value) -> Result<AttachOptions, ObjectError> {
        read_all(options).map(|(options, _)| options)
    }

    #[test]
    fn a_place_is_read_with_how_long_it_is_kept() {
        let longest = "p".repeat(PLACE_NAME_BYTES_MAX);
        for (options, name, keep_for, from) in [
            (json!({ "Place": "ci" }), "ci", 0, None),
            (json!({ "Place": longest, "KeepFor": 70 }), &*longest, 70, None),
            (json!({ "Place": "ci", "From": "oldest" }), "ci", 0, Some(From::Oldest)),
            (json!({ "Place": "ci", "From": 7 }), "ci", 0, Some(From::Offset(Offset(7)))),
        ] {
            let keep_for = Duration::from_millis(keep_for);
            let placing = Placing { name: name.into(), keep_for, from };
            assert_eq!(read_all(options).unwrap().1, Some(placing));
        }
        for (options, named) in [
            (json!({ "Place": "" }), "Place"),
            (json!({ "Place": "p".repeat(PLACE_NAME_BYTES_MAX + 1) }), "Place"),
            (json!({ "KeepFor": 5 }), "KeepFor"),
        ] {
            let refused = read_all(options);
            let Err(ObjectError::Value(text)) = refused else { panic!("{refused:?}") };
            assert!(text.contains(named), "{text}");
        }
    }

    #[test]
    fn options_are_read_in_all_their_forms() {
        let stall = |ms| Some(StallTimeout::After(Duration::from_millis(ms)));
        for (options, from, stall_timeout) in [
            (json!({}), From::Oldest, None),
            (json!({ "From": "oldest" }), From::Oldest, None),
            (json!({ "From": "latest", "StallTimeout": 0 }), From::Latest, stall(0)),
            (json!({ "From": 0 }), From::Offset(Offset(0)), None),
            (json!({ "From": u64::MAX }), From::Offset(Offset(u64::MAX)), None),
            (json!({ "StallTimeout": null }), From::Oldest, Some(StallTimeout::Never)),
        ] {
            assert_eq!(read(options), Ok(AttachOptions { from, stall_timeout }));
        }
    }

    #[test]
    fn a_from_of_another_form_is_a_wrong_value() {
        for from in [json!(-1), json!(1.5), json!("newest"), json!(null), json!(true), json!([])] {
            match read(json!({ "From": from })) {
                Err(ObjectError::Value(text)) => assert!(text.contains("From"), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_unknown_option_is_named() {
        let unknown = ObjectError::Value("Unknown property Form".to_owned());
        assert_eq!(read(json!({ "Form": 1 })), Err(unknown));
    }
}
