//! Redirects: what the next request would be. Whether it may be sent is decided anew.
//!
//! As the Fetch standard has it: 303 turns everything but HEAD into GET, 301 and
//! 302 do so with POST, 307 and 308 keep method and body.

use http::header::{HeaderMap, LOCATION};
use url::Url;

/// Browsers follow 20; no API needs more than a few.
pub(crate) const REDIRECTS_MAX: u64 = 5;

/// Where an answer sends the request on to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) url: Url,
    pub(crate) method: String,
    pub(crate) keeps_body: bool,
}

/// None when the answer is not a redirect that can be followed.
pub(crate) fn next(status: u16, headers: &HeaderMap, method: &str, from: &Url) -> Option<Next> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = std::str::from_utf8(headers.get(LOCATION)?.as_bytes()).ok()?;
    let url = from.join(location).ok()?;
    let to_get = match status {
        303 => method != "GET" && method != "HEAD",
        301 | 302 => method == "POST",
        _ => false,
    };
    let method = if to_get { "GET" } else { method };
    Some(Next { url, method: method.to_owned(), keeps_body: !to_get })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn methods_and_bodies_change_as_browsers_change_them() {
        for (status, method, wanted) in [
            (301, "POST", Some(("GET", false))),
            (302, "POST", Some(("GET", false))),
            (303, "POST", Some(("GET", false))),
            (303, "DELETE", Some(("GET", false))),
            (303, "HEAD", Some(("HEAD", true))),
            (301, "PUT", Some(("PUT", true))),
            (302, "GET", Some(("GET", true))),
            (307, "POST", Some(("POST", true))),
            (308, "POST", Some(("POST", true))),
            (300, "GET", None),
            (304, "GET", None),
            (200, "GET", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static("../x?y"));
            let from: Url = "https://a.com/b/c".parse().expect("a URL");
            let next = next(status, &headers, method, &from);
            assert_eq!(next.as_ref().map(|next| (next.method.as_str(), next.keeps_body)), wanted, "{status} {method}");
            assert!(next.is_none_or(|next| next.url.as_str() == "https://a.com/x?y"));
        }
    }

    #[test]
    fn a_redirect_to_nowhere_is_an_answer() {
        let from: Url = "https://a.com/".parse().expect("a URL");
        assert_eq!(next(302, &HeaderMap::new(), "GET", &from), None);
        for location in [&b"http://["[..], b"\xff"] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_bytes(location).expect("a value"));
            assert_eq!(next(302, &headers, "GET", &from), None);
        }
    }
}
