//! Places a credential in a request. The only code that opens one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use model::Credential;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::headers;

/// Puts the credential where its scheme says, replacing what is there.
///
/// # Errors
/// When it has no place in a request; the words name the part, never its value.
pub(crate) fn place(credential: &Credential, headers: &mut HeaderMap, url: &mut Url) -> Result<(), String> {
    match credential {
        Credential::Bearer { token } => insert(headers, AUTHORIZATION, &format!("Bearer {}", token.expose_secret())),
        Credential::Basic { user, password } => {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
            insert(headers, AUTHORIZATION, &format!("Basic {pair}"))
        }
        Credential::Header { name, prefix, value } => {
            let name =
                name.parse::<HeaderName>().map_err(|_| format!("the credential's header {name:?} is no name"))?;
            if headers::is_host_owned(name.as_str()) {
                return Err(format!("the credential's header {name} belongs to the host"));
            }
            insert(headers, name, &format!("{prefix}{}", value.expose_secret()))
        }
        Credential::Query { name, value } => {
            remove_parameter(url, name);
            url.query_pairs_mut().append_pair(name, value.expose_secret());
            Ok(())
        }
        Credential::None => Ok(()),
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), String> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| format!("the credential cannot stand in the header {name}"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Whether the query has the parameter in which the credential goes.
pub(crate) fn has_its_parameter(credential: &Credential, url: &Url) -> bool {
    matches!(credential, Credential::Query { name, .. } if url.query_pairs().any(|(key, _)| key == name.as_str()))
}

fn remove_parameter(url: &mut Url, name: &str) {
    if !url.query_pairs().any(|(key, _)| key == name) {
        return;
    }
    let kept: Vec<(String, String)> =
        url.query_pairs().filter(|(key, _)| key != name).map(|(key, value)| (key.into(), value.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_place() {
        let secret = || "s3cret &=%/+".into();
        let basic = "Basic dXNlcjpzM2NyZXQgJj0lLys=";
        for (credential, header, wanted, query) in [
            (Credential::Bearer { token: secret() }, "authorization", "Bearer s3cret &=%/+", "a=1&key=old"),
            (Credential::Basic { user: "user".into(), password: secret() }, "authorization", basic, "a=1&key=old"),
            (
                Credential::Header { name: "x-key".into(), prefix: "Token ".into(), value: secret() },
                "x-key",
                "Token s3cret &=%/+",
                "a=1&key=old",
            ),
            (Credential::Query { name: "key".into(), value: secret() }, "none", "", "a=1&key=s3cret+%26%3D%25%2F%2B"),
            (Credential::None, "none", "", "a=1&key=old"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-key", HeaderValue::from_static("guest"));
            let mut url: Url = "https://a.com/?a=1&key=old".parse().expect("a URL");
            place(&credential, &mut headers, &mut url).expect("has a place");
            let found = headers.get(header).map_or("", |value| value.to_str().expect("text"));
            assert_eq!(found, wanted, "{credential:?}");
            assert_eq!(url.query(), Some(query), "{credential:?}");
        }
    }

    #[test]
    fn a_credential_without_a_place_is_refused_without_its_value() {
        for name in ["host", "a b", "content-length"] {
            let credential = Credential::Header { name: name.into(), prefix: String::new(), value: "s3cret-s3".into() };
            let mut url: Url = "https://a.com/".parse().expect("a URL");
            let reason = place(&credential, &mut HeaderMap::new(), &mut url).expect_err(name);
            assert!(!reason.contains("s3cret"), "{reason}");
        }
        let broken = Credential::Bearer { token: "s3cret\r\nx: y".into() };
        let mut url: Url = "https://a.com/".parse().expect("a URL");
        assert!(!place(&broken, &mut HeaderMap::new(), &mut url).expect_err("broken").contains("s3cret"));
    }
}
