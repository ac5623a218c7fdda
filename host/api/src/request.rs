//! Paths, queries and JSON bodies, parsed once, refused with problems.
//!
//! Unknown fields are refused with the nearest known name.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use model::{Problem, nearest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::read;
use crate::error::ApiError;

/// The largest JSON document taken: a flow's input may be as large as a delivery.
pub const JSON_BYTES_MAX: usize = 9 << 20;

/// A JSON document, in or out.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_content_type(&request)?;
        let body = read(request, "the document", JSON_BYTES_MAX).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| ApiError::bad_request(json_problem(&error)))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A page of a browser elsewhere can send other types without asking first.
fn check_content_type(request: &Request) -> Result<(), ApiError> {
    let given = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Problem::new("content-type", format!("the body is declared as {essence:?}, not as JSON"))
            .fix("send the header Content-Type: application/json"),
    ))
}

/// The parameters of a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|path| Self(path.0))
            .map_err(|refusal| ApiError::bad_request(Problem::new("path", refusal.body_text())))
    }
}

/// The parameters of a query.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found.map(|query| Self(query.0)).map_err(|refusal| {
            let text = refusal.body_text();
            ApiError::bad_request(with_nearest(Problem::new("query", text.clone()), &text))
        })
    }
}

fn json_problem(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let code = if error.is_data() { "wrong-document" } else { "malformed-json" };
    with_nearest(Problem::new(code, format!("the request's JSON document is refused: {text}")), &text)
}

/// Finds the nearest name in serde's words: "unknown field `a`, expected one of `b`, `c`".
fn with_nearest(problem: Problem, text: &str) -> Problem {
    let Some((_, tail)) = text.split_once("unknown ") else { return problem };
    let mut names = tail.split('`').skip(1).step_by(2);
    let Some(unknown) = names.next() else { return problem };
    match nearest(unknown, names) {
        Some(near) => problem.fix(format!("did you mean {near}?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        #[expect(dead_code, reason = "only its name matters here")]
        environment: String,
        #[expect(dead_code, reason = "only its name matters here")]
        note: Option<String>,
    }

    #[test]
    fn unknown_fields_get_the_nearest_name() {
        let error = serde_json::from_str::<Document>("{\"enviroment\":\"test\"}").expect_err("a typo");
        assert_eq!(json_problem(&error).fix.as_deref(), Some("did you mean environment?"));
        let error = serde_json::from_str::<Document>("{\"zzz\":1}").expect_err("unknown");
        assert_eq!(json_problem(&error).fix, None);
        let error = serde_json::from_str::<Document>("{").expect_err("cut off");
        assert_eq!(json_problem(&error).code, "malformed-json");
    }
}
