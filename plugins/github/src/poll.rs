//! Asking for new issues, where no webhook can be set up.

use sluicegate_sdk::poll::{Ask, Feed, Item, Listing, Page, Position};
use sluicegate_sdk::serde::Deserialize as _;
use sluicegate_sdk::{Error, Result, Value, object, poll, time};

use crate::api::{self, Thread};
use crate::issues::Issue;

/// GitHub's largest page.
const PAGE_ISSUES: usize = 100;

/// Which issues to wait for.
#[object]
pub struct Watched {
    /// The repository, as owner/name.
    #[field(placeholder = "octocat/hello-world", choices = "repository", order = 1)]
    pub repository: String,
    /// Only those that have all of these labels when they are found.
    #[serde(default)]
    #[field(choices = "repository-label", order = 2)]
    pub labels: Vec<String>,
}

/// New issue
///
/// When an issue is opened. GitHub is asked now and then, so this works without a
/// webhook and behind a firewall. Pull requests are left out.
#[poll(
    every = "5m",
    at_most_every = "1m",
    destinations = ["GET {base-url}/repos/*/*/issues"],
    scopes = { "issues:read": "to see new issues" },
    sample = {
        config: { repository: "octocat/hello-world" },
        event: {
            number: 1347,
            title: "The build is broken",
            body: "Since this morning.",
            url: "https://github.com/octocat/hello-world/issues/1347",
            state: "open",
            author: "octocat",
            labels: ["bug"],
            assignees: [],
            created_at: "2026-01-05T09:00:00Z",
            updated_at: "2026-01-05T09:30:00Z",
        },
    },
)]
pub fn new_issue(config: Watched, from: &Position) -> Result<Page<Issue>> {
    let page = Feed::newest_first().requests_max(10).read(from, |ask| list(&config.repository, ask))?;
    Ok(page.filter_map(|issue| issue.filter(|issue| config.labels.iter().all(|label| has(issue, label)))))
}

fn has(issue: &Issue, label: &str) -> bool {
    issue.labels.iter().any(|known| known.eq_ignore_ascii_case(label.trim()))
}

/// Pull requests are things too, so that a page of them ends a pass as it should.
fn list(repository: &str, ask: &Ask) -> Result<Listing<Option<Issue>>> {
    let request = api::get("/repos/{owner}/{repo}/issues")
        .query("state", "all")
        .query("sort", "created")
        .query("direction", "desc")
        .query("per_page", PAGE_ISSUES)
        .query("page", ask.page_number());
    let response = api::send_to(repository, request)?;
    let entries: Vec<Value> = response.json()?;
    let items = entries.iter().map(to_item).collect::<Result<_>>()?;
    Ok(Listing { items, next: response.has_next_page().then(|| (ask.page_number() + 1).to_string()) })
}

fn to_item(entry: &Value) -> Result<Item<Option<Issue>>> {
    let wrong = |why: &str| Error::permanent(format!("GitHub lists something that is no issue: {why}"));
    let thread = Thread::deserialize(entry).map_err(|error| wrong(&error.to_string()))?;
    let created = thread.created_at.as_deref().and_then(time::parse_utc);
    let at_ms = created.ok_or_else(|| wrong("it does not say when it was opened"))?;
    let id = entry.get("id").and_then(Value::as_u64).ok_or_else(|| wrong("it has no id"))?;
    let is_issue = entry.get("pull_request").is_none();
    Ok(Item::new(id, at_ms, is_issue.then(|| thread.into())))
}
