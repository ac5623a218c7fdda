//! Slack: post and update messages, find people.
//!
//! Owns the mapping between Slack's web API and what people see in a flow. Slack says
//! 200 even when it refuses; `answer` turns its codes into typed errors.

mod answer;
mod channels;
mod message;
mod people;
#[cfg(test)]
mod tests;

use sluicegate_sdk::{Result, check, connector, http, object};

pub use channels::channel;
pub use message::{post_message, update_message};
pub use people::find_user;

#[object]
struct Identity {
    user: String,
    team: String,
}

/// `auth.test` needs no scope and names who the token belongs to.
#[check(destinations = ["POST {base-url}/auth.test"])]
fn check_account() -> Result<String> {
    let identity: Identity = answer::read(http::post("{base-url}/auth.test"))?;
    Ok(format!("{} in {}", identity.user, identity.team))
}

connector! {
    id: "slack",
    label: "Slack",
    publisher: "Sluicegate",
    homepage: "https://api.slack.com/methods",
    support: {
        owner: "Sluicegate",
        contact: "https://github.com/sluicegate/sluicegate/issues",
        policy: "community",
    },
    categories: ["chat", "alerts"],
    purpose: "Tells people in Slack what happened elsewhere: posts messages to channels and persons, keeps a posted message up to date, and finds a person by e-mail address.",
    data: "The text of messages, names of channels, and for people who are looked up their name and e-mail address.",
    risks: [
        "Messages reach everyone in the channel; a flow that posts often can drown it.",
        "Looking people up by e-mail address reveals who is a member of the workspace.",
    ],
    connection: {
        base_url: {
            default: "https://slack.com/api",
            help: "Leave it as it is, unless your company reaches Slack through an address of its own.",
        },
        auth: [{
            scheme: "bearer",
            help: "The token of your Slack app. Open api.slack.com/apps, choose the app, then OAuth & Permissions, and copy the Bot User OAuth Token; it starts with xoxb-.",
        }],
    },
    check: check_account,
    actions: [post_message, update_message, find_user],
    discovery: {
        destinations: ["GET {base-url}/conversations.list"],
        scopes: { "channels:read": "to list the channels in forms" },
        choices: [channel],
    },
    scope_templates: [
        { id: "post", label: "Post and update messages", scopes: ["chat:write"] },
        { id: "read-only", label: "Find people", scopes: ["users:read", "users:read.email"] },
        { id: "full", label: "Everything this connector can do", scopes: ["chat:write", "channels:read", "users:read", "users:read.email"] },
    ],
    limits: { requests: 5, wall_ms: 20_000 },
}
