//! Labels.

use sluicegate_sdk::{Error, Result, action, json, object};

use crate::api::{self, Label};

/// Labels to put on an issue.
#[object]
pub struct NewLabels {
    /// The repository, as owner/name.
    #[field(placeholder = "octocat/hello-world", order = 1)]
    pub repository: String,
    /// The number of the issue or pull request.
    #[field(label = "Issue number", placeholder = "1347", order = 2)]
    pub number: u64,
    /// The labels. Those that do not exist yet are made.
    #[field(order = 3)]
    pub labels: Vec<String>,
}

/// The labels of an issue.
#[object]
pub struct Labels {
    /// All labels that the issue has now.
    pub labels: Vec<String>,
}

/// Add labels to an issue
///
/// Puts labels on an issue or a pull request. Those it has already stay.
#[action(
    effect = update,
    idempotency = natural,
    destinations = ["POST {base-url}/repos/*/*/issues/*/labels"],
    scopes = { "issues:write": "to put labels on issues" },
    sample = {
        input: { repository: "octocat/hello-world", number: 1347, labels: ["urgent"] },
        output: { labels: ["bug", "urgent"] },
    },
)]
pub fn add_labels(input: NewLabels) -> Result<Labels> {
    if input.labels.is_empty() {
        return Err(Error::invalid_input("/labels", "at least one label", "none"));
    }
    let request = api::post("/repos/{owner}/{repo}/issues/{number}/labels").fill("number", input.number);
    let labels: Vec<Label> =
        api::send_to(&input.repository, request.json(&json!({ "labels": input.labels })))?.json()?;
    Ok(Labels { labels: api::names(Some(labels)) })
}
