//! Creating issues.

use sluicegate_sdk::{Result, action, json, object};

use crate::api::{self, Thread};

/// An issue to create.
#[object]
pub struct NewIssue {
    /// The repository, as owner/name.
    #[field(placeholder = "octocat/hello-world", order = 1)]
    pub repository: String,
    /// One line that says what it is about.
    #[field(order = 2)]
    pub title: String,
    /// The text, in GitHub's Markdown.
    #[field(widget = "textarea", order = 3)]
    pub body: Option<String>,
    /// Labels to put on it. Those that do not exist yet are made.
    #[serde(default)]
    #[field(order = 4)]
    pub labels: Vec<String>,
    /// Who shall look after it: user names on GitHub.
    #[serde(default)]
    #[field(advanced, order = 5)]
    pub assignees: Vec<String>,
}

/// An issue as GitHub keeps it.
#[object]
pub struct Issue {
    /// Its number within the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    #[field(widget = "textarea")]
    pub body: Option<String>,
    /// Where people read it.
    #[field(label = "Web address", format = "uri")]
    pub url: String,
    /// Open or closed.
    pub state: String,
    /// Who wrote it.
    pub author: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Who looks after it.
    pub assignees: Vec<String>,
    /// When it was written.
    #[field(format = "date-time")]
    pub created_at: Option<String>,
    /// When it was last changed.
    #[field(format = "date-time")]
    pub updated_at: Option<String>,
}

impl From<Thread> for Issue {
    fn from(thread: Thread) -> Self {
        Self {
            number: thread.number,
            title: thread.title,
            body: thread.body,
            url: thread.html_url,
            state: thread.state.unwrap_or_else(|| "open".to_owned()),
            author: api::login(thread.user),
            labels: api::names(thread.labels),
            assignees: api::logins(thread.assignees),
            created_at: thread.created_at,
            updated_at: thread.updated_at,
        }
    }
}

/// Create an issue
///
/// Opens a new issue in a repository.
#[action(
    effect = create,
    idempotency = none,
    destinations = ["POST {base-url}/repos/*/*/issues"],
    scopes = { "issues:write": "to open issues" },
    sample = {
        input: {
            repository: "octocat/hello-world",
            title: "The build is broken",
            body: "Since this morning.",
            labels: ["bug"],
        },
        output: {
            number: 1347,
            title: "The build is broken",
            body: "Since this morning.",
            url: "https://github.com/octocat/hello-world/issues/1347",
            state: "open",
            author: "octocat",
            labels: ["bug"],
            assignees: [],
            created_at: "2026-01-05T09:00:00Z",
            updated_at: "2026-01-05T09:00:00Z",
        },
    },
)]
pub fn create_issue(input: NewIssue) -> Result<Issue> {
    let NewIssue { repository, title, body, labels, assignees } = input;
    let issue = json!({ "title": title, "body": body, "labels": labels, "assignees": assignees });
    let thread: Thread = api::send_to(&repository, api::post("/repos/{owner}/{repo}/issues").json(&issue))?.json()?;
    Ok(thread.into())
}
