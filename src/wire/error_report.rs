//! Error reports, the form in which TCF says what went wrong.

use serde_json::Value;

/// An error report (TCF specification, "Error Reports"). Written as `Code`, `Time`, `Format`; the text is
/// a finished sentence without placeholders, because clients disagree about those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    /// The TCF code.
    pub code: u16,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// What happened.
    pub text: String,
}

impl ErrorReport {
    /// The standard text of a TCF code ("End of file" for 9), or `None` for a code beyond the standard.
    pub fn standard_text(code: i64) -> Option<&'static str> {
        let _ = code;
        unimplemented!()
    }

    /// What a person should read for the report `value` (an object of another peer): its `Format` with
    /// `Params` filled in, or its standard text, or "TCF Error n" / "ORG Error n". `None` means success: null, or `Code` 0.
    pub fn describe(value: &Value) -> Option<String> {
        let _ = value;
        unimplemented!()
    }
}
