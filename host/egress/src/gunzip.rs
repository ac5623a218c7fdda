//! Opens gzip, the one encoding that answers are asked for.
//!
//! Here and not in the client below: that one takes away all encodings that an answer
//! names once it has opened the first, and nobody would know that another is inside,
//! through which no secret is found.

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::transport::BodyStream;

/// One piece, unpacked: what a bomb holds in memory before it is counted.
const PIECE_BYTES: usize = 16 << 10;

/// The body of an answer, opened where gzip is all that is around it; the headers then
/// tell of what is inside. Any other encoding stays, and stays named.
pub(crate) fn open(headers: &mut HeaderMap, body: BodyStream) -> BodyStream {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let is_gzip = encodings.next().is_some_and(|encoding| encoding == "gzip") && encodings.next().is_none();
    if !is_gzip {
        return body;
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    stream::once(unpack(body)).flatten().boxed()
}

/// No body at all is none, as after `HEAD`, and not a broken one.
async fn unpack(body: BodyStream) -> BodyStream {
    let mut body = Box::pin(body.peekable());
    if body.as_mut().peek().await.is_none() {
        return stream::empty().boxed();
    }
    let mut decoder = GzipDecoder::new(StreamReader::new(body.map_err(io::Error::other)));
    // One after the other is one (RFC 1952, 2.2).
    decoder.multiple_members(true);
    ReaderStream::with_capacity(decoder, PIECE_BYTES).map_err(|error| error.to_string()).boxed()
}
