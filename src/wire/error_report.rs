//! Error reports, the form in which TCF says what went wrong.

use serde_json::Value;

use crate::wire::message_format;

/// An error report (TCF specification, "Error Reports"). Written as `Code`, `Time`, `Format`; the
/// text is a finished sentence without placeholders, because clients disagree about those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    /// The TCF code.
    pub code: u16,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// What happened.
    pub text: String,
}

/// Texts of the codes from 0 on. The specification ends with 25; the rest is the reference's.
const STANDARD_TEXTS: [&str; 30] = [
    "Success",
    "Unspecified failure",
    "JSON syntax error",
    "Protocol format error",
    "Buffer overflow",
    "Channel closed",
    "Command canceled",
    "Unknown peer",
    "Invalid BASE64 string",
    "End of file",
    "Already stopped",
    "Already exited",
    "Already running",
    "Already attached",
    "Execution context is running",
    "Invalid data size",
    "Invalid context",
    "Invalid address",
    "Invalid expression",
    "Format is not supported",
    "Invalid number",
    "Error reading DWARF data",
    "Symbol not found",
    "Unsupported command",
    "Invalid data type",
    "Command is not recognized",
    "Invalid transport name",
    "Invalid data cache state",
    "Context is not active",
    "Invalid address of containing object",
];

/// The code that says nothing: what `AltOrg` and `AltCode` say is better.
const OTHER: i64 = 1;

impl ErrorReport {
    /// The standard text of a TCF code ("End of file" for 9), or `None` for a code beyond the
    /// standard.
    pub fn standard_text(code: i64) -> Option<&'static str> {
        STANDARD_TEXTS.get(usize::try_from(code).ok()?).copied()
    }

    /// What a person should read for the report `value` (an object of another peer): its `Format`
    /// with `Params` filled in, or its standard text, or "TCF Error n" / "ORG Error n". `None`
    /// means success: null, or `Code` 0 or none.
    pub fn describe(value: &Value) -> Option<String> {
        let report = match value {
            Value::Null => return None,
            Value::Object(report) => report,
            _ => return Some(format!("Malformed error report: {value}")),
        };
        let code = report.get("Code").and_then(Value::as_i64).unwrap_or(0);
        if code == 0 {
            return None;
        }
        if let Some(Value::String(format)) = report.get("Format") {
            let params = report.get("Params").and_then(Value::as_array);
            return Some(message_format::fill(format, params.map_or(&[], Vec::as_slice)));
        }
        let foreign = report.get("AltCode").and_then(Value::as_i64).map(|foreign| {
            let owner = report.get("AltOrg").and_then(Value::as_str).unwrap_or("Unknown");
            format!("{owner} Error {foreign}")
        });
        let standard = ErrorReport::standard_text(code).map(str::to_owned);
        let text = if code == OTHER { foreign.or(standard) } else { standard.or(foreign) };
        Some(text.unwrap_or_else(|| format!("TCF Error {code}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn describe(value: Value) -> Option<String> {
        ErrorReport::describe(&value)
    }

    #[test]
    fn reports_are_worded_as_in_the_reference() {
        let cases = [
            (json!({"Code": 1}), "Unspecified failure"),
            (json!({"Code": 9, "Time": 1}), "End of file"),
            (
                json!({
                    "Code": 16, "Format": "Invalid {0} at {1,number,integer}",
                    "Params": ["ctx", 12]
                }),
                "Invalid ctx at 12",
            ),
            (
                json!({
                    "Code": 1, "Time": 1_600_000_000_000_u64, "Severity": 1,
                    "Service": "Foo", "Format": "top",
                    "CausedBy": {"Code": 2, "Format": "inner"}, "AltCode": 2, "AltOrg": "Linux"
                }),
                "top",
            ),
            (json!({"Code": 66000, "Format": "{0,number,percent}", "Params": [0.5]}), "50%"),
            (json!({"Code": 1, "Format": "it''s '{'q'}'", "Params": []}), "it's {q}"),
            (json!({"Code": 1, "AltOrg": "Linux", "AltCode": 111}), "Linux Error 111"),
            (json!({"Code": 70000, "AltOrg": "POSIX", "AltCode": 2}), "POSIX Error 2"),
            (json!({"Code": 16, "AltOrg": "Linux", "AltCode": 111}), "Invalid context"),
            (json!({"Code": 70000}), "TCF Error 70000"),
            (json!({"Code": -3}), "TCF Error -3"),
        ];
        for (report, text) in cases {
            assert_eq!(describe(report).as_deref(), Some(text));
        }
    }

    #[test]
    fn success_is_nothing_to_read() {
        for value in [json!(null), json!({}), json!({"Code": 0, "Format": "zero"})] {
            assert_eq!(describe(value), None);
        }
    }

    #[test]
    fn standard_texts_go_by_their_codes() {
        assert_eq!(ErrorReport::standard_text(1), Some("Unspecified failure"));
        assert_eq!(ErrorReport::standard_text(9), Some("End of file"));
        assert_eq!(ErrorReport::standard_text(16), Some("Invalid context"));
        assert_eq!(ErrorReport::standard_text(23), Some("Unsupported command"));
        assert_eq!(ErrorReport::standard_text(29), Some("Invalid address of containing object"));
        assert_eq!(ErrorReport::standard_text(30), None);
        assert_eq!(ErrorReport::standard_text(-1), None);
    }
}
