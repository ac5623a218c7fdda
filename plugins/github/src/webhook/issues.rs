//! Changes of issues.

use sluicegate_sdk::{Delivery, Result, Value, object, trigger};

use super::{Change, filter, is, view};
use crate::api::{self, Thread};

/// Which changes of issues.
#[object]
pub struct IssueFilter {
    /// Only these changes; none named: all of them.
    #[serde(default)]
    #[field(label = "Changes", order = 1)]
    pub actions: Vec<IssueAction>,
    /// Only issues with one of these labels; none named: all of them. When a label is
    /// added or removed, only that label counts.
    #[serde(default)]
    #[field(order = 2)]
    pub labels: Vec<String>,
    /// Only these repositories, as owner/name; none named: all that the webhook sends.
    #[serde(default)]
    #[field(advanced, order = 3)]
    pub repositories: Vec<String>,
}

/// What can happen to an issue.
#[object]
pub enum IssueAction {
    /// Written for the first time
    Opened,
    /// Title or text changed
    Edited,
    /// A label added
    Labeled,
    /// A label removed
    Unlabeled,
    /// Given to somebody
    Assigned,
    /// Taken from somebody
    Unassigned,
    /// Closed
    Closed,
    /// Opened again
    Reopened,
    /// Put into a milestone
    Milestoned,
    /// Taken out of a milestone
    Demilestoned,
    /// Closed for comments
    Locked,
    /// Open for comments again
    Unlocked,
    /// Pinned to the top
    Pinned,
    /// Unpinned
    Unpinned,
    /// Moved to another repository
    Transferred,
    /// Deleted
    Deleted,
}

/// A change of an issue.
#[object]
pub struct IssueEvent {
    /// What happened: opened, labeled, closed ...
    #[field(label = "Change")]
    pub action: String,
    /// The repository, as owner/name.
    pub repository: String,
    /// The issue's number within the repository.
    pub number: u64,
    /// The issue's title.
    pub title: String,
    /// The issue's text; empty when it has none.
    #[field(widget = "textarea")]
    pub body: String,
    /// Where people read the issue.
    #[field(label = "Web address", format = "uri")]
    pub url: String,
    /// Open or closed.
    pub state: String,
    /// Who wrote the issue.
    pub author: String,
    /// All labels of the issue.
    pub labels: Vec<String>,
    /// The label just added or removed.
    pub label: Option<String>,
    /// Who looks after the issue.
    pub assignees: Vec<String>,
    /// Who made the change.
    #[field(label = "Changed by")]
    pub sender: String,
}

#[object]
struct Subject {
    issue: Thread,
}

/// Issue changed
///
/// When an issue is opened, edited, labelled, assigned, closed, and so on. In the
/// repository's settings under Webhooks, add the address of the flow, choose
/// application/json, set the secret, and tick Issues.
#[trigger(
    verification = github,
    delivery_key = header("x-github-delivery"),
    headers = ["x-github-event", "x-github-delivery"],
    sample = file("src/webhook/issue.sample.json"),
)]
pub fn issue(config: IssueFilter, delivery: &Delivery) -> Result<Option<IssueEvent>> {
    if !is(delivery, "issues") {
        return Ok(None);
    }
    let body: Value = delivery.json()?;
    let (change, Subject { issue }) = (view::<Change>(&body)?, view(&body)?);
    let event = IssueEvent {
        action: change.action,
        repository: change.repository.full_name,
        number: issue.number,
        title: issue.title,
        body: issue.body.unwrap_or_default(),
        url: issue.html_url,
        state: issue.state.unwrap_or_else(|| "open".to_owned()),
        author: api::login(issue.user),
        labels: api::names(issue.labels),
        label: change.label.map(|label| label.name),
        assignees: api::logins(issue.assignees),
        sender: api::login(change.sender),
    };
    Ok(Some(event).filter(|event| wanted(&config, event)))
}

fn wanted(config: &IssueFilter, event: &IssueEvent) -> bool {
    (config.actions.is_empty() || config.actions.iter().any(|action| super::writes(*action, &event.action)))
        && filter::wants_label(&config.labels, event.label.as_deref(), &event.labels)
        && filter::wants(&config.repositories, &event.repository)
}
