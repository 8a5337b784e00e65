//! What a viewer asks for, and how values that an upload has too are written.

use axum::http::{HeaderMap, HeaderName, header};

use crate::admin::query::{BadQuery, Query};
use crate::admin::streams::form::Form;
use crate::client::{Position, StallTimeout};

/// What a viewer asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TailOptions {
    pub(super) from: Position,
    pub(super) follow: bool,
    pub(super) stall_timeout: StallTimeout,
    pub(super) form: Form,
}

impl TailOptions {
    /// Reads the query and the headers.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn parse(query: &str, headers: &HeaderMap) -> Result<TailOptions, BadQuery> {
        let mut query = Query::parse(query)?;
        let mut from = query
            .take_with("from", "oldest, latest or an offset", parse_position)?
            .unwrap_or(Position::Oldest);
        let flag = "true or false";
        let follow = query.take_with("follow", flag, parse_flag)?.unwrap_or(true);
        let has_notices = query.take_with("notice", flag, parse_flag)?.unwrap_or(true);
        let stall_timeout = query
            .take_with("stall_timeout", "milliseconds or null", parse_stall_timeout)?
            .unwrap_or(StallTimeout::AfterMs(0));
        query.end(&["from", "follow", "notice", "stall_timeout"])?;
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_sse =
            text(header::ACCEPT).is_some_and(|wanted| wanted.contains("text/event-stream"));
        if let Some(last) = text(HeaderName::from_static("last-event-id")).filter(|_| is_sse) {
            let expected = "the offset that an event of this stream had";
            let bad = BadQuery::Value { name: "Last-Event-ID", value: last.to_owned(), expected };
            from = Position::Offset(last.parse().map_err(|_| bad)?);
        }
        let form = if is_sse { Form::Events } else { Form::Plain { has_notices } };
        Ok(TailOptions { from, follow, stall_timeout, form })
    }
}

pub(super) fn parse_flag(text: &str) -> Option<bool> {
    text.parse().ok()
}

pub(super) fn parse_stall_timeout(text: &str) -> Option<StallTimeout> {
    match text {
        "null" => Some(StallTimeout::Never),
        _ => text.parse().ok().map(StallTimeout::AfterMs),
    }
}

fn parse_position(text: &str) -> Option<Position> {
    match text {
        "oldest" => Some(Position::Oldest),
        "latest" => Some(Position::Latest),
        _ => text.parse().ok().map(Position::Offset),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn parse(query: &str, headers: &[(&'static str, &'static str)]) -> Result<TailOptions, String> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        TailOptions::parse(query, &headers).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_viewer_holds_nothing_up_unless_it_says_so() {
        let plain = Form::Plain { has_notices: true };
        let usual = TailOptions {
            from: Position::Oldest,
            follow: true,
            stall_timeout: StallTimeout::AfterMs(0),
            form: plain,
        };
        assert_eq!(parse("", &[]), Ok(usual));
        let other = TailOptions {
            from: Position::Offset(7),
            follow: false,
            stall_timeout: StallTimeout::Never,
            form: Form::Plain { has_notices: false },
        };
        let query = "from=7&follow=false&stall_timeout=null&notice=false";
        assert_eq!(parse(query, &[("last-event-id", "9")]), Ok(other));
    }

    #[test]
    fn a_browser_that_comes_back_goes_on_where_it_was() {
        let sse = ("accept", "text/event-stream");
        let options = parse("from=latest", &[sse]).unwrap();
        assert_eq!((options.from, options.form), (Position::Latest, Form::Events));
        let options = parse("from=latest", &[sse, ("last-event-id", "90")]).unwrap();
        assert_eq!(options.from, Position::Offset(90));
        assert!(parse("", &[sse, ("last-event-id", "x")]).unwrap_err().contains("Last-Event-ID"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for query in ["from=-1", "from=newest", "follow=1", "stall_timeout=5s", "since=3"] {
            let error = parse(query, &[]).unwrap_err();
            let name = query.split('=').next().unwrap();
            assert!(error.starts_with("400: ") && error.contains(name), "{error}");
        }
    }
}
