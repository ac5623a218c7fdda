//! The one place that maps refusals to HTTP.
//!
//! Keeps apart what the caller reads (problems) from what only the log keeps (the
//! chain of errors behind a fault of the host's own).

use std::error::Error;

use axum::response::{IntoResponse, Response};
use engine::EngineError;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use model::Problem;

use crate::wire::Problems;

/// A request that was not carried out, ready to be answered.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    problems: Vec<Problem>,
    headers: HeaderMap,
}

/// While the disk is full or the host goes down: long enough for either to change.
const UNAVAILABLE_RETRY_S: u64 = 5;

impl ApiError {
    pub(crate) fn new(status: StatusCode, problem: Problem) -> Self {
        Self { status, problems: vec![problem], headers: HeaderMap::new() }
    }

    pub(crate) fn bad_request(problem: Problem) -> Self {
        Self::new(StatusCode::BAD_REQUEST, problem)
    }

    pub(crate) fn not_found(problem: Problem) -> Self {
        Self::new(StatusCode::NOT_FOUND, problem)
    }

    pub(crate) fn too_large(what: &str, bytes_max: usize) -> Self {
        let what = format!("{what} is larger than {bytes_max} bytes; nothing was kept");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, too_large(what))
    }

    pub(crate) fn unauthorized(problem: Problem) -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, problem);
        error.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// The host has no memory left for it.
    pub(crate) fn no_memory(problem: Problem) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, problem).retry_after_s(UNAVAILABLE_RETRY_S)
    }

    /// With what the request may be instead.
    pub(crate) fn allow(self, methods: &'static str) -> Self {
        self.with(ALLOW, HeaderValue::from_static(methods))
    }

    fn with(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn retry_after_s(self, seconds: u64) -> Self {
        self.with(RETRY_AFTER, seconds.into())
    }
}

/// A body that the host does not take, told by the host or by a client before it sends.
pub fn too_large(what: impl Into<String>) -> Problem {
    Problem::new("body-too-large", what).fix("send less, or a link to where the data is")
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        if let EngineError::Internal(source) = &error {
            tracing::error!(error = chain(source.as_ref()), "a fault of the host's own");
        }
        let refused = Self { status: status(&error), problems: error.problems(), headers: HeaderMap::new() };
        match error {
            EngineError::Busy { retry_after_ms, .. } => refused.retry_after_s(retry_after_ms.div_ceil(1_000).max(1)),
            EngineError::Unavailable(_) => refused.retry_after_s(UNAVAILABLE_RETRY_S),
            _ => refused,
        }
    }
}

fn status(error: &EngineError) -> StatusCode {
    match error {
        EngineError::NotFound(_) => StatusCode::NOT_FOUND,
        EngineError::Invalid(problems) => invalid_status(problems),
        EngineError::Unauthentic(_) => StatusCode::UNAUTHORIZED,
        EngineError::Refused(_) => StatusCode::FORBIDDEN,
        EngineError::Conflict(_) => StatusCode::CONFLICT,
        EngineError::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
        EngineError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        EngineError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Malformed, too large, or well-formed and wrong.
fn invalid_status(problems: &[Problem]) -> StatusCode {
    match problems.first().map(|problem| problem.code.as_str()) {
        Some("body-not-json") => StatusCode::BAD_REQUEST,
        Some("too-large") => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// An error and all that led to it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = axum::Json(Problems { problems: self.problems });
        (self.status, self.headers, body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status() {
        let problem = |code| Problem::new(code, "what");
        let busy = EngineError::Busy { problem: problem("queue-full"), retry_after_ms: 1_200 };
        let internal = EngineError::Internal("secret detail".into());
        for (error, status, retry) in [
            (EngineError::NotFound(problem("x")), 404, None),
            (EngineError::Invalid(vec![problem("event")]), 422, None),
            (EngineError::Invalid(vec![problem("body-not-json")]), 400, None),
            (EngineError::Invalid(vec![problem("too-large")]), 413, None),
            (EngineError::Unauthentic(problem("x")), 401, None),
            (EngineError::Refused(problem("x")), 403, None),
            (EngineError::Conflict(problem("x")), 409, None),
            (busy, 429, Some("2")),
            (EngineError::Unavailable(problem("x")), 503, Some("5")),
            (internal, 500, None),
        ] {
            let answer = ApiError::from(error);
            assert_eq!(answer.status, status);
            assert_eq!(answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()), retry);
            assert!(!format!("{:?}", answer.problems).contains("secret detail"));
        }
    }
}
