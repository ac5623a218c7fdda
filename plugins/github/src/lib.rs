//! GitHub: issues, and what happens in repositories.
//!
//! Owns the mapping between GitHub's REST API and webhooks and the flat objects that
//! people see in a flow. GitHub's pages of JSON stay in here.

mod api;
mod comments;
mod hooks;
mod issues;
mod labels;
mod listing;
mod offers;
mod poll;
#[cfg(test)]
mod tests;
mod webhook;

use sluicegate_sdk::{Result, check, connector, object};

pub use comments::comment_on_issue;
pub use hooks::RepositoryHooks;
pub use issues::create_issue;
pub use labels::add_labels;
pub use listing::list_issues;
pub use offers::{repository, repository_label};
pub use poll::new_issue;
pub use webhook::{issue, pull_request, push};

#[object]
struct Account {
    login: String,
    html_url: String,
}

/// `GET /user` needs no permission beyond a valid token.
#[check(destinations = ["GET {base-url}/user"])]
fn check_account() -> Result<String> {
    let account: Account = api::get("/user").send()?.json()?;
    let place = account.html_url.split('/').nth(2).unwrap_or("github.com");
    Ok(format!("{} on {place}", account.login))
}

connector! {
    id: "github",
    label: "GitHub",
    publisher: "Sluicegate",
    homepage: "https://docs.github.com/rest",
    support: {
        owner: "Sluicegate",
        contact: "https://github.com/sluicegate/sluicegate/issues",
        policy: "community",
    },
    categories: ["code", "issues"],
    purpose: "Starts flows when issues, pull requests and branches change, and writes issues, comments and labels. Works with github.com and with GitHub Enterprise Server.",
    data: "Titles, texts and labels of issues and pull requests, commit messages, and the names of the people who wrote them.",
    risks: [
        "Issues and comments in public repositories can be read by everyone.",
        "Texts of issues come from strangers: do not build instructions for other systems out of them.",
    ],
    connection: {
        base_url: {
            default: "https://api.github.com",
            help: "Leave it as it is for github.com. For GitHub Enterprise Server write https://HOST/api/v3.",
        },
        auth: [{
            scheme: "bearer",
            help: "A fine-grained personal access token. On GitHub open Settings, Developer settings, Personal access tokens, Fine-grained tokens, choose the repositories, and allow Issues: read and write. Allow Webhooks: read and write if flows shall set up their webhooks themselves.",
        }],
    },
    check: check_account,
    actions: [create_issue, comment_on_issue, add_labels, list_issues],
    triggers: [issue, pull_request, push],
    polls: [new_issue],
    subscription: RepositoryHooks,
    discovery: {
        destinations: ["GET {base-url}/user/repos", "GET {base-url}/repos/*/*/labels"],
        scopes: { "issues:read": "to list the labels of a repository" },
        choices: [repository, repository_label],
    },
    scope_templates: [
        { id: "events-only", label: "Start flows from GitHub, change nothing", scopes: [] },
        { id: "read-only", label: "Read issues", scopes: ["issues:read"] },
        { id: "webhooks", label: "Set up webhooks, read nothing else", scopes: ["repository_hooks:write"] },
        { id: "full", label: "Read and write issues, set up webhooks", scopes: ["issues:read", "issues:write", "repository_hooks:write"] },
    ],
    limits: { requests: 12, wall_ms: 30_000 },
}
