//! The subset of Java's `MessageFormat` that error reports use: `{n}`, `{n,number}`,
//! `{n,number,integer}`, `{n,number,percent}`, quotes, and two quotes for one.

use serde_json::Value;

/// Fills `params` into `format`. What is not a placeholder that can be filled stays as it is: the
/// text is for a person, who can make something of it.
pub(crate) fn fill(format: &str, params: &[Value]) -> String {
    let mut text = String::with_capacity(format.len());
    let mut rest = format;
    let mut is_quoted = false;
    while let Some(at) = rest.find(['\'', '{']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix("''") {
            text.push('\'');
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('\'') {
            is_quoted = !is_quoted;
            rest = behind;
        } else {
            let end = if is_quoted { None } else { rest.find('}') };
            let param = end.and_then(|end| placeholder(&rest[1..end], params));
            match (end, param) {
                (Some(end), Some(param)) => {
                    text.push_str(&param);
                    rest = &rest[end + 1..];
                }
                _ => {
                    text.push('{');
                    rest = &rest[1..];
                }
            }
        }
    }
    text.push_str(rest);
    text
}

/// What to write for `{content}`, if it is a placeholder for one of `params`.
fn placeholder(content: &str, params: &[Value]) -> Option<String> {
    let mut parts = content.splitn(3, ',').map(str::trim);
    let index = parts.next()?.parse::<usize>().ok()?;
    let param = params.get(index)?;
    match (parts.next(), parts.next()) {
        (None, _) | (Some("number"), None) => Some(plain(param)),
        (Some("number"), Some("integer")) => Some(rounded(param, 1.0, "")),
        (Some("number"), Some("percent")) => Some(rounded(param, 100.0, "%")),
        _ => Some(plain(param)),
    }
}

fn plain(param: &Value) -> String {
    match param {
        Value::String(text) => text.clone(),
        _ => param.to_string(),
    }
}

/// A number times `scale` without a fraction. An integer is not put through a double.
fn rounded(param: &Value, scale: f64, unit: &str) -> String {
    match param.as_f64() {
        Some(number) if scale != 1.0 || param.is_f64() => {
            format!("{:.0}{unit}", number * scale)
        }
        _ => plain(param),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let params = [json!("ctx"), json!(12), json!(0.5), json!(null), json!(2.7), json!(true)];
        let cases = [
            ("Invalid {0} at {1,number,integer}", "Invalid ctx at 12"),
            ("{2,number,percent}", "50%"),
            ("{1,number,percent}", "1200%"),
            ("{4,number,integer} {4} {4,number} {4, number , integer}", "3 2.7 2.7 3"),
            ("{3} {5}", "null true"),
            ("{0}{0}{ 1 }", "ctxctx12"),
            ("it''s '{'q'}'", "it's {q}"),
            ("'{0}' {0}", "{0} ctx"),
            ("'it''s {0}' {0}", "it's {0} ctx"),
            ("an unpaired ' {0}", "an unpaired  {0}"),
            ("{6} {x} {} {0", "{6} {x} {} {0"),
            ("{-1} } {0,date,short}", "{-1} } ctx"),
            ("", ""),
            ("\u{e9}{0}\u{1f600}", "\u{e9}ctx\u{1f600}"),
        ];
        for (format, text) in cases {
            assert_eq!(fill(format, &params), text);
        }
    }
}
