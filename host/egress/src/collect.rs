//! Collects a body: capped while it streams, timed piece by piece.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::transport::BodyStream;

/// Why a body is not there as a whole.
pub(crate) enum Cut {
    /// More than the limit.
    TooLarge,
    /// Nothing for too long.
    Idle,
    /// The time of the whole request is over.
    Late,
    /// The transport's words.
    Broken(String),
}

/// What a body may take.
pub(crate) struct Bounds {
    pub(crate) bytes_max: u64,
    pub(crate) idle: Duration,
    pub(crate) end: Instant,
}

/// The whole body; on the way out `received` counts its bytes.
pub(crate) async fn collect(mut body: BodyStream, bounds: &Bounds, received: &mut u64) -> Result<Bytes, Cut> {
    // Most bodies are one piece, which is then handed on without a copy.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let pause_end = Instant::now() + bounds.idle;
        let piece = match timeout_at(pause_end.min(bounds.end), body.next()).await {
            Ok(Some(piece)) => piece.map_err(Cut::Broken)?,
            Ok(None) => break,
            Err(_) if pause_end < bounds.end => return Err(Cut::Idle),
            Err(_) => return Err(Cut::Late),
        };
        *received = received.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if *received > bounds.bytes_max {
            return Err(Cut::TooLarge);
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(2 * (first.len() + piece.len()));
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
