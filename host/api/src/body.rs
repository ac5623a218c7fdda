//! Bodies, read whole up to a limit and within a time.
//!
//! A body that says it is too large is refused before a byte of it is read; one
//! that does not say so is refused as soon as it is.

use std::time::Duration;

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use model::Problem;

use crate::error::ApiError;

/// Between two pieces of a body. 10 s: a slow line sends something more often.
const PIECE_WITHIN: Duration = Duration::from_secs(10);
/// Memory set aside before the first byte, whatever the sender announces.
const FIRST_BYTES_MAX: usize = 64 << 10;

/// The body, if it has at most `bytes_max` bytes.
pub(crate) async fn read(request: Request, what: &str, bytes_max: usize) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(ApiError::too_large(what, bytes_max));
    }
    let expected = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
    let mut body = request.into_body();
    let mut whole = BytesMut::with_capacity(expected.min(FIRST_BYTES_MAX));
    loop {
        let frame = tokio::time::timeout(PIECE_WITHIN, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { return Ok(whole.freeze()) };
        let Ok(piece) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if whole.len() + piece.len() > bytes_max {
            return Err(ApiError::too_large(what, bytes_max));
        }
        whole.extend_from_slice(&piece);
    }
}

fn too_slow() -> ApiError {
    let what = format!("no byte of the body came for {} s", PIECE_WITHIN.as_secs());
    ApiError::new(StatusCode::REQUEST_TIMEOUT, Problem::new("body-too-slow", what).fix("send it again"))
}

fn broken(error: &axum::Error) -> ApiError {
    ApiError::bad_request(Problem::new("body-broken", format!("the body broke off: {error}")).fix("send it again"))
}
