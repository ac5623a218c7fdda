//! Changes of pull requests.

use sluicegate_sdk::{Delivery, Result, Value, object, trigger};

use super::{Change, filter, is, view};
use crate::api::{self, Thread};

/// Which changes of pull requests.
#[object]
pub struct PullRequestFilter {
    /// Only these changes; none named: all of them.
    #[serde(default)]
    #[field(label = "Changes", order = 1)]
    pub actions: Vec<PullRequestAction>,
    /// Only pull requests with one of these labels; none named: all of them. When a
    /// label is added or removed, only that label counts.
    #[serde(default)]
    #[field(order = 2)]
    pub labels: Vec<String>,
    /// Only those that would change these branches; none named: all of them.
    #[serde(default)]
    #[field(label = "Into branches", order = 3)]
    pub branches: Vec<String>,
    /// Only these repositories, as owner/name; none named: all that the webhook sends.
    #[serde(default)]
    #[field(advanced, order = 4)]
    pub repositories: Vec<String>,
}

/// What can happen to a pull request.
#[object]
pub enum PullRequestAction {
    /// Opened for the first time
    Opened,
    /// Title, text or target branch changed
    Edited,
    /// New commits
    Synchronize,
    /// A label added
    Labeled,
    /// A label removed
    Unlabeled,
    /// Given to somebody
    Assigned,
    /// Taken from somebody
    Unassigned,
    /// Somebody was asked for a review
    ReviewRequested,
    /// Somebody is no longer asked for a review
    ReviewRequestRemoved,
    /// No longer a draft
    ReadyForReview,
    /// A draft again
    ConvertedToDraft,
    /// Merged, or turned down
    Closed,
    /// Opened again
    Reopened,
    /// Closed for comments
    Locked,
    /// Open for comments again
    Unlocked,
}

/// A change of a pull request.
#[object]
pub struct PullRequestEvent {
    /// What happened: opened, synchronize, closed ...
    #[field(label = "Change")]
    pub action: String,
    /// The repository, as owner/name.
    pub repository: String,
    /// The pull request's number within the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text; empty when it has none.
    #[field(widget = "textarea")]
    pub body: String,
    /// Where people read it.
    #[field(label = "Web address", format = "uri")]
    pub url: String,
    /// Open or closed.
    pub state: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// Who wrote it.
    pub author: String,
    /// The branch with the changes.
    pub from_branch: String,
    /// The branch that would be changed.
    pub into_branch: String,
    /// All its labels.
    pub labels: Vec<String>,
    /// The label just added or removed.
    pub label: Option<String>,
    /// Who looks after it.
    pub assignees: Vec<String>,
    /// Who made the change.
    #[field(label = "Changed by")]
    pub sender: String,
}

/// What a pull request has in common with an issue.
#[object]
struct Subject {
    pull_request: Thread,
}

/// What it has beyond.
#[object]
struct Details {
    pull_request: PullRequest,
}

#[object]
struct PullRequest {
    draft: Option<bool>,
    merged: Option<bool>,
    head: Branch,
    base: Branch,
}

#[object]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
}

/// Pull request changed
///
/// When a pull request is opened, changed, labelled, reviewed, merged, and so on. In
/// the repository's settings under Webhooks, add the address of the flow, choose
/// application/json, set the secret, and tick Pull requests.
#[trigger(
    verification = github,
    delivery_key = header("x-github-delivery"),
    headers = ["x-github-event", "x-github-delivery"],
    sample = file("src/webhook/pull_request.sample.json"),
)]
pub fn pull_request(config: PullRequestFilter, delivery: &Delivery) -> Result<Option<PullRequestEvent>> {
    if !is(delivery, "pull_request") {
        return Ok(None);
    }
    let body: Value = delivery.json()?;
    let (change, Subject { pull_request: thread }) = (view::<Change>(&body)?, view(&body)?);
    let Details { pull_request } = view(&body)?;
    let event = PullRequestEvent {
        action: change.action,
        repository: change.repository.full_name,
        number: thread.number,
        title: thread.title,
        body: thread.body.unwrap_or_default(),
        url: thread.html_url,
        state: thread.state.unwrap_or_else(|| "open".to_owned()),
        draft: pull_request.draft.unwrap_or(false),
        merged: pull_request.merged.unwrap_or(false),
        author: api::login(thread.user),
        from_branch: pull_request.head.name,
        into_branch: pull_request.base.name,
        labels: api::names(thread.labels),
        label: change.label.map(|label| label.name),
        assignees: api::logins(thread.assignees),
        sender: api::login(change.sender),
    };
    Ok(Some(event).filter(|event| wanted(&config, event)))
}

fn wanted(config: &PullRequestFilter, event: &PullRequestEvent) -> bool {
    (config.actions.is_empty() || config.actions.iter().any(|action| super::writes(*action, &event.action)))
        && filter::wants_label(&config.labels, event.label.as_deref(), &event.labels)
        && filter::wants_branch(&config.branches, &event.into_branch)
        && filter::wants(&config.repositories, &event.repository)
}
