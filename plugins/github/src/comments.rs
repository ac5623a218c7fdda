//! Comments.

use sluicegate_sdk::{Result, action, json, object};

use crate::api;

/// A comment to write.
#[object]
pub struct NewComment {
    /// The repository, as owner/name.
    #[field(placeholder = "octocat/hello-world", order = 1)]
    pub repository: String,
    /// The number of the issue or pull request.
    #[field(label = "Issue number", placeholder = "1347", order = 2)]
    pub number: u64,
    /// The text, in GitHub's Markdown.
    #[field(widget = "textarea", order = 3)]
    pub body: String,
}

/// A comment as GitHub keeps it.
#[object]
pub struct Comment {
    /// Names the comment for ever.
    pub id: u64,
    /// Where people read it.
    #[field(label = "Web address", format = "uri")]
    pub url: String,
}

#[object]
struct Written {
    id: u64,
    html_url: String,
}

/// Comment on an issue
///
/// Adds a comment to an issue or a pull request.
#[action(
    effect = create,
    idempotency = none,
    destinations = ["POST {base-url}/repos/*/*/issues/*/comments"],
    scopes = { "issues:write": "to write comments" },
    sample = {
        input: { repository: "octocat/hello-world", number: 1347, body: "We are looking into it." },
        output: { id: 1, url: "https://github.com/octocat/hello-world/issues/1347#issuecomment-1" },
    },
)]
pub fn comment_on_issue(input: NewComment) -> Result<Comment> {
    let request = api::post("/repos/{owner}/{repo}/issues/{number}/comments").fill("number", input.number);
    let written: Written = api::send_to(&input.repository, request.json(&json!({ "body": input.body })))?.json()?;
    Ok(Comment { id: written.id, url: written.html_url })
}
