//! Reading an answer, and what its status means.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::retry;
use crate::error::{Error, Result};
use crate::host::Answer;
use crate::reading;

/// A service's words are kept up to here: enough for a sentence or two.
const MESSAGE_CHARS_MAX: usize = 300;
/// What stands for the words of a service that says nothing, or nothing for a program.
const SILENCE: &str = "without saying why";
const WEB_PAGE: &str = "with a web page instead of data";

/// An answer, held whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    inner: Answer,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The policy said no.
    Denied {
        /// The rule that decided, or that is missing.
        rule: String,
        /// What an administrator would change.
        fix: String,
    },
    /// A granted limit was reached.
    LimitExceeded {
        /// Its name in grants.
        which: String,
        /// Its value.
        limit: u64,
    },
    /// The request itself is malformed.
    Invalid(String),
    /// The service could not be reached, or broke off.
    Unreachable(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { rule, fix } => write!(f, "denied by policy: {rule}. {fix}"),
            Self::LimitExceeded { which, limit } => write!(f, "the call reached its limit {which} = {limit}"),
            Self::Invalid(why) => write!(f, "the request cannot be sent: {why}"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unreachable(_) => Self::transient(error),
            SendError::Denied { .. } | SendError::LimitExceeded { .. } | SendError::Invalid(_) => {
                Self::permanent(error)
            }
        }
    }
}

impl Response {
    pub(crate) fn new(inner: Answer) -> Self {
        Self { inner }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.inner.status
    }

    /// The URL that answered, after redirects.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// The headers in the order received, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.inner.headers
    }

    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body, decompressed.
    pub fn bytes(&self) -> &[u8] {
        &self.inner.body
    }

    /// The body as text; what is no UTF-8 becomes replacement characters.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.inner.body)
    }

    /// The body as JSON of this type; fields that the type does not have are ignored.
    ///
    /// # Errors
    /// `permanent` when it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        reading::parse(&self.inner.body).map_err(|error| {
            let kind = self.header("content-type").unwrap_or("no content type");
            Error::permanent(format!(
                "the service answered {} with something unexpected ({kind}): {error}",
                self.status()
            ))
        })
    }

    /// Whether the `link` header (RFC 8288) names another page.
    pub fn has_next_page(&self) -> bool {
        self.header("link").is_some_and(|link| {
            link.split(',').any(|part| {
                part.split(';').skip(1).any(|parameter| matches!(parameter.trim(), r#"rel="next""# | "rel=next"))
            })
        })
    }

    /// How long the service asks to wait, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        retry::wait_ms(|name| self.header(name).map(str::to_owned), crate::time::now_ms)
    }

    /// This answer, if its status is 2xx.
    ///
    /// # Errors
    /// By status: 401 `auth-expired` or `auth-revoked`; 429, and 403 or 503 that ask to
    /// wait, `rate-limited`; 404 and 410 `not-found`; 409 `conflict`; 408, 425 and 5xx
    /// `transient`; any other `remote` with the service's words.
    pub fn ok(self) -> Result<Self> {
        match self.failure() {
            None => Ok(self),
            Some(error) => Err(error),
        }
    }

    /// What the status means, None for 2xx.
    pub fn failure(&self) -> Option<Error> {
        let status = self.status();
        Some(match status {
            200..=299 => return None,
            401 if self.says_expired() => Error::AuthExpired,
            401 => Error::AuthRevoked,
            429 => Error::RateLimited(self.retry_after_ms()),
            403 if self.is_rate_limit() => Error::RateLimited(self.retry_after_ms()),
            503 if self.header("retry-after").is_some() => Error::RateLimited(self.retry_after_ms()),
            404 | 410 => Error::NotFound(self.explained()),
            409 => Error::Conflict(self.explained()),
            408 | 425 | 500..=599 => Error::Transient(format!("the service answered {status}: {}", self.message())),
            _ => Error::Remote { status, message: self.message() },
        })
    }

    /// What the service said: the usual fields of a JSON body, else the text, shortened.
    pub fn message(&self) -> String {
        let said = match serde_json::from_slice::<Value>(&self.inner.body) {
            Ok(body) => find_message(&body).unwrap_or_else(|| shown(&body)),
            Err(_) => self.text().trim().to_owned(),
        };
        match said.as_str() {
            "" => SILENCE.to_owned(),
            text if text.starts_with('<') => WEB_PAGE.to_owned(),
            text if text.chars().count() > MESSAGE_CHARS_MAX => {
                text.chars().take(MESSAGE_CHARS_MAX).chain("…".chars()).collect()
            }
            _ => said,
        }
    }

    /// The same for failures that hold words alone: where the service had none, the status
    /// and what was asked for, without the query, which may hold what is nobody's business.
    fn explained(&self) -> String {
        let message = self.message();
        if ![SILENCE, WEB_PAGE].contains(&message.as_str()) {
            return message;
        }
        match self.url().split(['?', '#']).next().unwrap_or_default() {
            "" => format!("the service answered {} {message}", self.status()),
            place => format!("the service answered {} for {place} {message}", self.status()),
        }
    }

    /// RFC 6750, 3.1: an expired token is an `invalid_token` whose description says so.
    fn says_expired(&self) -> bool {
        let challenge = self.header("www-authenticate").unwrap_or_default();
        challenge.contains("expired") || self.message().to_ascii_lowercase().contains("expired")
    }

    /// GitHub says 403 for both of its limits: the hourly one with no calls remaining,
    /// the one on bursts with `retry-after` or only words.
    fn is_rate_limit(&self) -> bool {
        self.header("retry-after").is_some()
            || self.header("x-ratelimit-remaining") == Some("0")
            || self.message().to_ascii_lowercase().contains("rate limit")
    }
}

fn shown(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

/// The first of the usual places that holds words; then the first of the details.
fn find_message(body: &Value) -> Option<String> {
    let main =
        ["message", "error_description", "detail", "title", "error", "error_message"].iter().find_map(
            |name| match body.get(name)? {
                Value::String(text) => Some(text.clone()),
                inner @ Value::Object(_) => find_message(inner),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
            },
        );
    let details: Vec<String> = body
        .get("errors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| match entry {
            Value::String(text) => Some(text.clone()),
            _ => find_message(entry).or_else(|| field_and_code(entry)),
        })
        .collect();
    match (main, details.is_empty()) {
        (Some(main), true) => Some(main),
        (Some(main), false) => Some(format!("{main} ({})", details.join("; "))),
        (None, false) => Some(details.join("; ")),
        (None, true) => None,
    }
}

/// `{"field": "title", "code": "missing_field"}`, as GitHub lists what is wrong.
fn field_and_code(entry: &Value) -> Option<String> {
    Some(format!("{}: {}", entry.get("field")?.as_str()?, entry.get("code")?.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Error> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response::new(Answer { status, headers, body: body.as_bytes().to_vec(), url: String::new() }).failure()
    }

    #[test]
    fn statuses_become_the_fitting_case() {
        let expired = [("www-authenticate", r#"Bearer error="invalid_token", error_description="The token expired""#)];
        for (status, headers, body, wanted) in [
            (204, &[][..], "", None),
            (401, &[], "", Some(Error::AuthRevoked)),
            (401, &expired, "", Some(Error::AuthExpired)),
            (401, &[], r#"{"error":{"message":"Token has expired"}}"#, Some(Error::AuthExpired)),
            (403, &[], r#"{"message":"Forbidden"}"#, Some(Error::remote(403, "Forbidden"))),
            (403, &[("retry-after", "60")], "", Some(Error::RateLimited(Some(60_000)))),
            (
                403,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "784111807"),
                    ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ],
                "",
                Some(Error::RateLimited(Some(30_000))),
            ),
            (403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#, Some(Error::RateLimited(None))),
            (404, &[], r#"{"message":"Not Found"}"#, Some(Error::not_found("Not Found"))),
            (404, &[], "", Some(Error::not_found("the service answered 404 without saying why"))),
            (
                410,
                &[],
                "<!doctype html>",
                Some(Error::not_found("the service answered 410 with a web page instead of data")),
            ),
            (409, &[], "taken", Some(Error::conflict("taken"))),
            (409, &[], "null", Some(Error::conflict("the service answered 409 without saying why"))),
            (
                422,
                &[],
                r#"{"message":"Validation Failed","errors":[{"field":"title","code":"missing_field"}]}"#,
                Some(Error::remote(422, "Validation Failed (title: missing_field)")),
            ),
            (400, &[], r#"{"errors":["a","b"]}"#, Some(Error::remote(400, "a; b"))),
            (400, &[], "", Some(Error::remote(400, "without saying why"))),
            (429, &[("retry-after", "3")], "", Some(Error::RateLimited(Some(3_000)))),
            (429, &[], "", Some(Error::RateLimited(None))),
            (502, &[], "<html>", Some(Error::transient("the service answered 502: with a web page instead of data"))),
            (503, &[("retry-after", "1")], "", Some(Error::RateLimited(Some(1_000)))),
            (304, &[], "", Some(Error::remote(304, "without saying why"))),
        ] {
            assert_eq!(failure(status, headers, body), wanted, "{status} {headers:?} {body}");
        }
    }

    #[test]
    fn silence_names_what_was_asked_for() {
        let url = "https://api.example.com/users/2?key=secret".to_owned();
        let answer = Answer { status: 404, headers: Vec::new(), body: Vec::new(), url };
        let wanted = "the service answered 404 for https://api.example.com/users/2 without saying why";
        assert_eq!(Response::new(answer).failure(), Some(Error::not_found(wanted)));
    }

    #[test]
    fn long_words_are_cut() {
        let Some(Error::Remote { message, .. }) = failure(400, &[], &"é".repeat(1_000)) else {
            panic!("a 400 is a remote error");
        };
        assert_eq!(message.chars().count(), MESSAGE_CHARS_MAX + 1);
    }

    #[test]
    fn finds_the_next_page() {
        for (link, wanted) in [
            (r#"<https://a.example/?page=2>; rel="next", <https://a.example/?page=9>; rel="last""#, true),
            (r#"<https://a.example/?page=1>; rel="prev""#, false),
            ("", false),
        ] {
            let headers = vec![("link".to_owned(), link.to_owned())];
            let response = Response::new(Answer { status: 200, headers, body: Vec::new(), url: String::new() });
            assert_eq!(response.has_next_page(), wanted, "{link}");
        }
    }

    #[test]
    fn a_denial_keeps_its_rule_and_fix() {
        let denial = SendError::Denied { rule: "no grant".to_owned(), fix: "add a line".to_owned() };
        assert_eq!(Error::from(denial), Error::permanent("denied by policy: no grant. add a line"));
        let gone = SendError::Unreachable("connection refused".to_owned());
        assert_eq!(Error::from(gone), Error::transient("connection refused"));
    }
}
