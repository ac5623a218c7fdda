//! How large the head of a request and of its answer may be: the one place that looks,
//! whichever interface the request came through.

use http::HeaderMap;
use model::{Limits, Target};

use crate::message::Request;

/// The longest method in use, `VERSION-CONTROL`, has 15 letters.
const METHOD_BYTES_MAX: u64 = 32;

/// A limit by its name, and its value.
pub(crate) type Limit = (&'static str, u64);

/// The limit that the first line of the request exceeds, if it does.
pub(crate) fn line_exceeds(request: &Request, limits: &Limits) -> Option<Limit> {
    exceeds(&[
        (request.method.len(), METHOD_BYTES_MAX, "method_bytes"),
        (request.url.len(), limits.url_bytes, "url_bytes"),
    ])
}

/// The limit that the URL exceeds as it would be sent: with its base URL, encoded, or as
/// a redirect's.
pub(crate) fn target_exceeds(target: &Target, limits: &Limits) -> Option<Limit> {
    exceeds(&[(target.url().as_str().len(), limits.url_bytes, "url_bytes")])
}

/// The limit that the request's headers exceed, if they do.
pub(crate) fn headers_exceed(headers: &[(String, String)], limits: &Limits) -> Option<Limit> {
    let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    exceeds(&[
        (headers.len(), limits.request_headers, "request_headers"),
        (bytes, limits.request_header_bytes, "request_header_bytes"),
    ])
}

/// The limit that the head of an answer exceeds, if it does.
pub(crate) fn answer_exceeds(headers: &HeaderMap, limits: &Limits) -> Option<Limit> {
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    exceeds(&[(bytes, limits.response_header_bytes, "response_header_bytes")])
}

fn exceeds(sizes: &[(usize, u64, &'static str)]) -> Option<Limit> {
    let over = sizes.iter().find(|(found, most, _)| u64::try_from(*found).unwrap_or(u64::MAX) > *most);
    over.map(|(_, most, which)| (*which, *most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(method_bytes: usize, url_bytes: usize) -> Option<Limit> {
        let (method, url) = ("M".repeat(method_bytes), "u".repeat(url_bytes));
        line_exceeds(&Request { method, url, ..Request::default() }, &Limits::default())
    }

    fn headers(count: usize, value_bytes: usize) -> Option<Limit> {
        let header = ("x-a".to_owned(), "v".repeat(value_bytes));
        headers_exceed(&vec![header; count], &Limits::default())
    }

    fn answer(value_bytes: usize) -> Option<Limit> {
        let value = "v".repeat(value_bytes).parse().expect("a value");
        answer_exceeds(&HeaderMap::from_iter([(http::HeaderName::from_static("x-a"), value)]), &Limits::default())
    }

    #[test]
    fn each_limit_has_a_name_and_is_reached_exactly() {
        for (found, wanted) in [
            (line(32, 16_384), None),
            (line(33, 1), Some(("method_bytes", 32))),
            (line(1, 16_385), Some(("url_bytes", 16_384))),
            (headers(0, 0), None),
            (headers(64, 253), None),
            (headers(65, 0), Some(("request_headers", 64))),
            (headers(64, 254), Some(("request_header_bytes", 16_384))),
            (headers(1, 1 << 20), Some(("request_header_bytes", 16_384))),
            (answer(65_533), None),
            (answer(65_534), Some(("response_header_bytes", 65_536))),
        ] {
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn a_grant_may_give_less() {
        let (request_headers, url_bytes, response_header_bytes) = (1, 10, 3);
        let limits = Limits { request_headers, url_bytes, response_header_bytes, ..Limits::default() };
        let two = vec![("x-a".to_owned(), String::new()); 2];
        assert_eq!(headers_exceed(&two, &limits), Some(("request_headers", 1)));
        let long = Request { url: "u".repeat(11), ..Request::default() };
        assert_eq!(line_exceeds(&long, &limits), Some(("url_bytes", 10)));
        let answer = HeaderMap::from_iter([(http::header::AGE, http::HeaderValue::from_static("1"))]);
        assert_eq!(answer_exceeds(&answer, &limits), Some(("response_header_bytes", 3)));
    }
}
