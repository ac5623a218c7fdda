//! URLs as text: percent-encoding, and nothing else. The host parses and decides.

/// Appends `text` with everything but RFC 3986's unreserved characters encoded.
pub(super) fn push_encoded(url: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.push(char::from(DIGITS[usize::from(byte >> 4)]));
            url.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Puts `value` in place of `{name}`; None when the value could not be one segment of
/// a path: it is empty, `.`, `..`, or holds a separator that servers disagree about.
pub(super) fn fill(url: &str, name: &str, value: &str) -> Option<String> {
    if matches!(value, "" | "." | "..") || value.contains(['/', '\\']) {
        return None;
    }
    let mut encoded = String::with_capacity(value.len());
    push_encoded(&mut encoded, value);
    Some(url.replace(&format!("{{{name}}}"), &encoded))
}

/// Appends `name=value` to the query, which may stand before a fragment-less end only.
pub(super) fn push_query(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    push_encoded(url, name);
    url.push('=');
    push_encoded(url, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_everything_that_could_end_a_part() {
        let mut url = "https://a.example/x".to_owned();
        push_query(&mut url, "q", "a b&c=d/é");
        push_query(&mut url, "p", "1");
        assert_eq!(url, "https://a.example/x?q=a%20b%26c%3Dd%2F%C3%A9&p=1");
    }

    #[test]
    fn a_value_stays_within_its_segment() {
        for (value, wanted) in [
            ("octo", Some("{base-url}/repos/octo")),
            ("a b?", Some("{base-url}/repos/a%20b%3F")),
            ("", None),
            (".", None),
            ("..", None),
            ("a/b", None),
            ("a\\b", None),
        ] {
            assert_eq!(fill("{base-url}/repos/{owner}", "owner", value).as_deref(), wanted, "{value:?}");
        }
    }
}
