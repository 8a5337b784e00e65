//! `StreamBroker.introduce`: who is at the other end, for people.

use serde_json::{Map, Value};

use crate::service::object::{Object, ObjectError, bad_value};
use crate::service::{Call, Core, error_code};
use crate::stream::{Command, Flow, INTRODUCTION_BYTES_MAX, Introduction};
use crate::wire::WireError;

/// Reads the object.
pub fn run(mut call: Call<'_>, core: &mut dyn Core) -> Result<Flow, WireError> {
    let object = call.arguments.object()?;
    call.arguments.end()?;
    match read(object) {
        Ok(who) => Ok(core.execute(Command::Introduce(who))),
        Err(ObjectError::Wire(error)) => Err(error),
        Err(ObjectError::Value(text)) => {
            call.responder.begin_with_error(error_code::INV_NUMBER, &text).end();
            Ok(Flow::Continue)
        }
    }
}

fn read(object: Map<String, Value>) -> Result<Introduction, ObjectError> {
    let mut object = Object::new(object);
    let who = Introduction {
        name: object.string("Name")?.map(Into::into),
        user: object.string("User")?.map(Into::into),
        program: object.string("Program")?.map(Into::into),
    };
    object.end()?;
    for (name, part) in who.parts() {
        if part.is_some_and(|part| part.len() > INTRODUCTION_BYTES_MAX) {
            let why = format!("must have at most {INTRODUCTION_BYTES_MAX} bytes");
            return Err(bad_value(name, &why));
        }
    }
    Ok(who)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(value: Value) -> Result<Introduction, ObjectError> {
        let Value::Object(object) = value else { panic!("an object") };
        read(object)
    }

    #[test]
    fn everything_said_is_taken_up_to_its_bound() {
        let longest = "n".repeat(INTRODUCTION_BYTES_MAX);
        let who = read_json(json!({ "Name": longest, "Program": "weir tail" })).unwrap();
        assert_eq!(who.name.as_deref(), Some(&*longest));
        assert_eq!((who.user, who.program.as_deref()), (None, Some("weir tail")));
        assert!(read_json(json!({})).unwrap().is_empty());
        for part in ["Name", "User", "Program"] {
            let refused = read_json(json!({ part: "n".repeat(INTRODUCTION_BYTES_MAX + 1) }));
            let Err(ObjectError::Value(text)) = refused else { panic!("{refused:?}") };
            assert!(text.contains(part) && text.contains("255"), "{text}");
        }
    }

    #[test]
    fn an_unknown_part_is_named_and_a_wrong_type_is_malformed() {
        let unknown = ObjectError::Value("Unknown property Age".to_owned());
        assert_eq!(read_json(json!({ "Age": 7 })), Err(unknown));
        assert!(matches!(read_json(json!({ "Name": 7 })), Err(ObjectError::Wire(_))));
    }
}
