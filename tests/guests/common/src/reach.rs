//! Reaching outside, and what came of it in one word and a reason.

use crate::{fetch, files};

/// One request.
///
/// # Errors
/// As the host refuses it.
pub fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: fetch::Body,
) -> Result<fetch::Response, fetch::FetchError> {
    fetch::send(&fetch::Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body,
        timeout_ms: None,
    })
}

/// One `GET`.
///
/// # Errors
/// As the host refuses it.
pub fn get(url: &str) -> Result<fetch::Response, fetch::FetchError> {
    send("GET", url, &[], fetch::Body::Empty)
}

/// `answered 200`, `denied RULE`, `limit WHICH`, `invalid WHY`, `unreachable WHY`.
pub fn say(answer: &Result<fetch::Response, fetch::FetchError>) -> String {
    match answer {
        Ok(response) => format!("answered {}", response.status),
        Err(fetch::FetchError::Denied(denial)) => format!("denied {}", denial.rule),
        Err(fetch::FetchError::LimitExceeded(limit)) => format!("limit {}", limit.which),
        Err(fetch::FetchError::InvalidRequest(why)) => format!("invalid {why}"),
        Err(fetch::FetchError::Unreachable(why)) => format!("unreachable {why}"),
    }
}

/// `done`, `denied RULE`, `limit WHICH`, `invalid WHY`, and so on.
pub fn say_file<T>(answer: &Result<T, files::FileError>) -> String {
    match answer {
        Ok(_) => "done".to_owned(),
        Err(files::FileError::Denied(denial)) => format!("denied {}", denial.rule),
        Err(files::FileError::NotFound(path)) => format!("not-found {path}"),
        Err(files::FileError::AlreadyExists(path)) => format!("already-exists {path}"),
        Err(files::FileError::LimitExceeded(limit)) => format!("limit {}", limit.which),
        Err(files::FileError::InvalidPath(why)) => format!("invalid {why}"),
        Err(files::FileError::Failed(why)) => format!("failed {why}"),
    }
}
