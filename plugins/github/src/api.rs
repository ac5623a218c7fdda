//! Requests to GitHub's REST API, and what its refusals mean.

use sluicegate_sdk::http::{self, Request, Response};
use sluicegate_sdk::{Error, Result, object};

/// Who GitHub says a thing is by; null once the account is gone.
#[object]
pub(crate) struct User {
    pub(crate) login: String,
}

/// A label, as GitHub nests it.
#[object]
pub(crate) struct Label {
    pub(crate) name: String,
}

/// An issue or a pull request, as far as flows see it.
#[object]
pub(crate) struct Thread {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) html_url: String,
    /// Not in every webhook.
    pub(crate) state: Option<String>,
    pub(crate) user: Option<User>,
    /// Null in some webhooks.
    pub(crate) labels: Option<Vec<Label>>,
    pub(crate) assignees: Option<Vec<User>>,
    pub(crate) created_at: Option<String>,
    pub(crate) updated_at: Option<String>,
}

/// The login, or GitHub's stand-in for accounts that are gone.
pub(crate) fn login(user: Option<User>) -> String {
    user.map_or_else(|| "ghost".to_owned(), |user| user.login)
}

/// The names of labels.
pub(crate) fn names(labels: Option<Vec<Label>>) -> Vec<String> {
    labels.unwrap_or_default().into_iter().map(|label| label.name).collect()
}

/// The logins of people.
pub(crate) fn logins(users: Option<Vec<User>>) -> Vec<String> {
    users.unwrap_or_default().into_iter().map(|user| user.login).collect()
}

pub(crate) fn get(path: &str) -> Request {
    request("GET", path)
}

pub(crate) fn post(path: &str) -> Request {
    request("POST", path)
}

pub(crate) fn request(method: &str, path: &str) -> Request {
    with_headers(http::request(method, format!("{{base-url}}{path}")))
}

/// GitHub refuses requests without a user agent.
fn with_headers(request: Request) -> Request {
    request
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .header("user-agent", concat!("sluicegate-github/", env!("CARGO_PKG_VERSION")))
}

/// Fills `{owner}` and `{repo}` from `owner/name`, as people know a repository, and
/// sends the request.
pub(crate) fn send_to(repository: &str, request: Request) -> Result<Response> {
    let names = repository.trim().split_once('/').filter(|(owner, name)| is_name(owner) && is_name(name));
    let Some((owner, name)) = names else {
        return Err(Error::invalid_input(
            "/repository",
            "owner/name, such as octocat/hello-world",
            format!("{repository:?}"),
        ));
    };
    let response = request.fill("owner", owner).fill("repo", name).send_any()?;
    match response.failure() {
        None => Ok(response),
        Some(error) => Err(refine(error, &response, repository)),
    }
}

fn is_name(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    plain && !matches!(text, "" | "." | "..")
}

/// GitHub names the permission it misses in a header, and says 404 of private
/// repositories that a token may not see.
fn refine(error: Error, response: &Response, repository: &str) -> Error {
    match error {
        Error::Remote { status: 403, message } if message.starts_with("Resource not accessible") => {
            match accepted(response) {
                scopes if scopes.is_empty() => Error::Remote { status: 403, message },
                scopes => Error::MissingScopes(scopes),
            }
        }
        Error::NotFound(message) if message.starts_with("Not Found") => Error::not_found(format!(
            "{repository} or the issue does not exist, or the connection's token was not allowed to see it"
        )),
        other => other,
    }
}

/// `x-accepted-github-permissions: issues=write; pull_requests=write`: the sets of
/// permissions that would do; the first one is enough.
fn accepted(response: &Response) -> Vec<String> {
    let listed = response.header("x-accepted-github-permissions").unwrap_or_default();
    let first = listed.split(';').next().unwrap_or_default();
    first.split(',').map(|pair| pair.trim().replace('=', ":")).filter(|scope| !scope.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_two_plain_names() {
        for (text, good) in
            [("octocat", true), ("a.b_c-9", true), ("", false), ("..", false), ("a/b", false), ("a b", false)]
        {
            assert_eq!(is_name(text), good, "{text:?}");
        }
    }
}
