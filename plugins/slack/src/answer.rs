//! Slack's answers: the good ones as types, the bad ones as typed errors.
//!
//! Source: the error tables of <https://api.slack.com/methods>. A code that is not
//! listed here reaches people as it is.

use sluicegate_sdk::http::{Request, Response};
use sluicegate_sdk::serde::de::DeserializeOwned;
use sluicegate_sdk::{Error, Result, Value, json};

/// Sends a request to a method of Slack's, and reads its answer.
pub(crate) fn read<T: DeserializeOwned>(request: Request) -> Result<T> {
    let response = request.header("accept", "application/json").send()?;
    let body: Value = response.json()?;
    if body["ok"] == true {
        return response.json();
    }
    Err(to_error(&response, &body))
}

fn to_error(response: &Response, body: &Value) -> Error {
    let code = body["error"].as_str().unwrap_or("unknown_error");
    match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" => Error::AuthRevoked,
        "token_expired" => Error::AuthExpired,
        "missing_scope" => Error::missing_scopes(needed(body)),
        "ratelimited" | "rate_limited" => Error::RateLimited(response.retry_after_ms()),
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
            Error::transient(format!("Slack had a fault of its own ({code})"))
        }
        "channel_not_found" => Error::not_found("this channel does not exist, or the app is not in it"),
        "users_not_found" | "user_not_found" => Error::not_found("nobody in this workspace has this address"),
        "message_not_found" => Error::not_found("this message does not exist any more"),
        "is_archived" => Error::conflict("the channel is archived"),
        "not_in_channel" => Error::conflict("the app is not in the channel: type /invite and the app's name there"),
        "cant_update_message" => Error::conflict("the message belongs to someone else: only its author can change it"),
        "edit_window_closed" => Error::conflict("the workspace no longer allows to change this message"),
        "no_text" => Error::invalid_input("/text", "a text, or blocks", "nothing"),
        "msg_too_long" => Error::invalid_input("/text", "at most 40,000 characters", "more"),
        "invalid_blocks" | "invalid_blocks_format" => {
            Error::invalid_input("/blocks", "blocks as Slack's Block Kit describes them", details(body))
        }
        _ => Error::other(&code.replace('_', "-"), json!({ "slack_error": code, "details": details(body) })),
    }
}

/// `"needed": "chat:write,users:read"`
fn needed(body: &Value) -> Vec<String> {
    let listed = body["needed"].as_str().unwrap_or_default();
    listed.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

/// What Slack adds to some codes: sentences in `response_metadata.messages`.
fn details(body: &Value) -> String {
    let messages = body["response_metadata"]["messages"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let text = messages.collect::<Vec<_>>().join("; ");
    if text.is_empty() { "no details".to_owned() } else { text }
}
