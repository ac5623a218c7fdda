//! Listing issues, page by page, up to a bound.

use sluicegate_sdk::serde::Deserialize as _;
use sluicegate_sdk::{Error, Result, Value, action, object, serde_json};

use crate::api::{self, Thread};
use crate::issues::Issue;

/// GitHub's largest page.
const PAGE_ISSUES_MAX: usize = 100;
/// More than this belongs into an export, not into a step of a flow; it also bounds
/// the requests of one call.
const ISSUES_MAX: usize = 500;
/// Pages hold pull requests too, which are left out: a repository full of them must
/// not make a call endless.
const PAGES_MAX: usize = 10;

/// Which issues to list.
#[object]
pub struct Query {
    /// The repository, as owner/name.
    #[field(placeholder = "octocat/hello-world", order = 1)]
    pub repository: String,
    /// Only open ones, only closed ones, or all.
    #[serde(default)]
    #[field(order = 2)]
    pub state: State,
    /// Only those that have all of these labels.
    #[serde(default)]
    #[field(order = 3)]
    pub labels: Vec<String>,
    /// Only those changed since, such as 2026-01-31T00:00:00Z.
    #[field(label = "Changed since", format = "date-time", advanced, order = 4)]
    pub since: Option<String>,
    /// How many at most, from 1 to 500.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    #[field(label = "At most", order = 5)]
    pub limit: usize,
}

/// The state of issues.
#[object]
#[derive(Default)]
pub enum State {
    /// Not closed yet
    #[default]
    Open,
    /// Done, or turned down
    Closed,
    /// Open and closed
    All,
}

/// Issues found.
#[object]
pub struct Issues {
    /// The issues, the newest first.
    pub issues: Vec<Issue>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

fn default_limit() -> usize {
    30
}

/// List issues
///
/// Finds issues of a repository, the newest first. Pull requests are left out.
#[action(
    effect = read,
    idempotency = natural,
    destinations = ["GET {base-url}/repos/*/*/issues"],
    scopes = { "issues:read": "to read issues" },
    sample = {
        input: { repository: "octocat/hello-world", state: "open", labels: ["bug"], limit: 2 },
        output: {
            issues: [{
                number: 1347,
                title: "The build is broken",
                body: "Since this morning.",
                url: "https://github.com/octocat/hello-world/issues/1347",
                state: "open",
                author: "octocat",
                labels: ["bug"],
                assignees: ["hubot"],
                created_at: "2026-01-05T09:00:00Z",
                updated_at: "2026-01-05T09:30:00Z",
            }],
            more: false,
        },
    },
)]
pub fn list_issues(input: Query) -> Result<Issues> {
    let mut issues = Vec::new();
    for page in 1..=PAGES_MAX {
        let (found, last) = read_page(&input, page)?;
        issues.extend(found);
        if issues.len() > input.limit || last {
            let more = issues.len() > input.limit || !last;
            issues.truncate(input.limit);
            return Ok(Issues { issues, more });
        }
    }
    Ok(Issues { issues, more: true })
}

/// The issues of one page, and whether it is the last one.
fn read_page(query: &Query, page: usize) -> Result<(Vec<Issue>, bool)> {
    if !(1..=ISSUES_MAX).contains(&query.limit) {
        return Err(Error::invalid_input("/limit", "a number from 1 to 500", query.limit));
    }
    let state = serde_json::to_value(query.state).unwrap_or_default();
    let labels = (!query.labels.is_empty()).then(|| query.labels.join(","));
    let request = api::get("/repos/{owner}/{repo}/issues")
        .query("state", state.as_str().unwrap_or("open"))
        .query("per_page", PAGE_ISSUES_MAX.min(query.limit))
        .query("page", page)
        .query_if("labels", labels)
        .query_if("since", query.since.as_ref());
    let response = api::send_to(&query.repository, request)?;
    let entries: Vec<Value> = response.json()?;
    let issues = entries.iter().filter(|entry| entry.get("pull_request").is_none());
    let issues = issues.map(to_issue).collect::<Result<_>>()?;
    Ok((issues, !response.has_next_page()))
}

fn to_issue(entry: &Value) -> Result<Issue> {
    let thread = Thread::deserialize(entry)
        .map_err(|error| Error::permanent(format!("GitHub lists something that is no issue: {error}")))?;
    Ok(thread.into())
}
