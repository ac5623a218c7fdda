//! Headers: which ones a connector may set, and which ones it gets to see.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use model::Credential;

use crate::message::SendError;
use crate::scrub::Scrubber;

/// Those that frame the message, choose the host or belong to the hop: the host's.
const HOST_OWNED: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Credentials by another way than the connection would be neither sealed nor scrubbed.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "cookie2"];

/// Servers and the proxies before them act on these as if the method, path or origin
/// were another one: the policy would have decided on something else.
const OVERRIDES: [&str; 6] =
    ["forwarded", "x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"];

/// A part of an answer may hold a part of the credential, which no scrubber finds.
const PARTS: [&str; 2] = ["if-range", "range"];

/// Those of an answer that concern the hop alone, or are credentials themselves.
const NOT_SHOWN: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether only the host may set a header (lower case), whatever the credential.
pub fn is_host_owned(name: &str) -> bool {
    HOST_OWNED.contains(&name) || name.starts_with("proxy-")
}

/// The headers of a connector's request, or which one is refused and why.
pub(crate) fn parse(headers: &[(String, String)], credential: &Credential) -> Result<HeaderMap, SendError> {
    let mut map = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        let (name, value) = parse_one(name, value, credential)?;
        map.append(name, value);
    }
    Ok(map)
}

/// Whether a connector may not set it.
pub(crate) fn is_refused(name: &str, credential: &Credential) -> bool {
    refusal(name, credential).is_some()
}

/// Why a connector may not set a header, if it may not.
fn refusal(name: &str, credential: &Credential) -> Option<&'static str> {
    // Gateways read an underscore as a hyphen (RFC 3875, 4.1.18).
    let read = name.replace('_', "-");
    let read = read.as_str();
    if is_host_owned(read) {
        return Some("belongs to the host");
    }
    let placed =
        matches!(credential, Credential::Header { name, .. } if name.replace('_', "-").eq_ignore_ascii_case(read));
    if placed || CREDENTIALS.contains(&read) {
        return Some("carries credentials, which only the host places, from the connection");
    }
    if OVERRIDES.contains(&read) || read.starts_with("x-forwarded-") {
        return Some("makes servers act on another method, path or origin than the one that was decided on");
    }
    if PARTS.contains(&read) && !matches!(credential, Credential::None) {
        return Some("asks for a part of an answer, in which the credential could not be found");
    }
    None
}

fn parse_one(name: &str, value: &str, credential: &Credential) -> Result<(HeaderName, HeaderValue), SendError> {
    let Ok(parsed) = name.parse::<HeaderName>() else {
        return invalid(format!("header {:?} is not a header name", name.chars().take(80).collect::<String>()));
    };
    if let Some(why) = refusal(parsed.as_str(), credential) {
        return invalid(format!("header {parsed} {why}; leave it out"));
    }
    match HeaderValue::from_str(value) {
        Ok(value) => Ok((parsed, value)),
        Err(_) => invalid(format!("the value of header {parsed} has a line break or another control character")),
    }
}

fn invalid<T>(reason: String) -> Result<T, SendError> {
    Err(SendError::Invalid(reason))
}

/// What remains after the origin has changed: how the answer should look, and what
/// the body is.
pub(crate) fn keep_neutral(headers: &mut HeaderMap) {
    let kept = [http::header::ACCEPT, http::header::CONTENT_TYPE];
    let neutral = headers.iter().filter(|(name, _)| kept.contains(name));
    *headers = neutral.map(|(name, value)| (name.clone(), value.clone())).collect();
}

/// What goes when a redirect drops the body.
pub(crate) fn drop_content(headers: &mut HeaderMap) {
    for name in ["content-type", "content-encoding", "content-language", "content-location"] {
        headers.remove(name);
    }
}

/// Whether the body is still encoded: the scrubber would not see through it. Of a
/// transfer only the chunks are taken apart below, and nothing else was asked for.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let any_but = |name, plain: &[u8]| {
        let mut encodings = headers.get_all(name).iter();
        encodings.any(|encoding| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(plain))
    };
    any_but(http::header::CONTENT_ENCODING, b"identity") || any_but(http::header::TRANSFER_ENCODING, b"chunked")
}

/// The headers of an answer as the connector sees them.
pub(crate) fn show(headers: &HeaderMap, scrubber: &Scrubber) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| !NOT_SHOWN.contains(&name.as_str()))
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (scrubber.text(name.as_str()).into_owned(), scrubber.text(&value).into_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, value: &str, credential: &Credential) -> Option<String> {
        match parse(&[(name.to_owned(), value.to_owned())], credential) {
            Ok(_) => None,
            Err(SendError::Invalid(reason)) => Some(reason),
            Err(other) => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn the_host_owns_what_frames_the_message_and_carries_credentials() {
        let header =
            Credential::Header { name: "x-api-key".into(), prefix: String::new(), value: "long-enough".into() };
        for name in HOST_OWNED.iter().chain(&CREDENTIALS).chain(&OVERRIDES).chain(&PARTS).chain(&[
            "X-Forwarded-Host",
            "Range",
            "Host",
            "AUTHORIZATION",
            "Proxy-Anything",
            "X-API-Key",
        ]) {
            let reason = refusal(name, "x", &header).expect(name);
            assert!(reason.contains(&format!("header {} ", name.to_ascii_lowercase())), "{reason}");
        }
        for name in ["accept", "content-type", "user-agent", "x-github-api-version", "x-api-key", "range", "if-range"] {
            assert_eq!(refusal(name, "x", &Credential::None), None, "{name}");
        }
    }

    #[test]
    fn what_could_break_out_of_a_header_is_refused() {
        for (name, value) in [
            ("x-a", "a\r\nhost: evil"),
            ("x-a", "a\n"),
            ("x-a", "a\0b"),
            ("x-a", "\u{7f}"),
            ("x-a\r\nhost", "a"),
            ("x a", "a"),
            ("x:a", "a"),
            ("", "a"),
            ("x-\u{e9}", "a"),
        ] {
            assert!(refusal(name, value, &Credential::None).is_some(), "{name:?}: {value:?}");
        }
    }
}
