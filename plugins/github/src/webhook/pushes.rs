//! Pushes to branches and tags.

use sluicegate_sdk::{Delivery, Result, object, trigger};

use super::{Repository, filter, is};
use crate::api::{self, User};

/// More commits than this are no message for people; GitHub itself sends at most 2048.
const COMMITS_MAX: usize = 100;

/// Which pushes.
#[object]
pub struct PushFilter {
    /// Only these branches; none named: all of them.
    #[serde(default)]
    #[field(placeholder = "main", order = 1)]
    pub branches: Vec<String>,
    /// Tags too, not branches alone.
    #[serde(default)]
    #[field(label = "Include tags", order = 2)]
    pub tags: bool,
    /// Also when a branch or tag is deleted.
    #[serde(default)]
    #[field(label = "Include deletions", advanced, order = 3)]
    pub deletions: bool,
    /// Only these repositories, as owner/name; none named: all that the webhook sends.
    #[serde(default)]
    #[field(advanced, order = 4)]
    pub repositories: Vec<String>,
}

/// A push.
#[object]
pub struct PushEvent {
    /// The repository, as owner/name.
    pub repository: String,
    /// The branch, when it is one.
    pub branch: Option<String>,
    /// The tag, when it is one.
    pub tag: Option<String>,
    /// Whether the branch or tag was created.
    pub created: bool,
    /// Whether the branch or tag was deleted.
    pub deleted: bool,
    /// Whether history was rewritten.
    pub forced: bool,
    /// Where people see what changed.
    #[field(label = "Web address", format = "uri")]
    pub url: String,
    /// Who pushed.
    pub sender: String,
    /// How many commits are new.
    pub commit_count: usize,
    /// The first line of the newest commit's message; empty when there is none.
    #[field(label = "Newest message")]
    pub message: String,
    /// The new commits, the oldest first, at most 100.
    pub commits: Vec<Commit>,
}

/// A commit.
#[object]
pub struct Commit {
    /// Its hash.
    pub id: String,
    /// Its message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
    /// Where people read it.
    #[field(label = "Web address", format = "uri")]
    pub url: String,
}

#[object]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    created: bool,
    deleted: bool,
    forced: bool,
    compare: String,
    commits: Vec<Pushed>,
    head_commit: Option<Pushed>,
    repository: Repository,
    sender: Option<User>,
}

#[object]
struct Pushed {
    id: String,
    message: String,
    url: String,
    author: Author,
}

#[object]
struct Author {
    name: String,
}

/// Commits pushed
///
/// When commits are pushed to a branch. In the repository's settings under Webhooks,
/// add the address of the flow, choose application/json, set the secret, and leave the
/// push event ticked.
#[trigger(
    verification = github,
    delivery_key = header("x-github-delivery"),
    headers = ["x-github-event", "x-github-delivery"],
    sample = file("src/webhook/push.sample.json"),
)]
pub fn push(config: PushFilter, delivery: &Delivery) -> Result<Option<PushEvent>> {
    if !is(delivery, "push") {
        return Ok(None);
    }
    let event = to_event(delivery.json()?);
    Ok(Some(event).filter(|event| wanted(&config, event)))
}

fn to_event(payload: Payload) -> PushEvent {
    let newest = payload.head_commit.as_ref().map(|commit| commit.message.as_str()).unwrap_or_default();
    PushEvent {
        repository: payload.repository.full_name,
        branch: payload.reference.strip_prefix("refs/heads/").map(str::to_owned),
        tag: payload.reference.strip_prefix("refs/tags/").map(str::to_owned),
        created: payload.created,
        deleted: payload.deleted,
        forced: payload.forced,
        url: payload.compare,
        sender: api::login(payload.sender),
        commit_count: payload.commits.len(),
        message: newest.lines().next().unwrap_or_default().to_owned(),
        commits: payload.commits.into_iter().take(COMMITS_MAX).map(Commit::from).collect(),
    }
}

impl From<Pushed> for Commit {
    fn from(pushed: Pushed) -> Self {
        Self { id: pushed.id, message: pushed.message, author: pushed.author.name, url: pushed.url }
    }
}

fn wanted(config: &PushFilter, event: &PushEvent) -> bool {
    let named = match (&event.branch, &event.tag) {
        (Some(branch), _) => filter::wants_branch(&config.branches, branch),
        (None, Some(_)) => config.tags,
        (None, None) => false,
    };
    named && (config.deletions || !event.deleted) && filter::wants(&config.repositories, &event.repository)
}
