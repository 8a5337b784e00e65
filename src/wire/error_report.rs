//! Error reports, the form in which TCF says what went wrong.

use serde_json::Value;

use crate::wire::message_format;

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
    /// The standard text of a TCF code ("End of file" for 9), or `None` for a code beyond the standard.
    pub fn standard_text(code: i64) -> Option<&'static str> {
        STANDARD_TEXTS.get(usize::try_from(code).ok()?).copied()
    }

    /// What a person should read for the report `value` (an object of another peer): its `Format` with
    /// `Params` filled in, or its standard text, or "TCF Error n" / "ORG Error n". `None` means success:
    /// null, or `Code` 0 or none.
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
