//! A connector's request, parsed: the method and the target, or why there is none.

use model::{Target, TargetError};
use policy::{Authority, Denial};
use url::Url;

use crate::message::SendError;

/// Stands in URLs for the base URL of the connection.
const BASE_URL: &str = "{base-url}";
/// True of calls without a connection, and of connections without a base URL.
const NO_BASE: &str = "a path alone needs a connection with a base URL, and this call has none: \
     write the whole URL, or choose such a connection";

/// The target of a request as its connector wrote it.
///
/// # Errors
/// `Invalid` when it is no URL, `Denied` when it is one that no rule could mean.
pub(crate) fn target(method: &str, url: &str, authority: &Authority) -> Result<Target, SendError> {
    let method = method.to_ascii_uppercase();
    let parsed = match url.strip_prefix(BASE_URL) {
        Some(rest) => Target::parse(&method, &below(authority.base_url(), rest)?),
        None => Target::parse(&method, url),
    };
    parsed.map_err(|error| match error {
        TargetError::Url { .. } => SendError::Invalid(error.to_string()),
        other => SendError::Denied(unspeakable(&other)),
    })
}

fn below(base: Option<&Target>, rest: &str) -> Result<String, SendError> {
    let Some(base) = base else {
        return Err(SendError::Invalid(NO_BASE.to_owned()));
    };
    // Anything else could change the host: `{base-url}.evil.example`.
    if !(rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        return Err(SendError::Invalid(format!("{BASE_URL} must be followed by a slash and a path")));
    }
    Ok(format!("{}{rest}", base.url().as_str().trim_end_matches('/')))
}

/// The denial of a URL or method that no rule could allow.
pub(crate) fn unspeakable(error: &TargetError) -> Denial {
    Denial {
        code: "target-refused",
        what: "the request may not be sent".to_owned(),
        rule: error.to_string(),
        fix: "no rule can allow this; the connector must send its request differently".to_owned(),
    }
}

/// Where a request that cannot be decided on would have gone, for its record.
pub(crate) fn origin_of(url: &str) -> String {
    let origin = Url::parse(url).ok().map(|url| url.origin().ascii_serialization());
    origin.filter(|origin| origin != "null").unwrap_or_else(|| "no origin".to_owned())
}
