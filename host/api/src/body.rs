//! Bodies, read whole up to a limit, within a time and within the listener's memory.
//!
//! A body that says it is too large is refused before a byte of it is read; one
//! that does not say so is refused as soon as it is.

use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use model::Problem;
use tokio::time::{Instant, timeout_at};

use crate::budget::{Budget, Buffer, Spent};
use crate::error::ApiError;

/// How slow a sender may be.
struct Pace {
    /// Between two pieces of a body.
    piece: Duration,
    /// From the first piece to the last.
    whole: Duration,
}

/// 10 s: a slow line sends something more often. 60 s: the largest component over a
/// line of 5 Mbit/s; a sender that drips bytes holds memory no longer.
const PACE: Pace = Pace { piece: Duration::from_secs(10), whole: Duration::from_secs(60) };

/// The body, if it has at most `bytes_max` bytes.
pub(crate) async fn read(request: Request, what: &str, bytes_max: usize) -> Result<Bytes, ApiError> {
    read_at(&PACE, request, what, bytes_max).await
}

async fn read_at(pace: &Pace, request: Request, what: &str, bytes_max: usize) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(ApiError::too_large(what, bytes_max));
    }
    let mut whole = Buffer::new(request.extensions().get::<Budget>().cloned());
    let mut body = request.into_body();
    let end = Instant::now() + pace.whole;
    loop {
        let pause_end = Instant::now() + pace.piece;
        let frame = timeout_at(pause_end.min(end), body.frame()).await.map_err(|_| match pause_end < end {
            true => too_slow(&format!("no byte of the body came for {} s", pace.piece.as_secs())),
            false => too_slow(&format!("the body did not come within {} s", pace.whole.as_secs())),
        })?;
        let Some(frame) = frame else { return Ok(whole.freeze()) };
        let Ok(piece) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if whole.len() + piece.len() > bytes_max {
            return Err(ApiError::too_large(what, bytes_max));
        }
        whole.push(&piece).map_err(|Spent| no_memory())?;
    }
}

fn too_slow(what: &str) -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, Problem::new("body-too-slow", what).fix("send it again"))
}

fn no_memory() -> ApiError {
    ApiError::no_memory(
        Problem::new("bodies-full", "the host holds as many bodies as it may; nothing of this one was kept")
            .cause("many large requests came at the same time")
            .fix("send it again after the time in Retry-After"),
    )
}

fn broken(error: &axum::Error) -> ApiError {
    ApiError::bad_request(Problem::new("body-broken", format!("the body broke off: {error}")).fix("send it again"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::response::IntoResponse as _;
    use futures_util::StreamExt as _;
    use futures_util::stream;
    use http::header::RETRY_AFTER;

    use super::*;

    /// Two bytes, and then nothing more.
    fn dripping() -> Body {
        let bytes = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"ab"))]);
        Body::from_stream(bytes.chain(stream::pending()))
    }

    #[tokio::test]
    async fn a_body_has_a_time_in_pieces_and_as_a_whole() {
        let (short, long) = (Duration::ZERO, Duration::from_secs(600));
        for (pace, wanted) in [
            (Pace { piece: short, whole: long }, "no byte of the body came for 0 s"),
            (Pace { piece: long, whole: short }, "the body did not come within 0 s"),
        ] {
            let error = read_at(&pace, Request::new(dripping()), "it", 10).await.expect_err(wanted);
            assert!(format!("{error:?}").contains(wanted), "{error:?}");
            assert_eq!(error.into_response().status(), StatusCode::REQUEST_TIMEOUT);
        }
    }

    #[tokio::test]
    async fn a_body_is_refused_while_there_is_no_memory_for_it() {
        let budget = Budget::of_shares(1);
        let request = || {
            let mut request = Request::new(Body::from("some bytes"));
            request.extensions_mut().insert(budget.clone());
            request
        };
        let kept = read(request(), "it", 10).await.expect("fits");
        assert_eq!(kept, "some bytes");
        let refused = read(request(), "it", 10).await.expect_err("all is taken").into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(RETRY_AFTER));
        drop(kept);
        assert_eq!(read(request(), "it", 10).await.expect("given back"), "some bytes");
    }
}
