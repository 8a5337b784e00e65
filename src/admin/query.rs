//! The part of a URL behind `?`, read strictly: what is unknown or wrong is named.

/// Parameters that a query may have; more than any request here knows.
const PARAMETERS_MAX: usize = 32;

/// A query's parameters that have not been taken.
#[derive(Debug)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
}

/// What is wrong with a query; the text is the answer's body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadQuery {
    #[error("400: the query is not well formed: {0:?}\n")]
    Malformed(String),
    #[error("400: {name}={value:?} is not possible; {name} is {expected}\n")]
    Value { name: &'static str, value: String, expected: &'static str },
    #[error("400: {0} is there twice\n")]
    Twice(String),
    #[error("400: there is no parameter {name:?} here; there are: {known}\n")]
    Unknown { name: String, known: String },
    #[error("400: {name} is missing: {expected}\n")]
    Missing { name: &'static str, expected: &'static str },
}

impl Query {
    /// Reads `name=value&…`, with `%XX` and `+` decoded.
    pub(crate) fn parse(text: &str) -> Result<Query, BadQuery> {
        let malformed = || BadQuery::Malformed(text.to_owned());
        let mut parameters: Vec<(String, String)> = Vec::new();
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = decode(name).ok_or_else(malformed)?;
            let value = decode(value).ok_or_else(malformed)?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(BadQuery::Twice(name));
            }
            if parameters.len() == PARAMETERS_MAX {
                return Err(malformed());
            }
            parameters.push((name, value));
        }
        Ok(Query { parameters })
    }

    /// Takes one parameter as text.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.parameters.iter().position(|(known, _)| known == name)?;
        Some(self.parameters.swap_remove(at).1)
    }

    /// Takes one parameter and reads it; `expected` says what it may be.
    pub(crate) fn take_with<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BadQuery> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(BadQuery::Value { name, value, expected }),
        }
    }

    /// Checks that nothing is left. `known` are the parameters that there are.
    pub(crate) fn end(self, known: &[&str]) -> Result<(), BadQuery> {
        match self.parameters.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(BadQuery::Unknown { name, known })
            }
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_taken_once() {
        let mut query = Query::parse("a=1+2%2F%c3%a9&&b&c=x=y").unwrap();
        assert_eq!(query.take("a").as_deref(), Some("1 2/\u{e9}"));
        assert_eq!(query.take("a"), None);
        assert_eq!(query.take("c").as_deref(), Some("x=y"));
        assert_eq!(query.take("b").as_deref(), Some(""));
        assert_eq!(query.end(&["a"]), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(Query::parse(text).unwrap_err(), BadQuery::Malformed(text.to_owned()));
        }
        assert!(matches!(Query::parse("a=1&a=2"), Err(BadQuery::Twice(_))));
        let error = Query::parse("x=1").unwrap().end(&["from", "top"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "400: there is no parameter \"x\" here; there are: from, top\n"
        );
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|n| format!("p{n}=")).collect();
        assert!(Query::parse(&many[..PARAMETERS_MAX].join("&")).is_ok());
        assert!(Query::parse(&many.join("&")).is_err());
    }
}
