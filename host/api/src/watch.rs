//! Around every request: an id, a span, one line in the log, and a task of its own.
//!
//! The task goes on when the sender is gone: work that is half done, such as a run
//! that is on disk and not yet queued, is done. It is the net for panics as well.
//! The line holds method, path, status and time; never a query, a header or a body,
//! since these may hold secrets.

use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri};
use model::Problem;
use tokio::task::JoinError;
use tracing::Instrument as _;

use crate::error::ApiError;
use crate::serve::Place;

/// Names a request, so that what its sender saw can be found in the log.
const REQUEST_ID: &str = "x-request-id";

/// Adds what every router has: answers for unknown places and the watch.
pub(crate) fn watched(router: Router) -> Router {
    router.fallback(unknown_place).method_not_allowed_fallback(wrong_method).layer(from_fn(watch))
}

async fn watch(request: Request, next: Next) -> Response {
    let id = request_id();
    let (method, path) = (request.method().clone(), logged(request.uri().path()));
    let span = tracing::info_span!("request", id, %method, path);
    let within = span.clone();
    async {
        let started = Instant::now();
        let mut response = tokio::spawn(handle(request, next).instrument(within)).await.unwrap_or_else(broke_down);
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        tell(response.status(), started);
        response
    }
    .instrument(span)
    .await
}

/// A flow's address may have a last part that is not to be guessed, and so not logged.
fn logged(path: &str) -> String {
    let mut parts = path.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(""), Some("hooks"), Some(environment), Some(flow), Some(_)) => format!("/hooks/{environment}/{flow}/..."),
        _ => path.to_owned(),
    }
}

async fn handle(request: Request, next: Next) -> Response {
    let _place = request.extensions().get::<Place>().cloned();
    next.run(request).await
}

fn tell(status: StatusCode, started: Instant) {
    let (status, duration_us) = (status.as_u16(), u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    match status {
        500.. => tracing::warn!(status, duration_us, "answered"),
        400.. => tracing::info!(status, duration_us, "answered"),
        _ => tracing::debug!(status, duration_us, "answered"),
    }
}

/// 64 random bits.
fn request_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness every request is called the same; the log still has its time.
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}

/// The panic's own words are in the log, by the process's panic hook.
fn broke_down(error: JoinError) -> Response {
    tracing::error!(panicked = error.is_panic(), "a request's task broke down");
    let problem = Problem::new("internal", "the host made a mistake")
        .cause("a fault in sluice; the log has the details")
        .fix("look in the host's log for the id in the header x-request-id, and report what it says");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, problem).into_response()
}

pub(crate) async fn unknown_place(uri: Uri) -> ApiError {
    ApiError::not_found(
        Problem::new("unknown-path", format!("there is nothing at {}", shown(uri.path())))
            .fix("webhooks go to POST /hooks/ENVIRONMENT/FLOW; administration is below /api/v1 on its own listener"),
    )
}

pub(crate) async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Problem::new("method", format!("{} does not take {method}", shown(uri.path())))
            .fix("the header Allow names what it takes"),
    )
}

/// Long paths are the sender's own business.
fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn boom() -> StatusCode {
        panic!("a private detail")
    }

    async fn ask(router: &Router, method: &str, path: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        assert!(response.headers().contains_key(REQUEST_ID));
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn panics_and_unknown_places_are_problems() {
        let router = watched(Router::new().route("/boom", get(boom)));
        for (method, path, status, code) in
            [("GET", "/boom", 500, "internal"), ("GET", "/none", 404, "unknown-path"), ("POST", "/boom", 405, "method")]
        {
            let (found, body) = ask(&router, method, path).await;
            assert_eq!(found, status);
            let body: crate::wire::Problems = serde_json::from_str(&body).expect("problems");
            assert_eq!(body.problems[0].code, code);
            assert!(!body.problems[0].what.contains("private detail"));
        }
    }
}
