//! Setting up the webhooks of repositories, so that nobody has to click through settings.

use sluicegate_sdk::http::Request;
use sluicegate_sdk::{
    Callback, Error, Result, Subscribed, Subscription, Value, json, object, serde_json, subscription,
};

use crate::api;

/// GitHub allows 20 webhooks for one event, and lists them 30 a page when not asked.
const PAGE_HOOKS: usize = 100;
/// More repositories share a webhook of their organisation, set up by hand; it also
/// keeps the requests of one call within their limit.
const REPOSITORIES_MAX: usize = 4;

/// The webhooks of the repositories that a trigger names.
pub struct RepositoryHooks;

/// A webhook at one repository.
#[object]
struct Hook {
    repository: String,
    id: u64,
}

#[subscription(
    destinations = [
        "GET,POST {base-url}/repos/*/*/hooks",
        "PATCH,DELETE {base-url}/repos/*/*/hooks/*",
    ],
    scopes = { "repository_hooks:write": "to set up and take away the webhooks of repositories" },
    by_hand = "In the repository's settings under Webhooks, add the address of the flow, choose application/json, set the secret, and tick the events.",
)]
impl Subscription for RepositoryHooks {
    fn subscribe(trigger: &str, config: &Value, callback: &Callback) -> Result<Subscribed> {
        let hooks = repositories(config)?.into_iter().map(|repository| {
            let id = match find(&repository, &callback.url)? {
                Some(id) => change(&repository, id, trigger, callback)?,
                None => make(&repository, trigger, callback)?,
            };
            Ok(Hook { repository, id })
        });
        to_subscribed(&hooks.collect::<Result<Vec<_>>>()?)
    }

    fn renew(trigger: &str, _config: &Value, callback: &Callback, handle: &str) -> Result<Subscribed> {
        let hooks = parse(handle)?;
        for hook in &hooks {
            change(&hook.repository, hook.id, trigger, callback)?;
        }
        to_subscribed(&hooks)
    }

    fn unsubscribe(_trigger: &str, _config: &Value, handle: &str) -> Result<()> {
        for hook in parse(handle)? {
            let gone = api::send_to(&hook.repository, one("DELETE", hook.id));
            match gone {
                Ok(_) | Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn repositories(config: &Value) -> Result<Vec<String>> {
    let named = config.get("repositories").and_then(Value::as_array).into_iter().flatten();
    let mut named: Vec<String> = named.filter_map(Value::as_str).map(|name| name.trim().to_owned()).collect();
    named.sort();
    named.dedup();
    if (1..=REPOSITORIES_MAX).contains(&named.len()) {
        return Ok(named);
    }
    let expected =
        format!("1 to {REPOSITORIES_MAX} repositories, to set up their webhooks; for more, set one up by hand");
    Err(Error::invalid_input("/repositories", expected, format!("{} of them", named.len())))
}

/// The webhook that is there already, after a crash for example.
fn find(repository: &str, url: &str) -> Result<Option<u64>> {
    let request = api::get("/repos/{owner}/{repo}/hooks").query("per_page", PAGE_HOOKS);
    let hooks: Vec<Value> = api::send_to(repository, request)?.json()?;
    let ours = hooks.iter().find(|hook| hook["config"]["url"] == url);
    Ok(ours.and_then(|hook| hook["id"].as_u64()))
}

fn make(repository: &str, trigger: &str, callback: &Callback) -> Result<u64> {
    let mut hook = described(trigger, callback);
    hook["name"] = "web".into();
    id_of(&api::send_to(repository, api::post("/repos/{owner}/{repo}/hooks").json(&hook))?.json()?)
}

fn change(repository: &str, id: u64, trigger: &str, callback: &Callback) -> Result<u64> {
    id_of(&api::send_to(repository, one("PATCH", id).json(&described(trigger, callback)))?.json()?)
}

fn one(method: &str, id: u64) -> Request {
    api::request(method, "/repos/{owner}/{repo}/hooks/{hook}").fill("hook", id)
}

fn described(trigger: &str, callback: &Callback) -> Value {
    let event = match trigger {
        "issue" => "issues",
        "pull-request" => "pull_request",
        other => other,
    };
    let config = json!({ "url": callback.url, "content_type": "json", "secret": callback.secret });
    json!({ "active": true, "events": [event], "config": config })
}

fn id_of(hook: &Value) -> Result<u64> {
    hook["id"].as_u64().ok_or_else(|| Error::permanent("GitHub answered with a webhook that has no id"))
}

fn parse(handle: &str) -> Result<Vec<Hook>> {
    serde_json::from_str(handle).map_err(|error| Error::permanent(format!("the handle is of another version: {error}")))
}

fn to_subscribed(hooks: &[Hook]) -> Result<Subscribed> {
    let handle = serde_json::to_string(hooks).map_err(|error| Error::permanent(format!("no handle: {error}")))?;
    Ok(Subscribed { handle, expires_ms: None })
}
