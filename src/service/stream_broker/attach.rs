//! `StreamBroker.attach`: read a stream from a chosen byte on.

use serde_json::{Map, Value};

use crate::id::Offset;
use crate::service::object::{Object, ObjectError, bad_value};
use crate::service::stream_name::StreamName;
use crate::service::{Call, Core, error_code};
use crate::stream::{AttachOptions, Command, Flow, From, Reply};
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
    match name.id() {
        Some(stream) => Ok(core.execute(Command::Attach(stream, options))),
        None => {
            call.responder.answer(Reply::Attached(Err(name.unknown())));
            Ok(Flow::Continue)
        }
    }
}

fn read_options(options: Map<String, Value>) -> Result<AttachOptions, ObjectError> {
    let mut object = Object::new(options);
    let from = object.take("From");
    let stall_timeout = object.stall_timeout("StallTimeout")?;
    object.end()?;
    Ok(AttachOptions { from: read_from(from)?, stall_timeout })
}

/// `From` takes words and numbers, so whatever else comes has a wrong value, not a wrong type.
fn read_from(from: Option<Value>) -> Result<From, ObjectError> {
    let read = match &from {
        None => Some(From::Oldest),
        Some(Value::String(word)) => match word.as_str() {
            "oldest" => Some(From::Oldest),
            "latest" => Some(From::Latest),
            _ => None,
        },
        Some(Value::Number(number)) => number.as_u64().map(|offset| From::Offset(Offset(offset))),
        Some(_) => None,
    };
    read.ok_or_else(|| bad_value("From", "must be oldest, latest or an offset"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::stream::StallTimeout;

    fn read(options: Value) -> Result<AttachOptions, ObjectError> {
        let Value::Object(options) = options else { panic!("an object") };
        read_options(options)
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
