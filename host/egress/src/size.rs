//! How large the head of a request may be: the one place that says so, whichever
//! interface the request came through.

use crate::message::Request;

/// The longest method in use, `VERSION-CONTROL`, has 15 letters.
const METHOD_BYTES_MAX: usize = 32;
/// A URL. 16 KiB: twice what servers accept.
const URL_BYTES_MAX: usize = 16 << 10;
/// No API asks for more.
const HEADERS_MAX: usize = 64;
/// Names and values together. Most servers refuse more than 8 to 16 KiB.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// A limit by its name, and its value.
pub(crate) type Limit = (&'static str, u64);

/// The limit that the first line of the request exceeds, if it does.
pub(crate) fn line_exceeds(request: &Request) -> Option<Limit> {
    exceeds(&[
        (request.method.len(), METHOD_BYTES_MAX, "method_bytes"),
        (request.url.len(), URL_BYTES_MAX, "url_bytes"),
    ])
}

/// The limit that the request's headers exceed, if they do.
pub(crate) fn headers_exceed(headers: &[(String, String)]) -> Option<Limit> {
    let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    exceeds(&[(headers.len(), HEADERS_MAX, "request_headers"), (bytes, HEADER_BYTES_MAX, "request_header_bytes")])
}

fn exceeds(sizes: &[(usize, usize, &'static str)]) -> Option<Limit> {
    let over = sizes.iter().find(|(found, most, _)| found > most);
    over.map(|(_, most, which)| (*which, u64::try_from(*most).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(method_bytes: usize, url_bytes: usize) -> Option<Limit> {
        let (method, url) = ("M".repeat(method_bytes), "u".repeat(url_bytes));
        line_exceeds(&Request { method, url, ..Request::default() })
    }

    fn headers(count: usize, value_bytes: usize) -> Option<Limit> {
        let header = ("x-a".to_owned(), "v".repeat(value_bytes));
        headers_exceed(&vec![header; count])
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
        ] {
            assert_eq!(found, wanted);
        }
    }
}
