//! The text format that Prometheus had before OpenMetrics (version 0.0.4), for scrapers that ask
//! for it: the same samples under other headings.

use std::fmt::Write;

use axum::http::{HeaderMap, header};

/// What such an answer is, for `Content-Type`.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a request asks for the older format: it names `text/plain`, and OpenMetrics not at all
/// or with a lower weight.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let mut weights = [0.0, 0.0];
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let place = match parts.next().unwrap_or_default() {
            "text/plain" => 0,
            "application/openmetrics-text" => 1,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight: f64 = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        weights[place] = weight.max(weights[place]);
    }
    weights[0] > weights[1]
}

/// Turns an OpenMetrics text of ours into the older format. There a metric has the name of its
/// samples (a counter's ends in `_total`), an info is a gauge, and units and an end are not known.
pub(crate) fn from_openmetrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // The line with the help comes before the one with the kind, which settles the name of both.
    let mut help = None;
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            plain.push_str(line);
            plain.push('\n');
            continue;
        };
        match comment.split_once(' ') {
            Some(("HELP", named)) => help = named.split_once(' '),
            Some(("TYPE", named)) => {
                let (name, kind) = named.split_once(' ').unwrap_or((named, "untyped"));
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    other => ("", other),
                };
                // Writing to a string does not fail.
                if let Some((_, help)) = help.take() {
                    let _ = writeln!(plain, "# HELP {name}{suffix} {help}");
                }
                let _ = writeln!(plain, "# TYPE {name}{suffix} {kind}");
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_get_the_names_of_their_samples() {
        let text = "# HELP weir_in_bytes Bytes.\n# TYPE weir_in_bytes counter\n\
                    # UNIT weir_in_bytes bytes\nweir_in_bytes_total{type=\"# TYPE\"} 5\n\
                    # HELP weir_build Which.\n# TYPE weir_build info\n\
                    weir_build_info{version=\"1\"} 1\n# TYPE weir_x gauge\nweir_x 2\n# EOF\n";
        assert_eq!(
            from_openmetrics(text),
            "# HELP weir_in_bytes_total Bytes.\n# TYPE weir_in_bytes_total counter\n\
             weir_in_bytes_total{type=\"# TYPE\"} 5\n# HELP weir_build_info Which.\n\
             # TYPE weir_build_info gauge\nweir_build_info{version=\"1\"} 1\n\
             # TYPE weir_x gauge\nweir_x 2\n"
        );
    }

    #[test]
    fn the_older_format_is_for_those_who_ask_for_it() {
        let wanted = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            is_wanted(&headers)
        };
        for accept in [
            "text/plain",
            "text/plain; version=0.0.4",
            "application/openmetrics-text;q=0.1, text/plain",
        ] {
            assert!(wanted(accept), "{accept}");
        }
        for accept in [
            "*/*",
            "text/html",
            "text/plain, application/openmetrics-text",
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        ] {
            assert!(!wanted(accept), "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }
}
