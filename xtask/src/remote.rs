//! What remote services say: answers to the calls of the demo, by Slack, GitHub, a
//! customer service and a directory.
//!
//! Sources: docs.slack.dev `chat.postMessage` and `auth.test`, docs.github.com
//! "Create an issue".

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::receiver::{Received, Reply};

/// Services take a moment: long enough that a kill finds calls under way.
const MOMENT: Duration = Duration::from_millis(4);
/// The directory is slow: a kill finds the loop over its people in the middle.
const SLOW: Duration = Duration::from_millis(40);
/// People that the customer service knows, all of them new when it is first asked.
pub const CONTACTS: usize = 40;

/// The answers of Slack (below `/slack/api`), GitHub (below `/github`), the customer
/// service (`/crm`) and the directory (`/directory`).
pub fn script() -> impl Fn(&Received, usize) -> Reply + Send + Sync + 'static {
    let numbers = AtomicU64::new(1);
    move |request, _| {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let body: Value = serde_json::from_str(&request.body).unwrap_or(Value::Null);
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match (request.method.as_str(), path) {
            ("GET", "/crm/contacts") => Reply::json(200, &contacts(query)).after(MOMENT),
            ("PUT", path) if path.starts_with("/directory/people/") => Reply::json(200, &body).after(SLOW),
            (method, path) => answer(method, path, &body, number).after(MOMENT),
        }
    }
}

fn answer(method: &str, path: &str, body: &Value, number: u64) -> Reply {
    match (method, path) {
        ("POST", "/slack/api/chat.postMessage") => {
            let ts = format!("{}.{number:06}", 1_700_000_000 + number);
            let message = json!({ "type": "message", "subtype": "bot_message", "text": body["text"], "ts": ts });
            Reply::json(200, &json!({ "ok": true, "channel": body["channel"], "ts": ts, "message": message }))
        }
        ("POST", "/slack/api/auth.test") => Reply::json(
            200,
            &json!({ "ok": true, "url": "https://demo.slack.com/", "team": "Demo", "user": "sluice",
                "team_id": "T0DEMO", "user_id": "U0DEMO" }),
        ),
        ("GET", "/github/user") => {
            Reply::json(200, &json!({ "login": "octocat", "id": 1, "html_url": "https://github.com/octocat" }))
        }
        ("POST", path) if path.starts_with("/github/repos/") && path.ends_with("/issues") => {
            let repository = path.trim_start_matches("/github/repos/").trim_end_matches("/issues");
            Reply::json(201, &issue(repository, body, number))
        }
        ("GET", "/status") => Reply::json(200, &json!({ "status": "degraded", "service": "checkout" })),
        _ => Reply::json(404, &json!({ "message": "Not Found", "documentation_url": "https://docs.github.com/rest" })),
    }
}

/// Everybody has changed once, before anybody asked.
fn contacts(query: &str) -> Value {
    let asked_before = query.split('&').any(|part| part.strip_prefix("since=").is_some_and(|since| !since.is_empty()));
    let count = if asked_before { 0 } else { CONTACTS };
    let contact = |id| json!({ "id": id, "name": format!("Person {id}"), "mail": format!("Person{id}@example.com") });
    json!({ "contacts": (1..=count).map(contact).collect::<Vec<_>>() })
}

fn issue(repository: &str, body: &Value, number: u64) -> Value {
    let labels = body["labels"].as_array().cloned().unwrap_or_default();
    let labels: Vec<Value> = labels.iter().map(|name| json!({ "id": 1, "name": name, "color": "d73a4a" })).collect();
    json!({
        "id": 1_000 + number,
        "number": number,
        "state": "open",
        "title": body["title"],
        "body": body["body"],
        "html_url": format!("https://github.com/{repository}/issues/{number}"),
        "url": format!("https://api.github.com/repos/{repository}/issues/{number}"),
        "user": { "login": "octocat", "id": 1 },
        "labels": labels,
        "assignees": [],
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    })
}
