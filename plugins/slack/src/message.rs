//! Messages.

use sluicegate_sdk::{Error, Result, Value, action, http, object};

use crate::answer;

/// A message to post.
#[object]
pub struct Message {
    /// The channel's name or id, or a person's id for a direct message. The app must
    /// have been invited to it.
    #[field(placeholder = "#alerts", choices = "channel", order = 1)]
    pub channel: String,
    /// What to say. Slack's own markup works: *bold*, _italic_, <https://example.com|a link>.
    /// With blocks, this is what notifications show.
    #[field(widget = "textarea", order = 2)]
    pub text: Option<String>,
    /// A layout of sections, fields and buttons, as Slack's Block Kit Builder makes it.
    #[field(advanced, widget = "json", order = 5)]
    pub blocks: Option<Vec<Value>>,
    /// The time stamp of a message to answer in its thread.
    #[field(label = "Answer to", placeholder = "1700000000.000100", advanced, order = 3)]
    pub thread_ts: Option<String>,
}

/// A message as Slack keeps it.
#[object]
pub struct Posted {
    /// The id of the channel, for later steps.
    pub channel: String,
    /// The time stamp that names the message within its channel, for updates and answers.
    #[field(label = "Time stamp")]
    pub ts: String,
}

/// A message to change.
#[object]
pub struct Change {
    /// The id of the channel, as the step that posted the message gives it.
    #[field(placeholder = "C024BE91L", choices = "channel", order = 1)]
    pub channel: String,
    /// The time stamp of the message, as the step that posted it gives it.
    #[field(label = "Time stamp", placeholder = "1700000000.000100", order = 2)]
    pub ts: String,
    /// What it shall say from now on.
    #[field(widget = "textarea", order = 3)]
    pub text: Option<String>,
    /// The layout it shall have from now on.
    #[field(advanced, widget = "json", order = 4)]
    pub blocks: Option<Vec<Value>>,
}

/// Post a message
///
/// Posts a message to a channel or a person, under the name of the app.
#[action(
    effect = create,
    idempotency = none,
    destinations = ["POST {base-url}/chat.postMessage"],
    scopes = { "chat:write": "to post under the app's name" },
    sample = {
        input: { channel: "#alerts", text: "The build is broken" },
        output: { channel: "C024BE91L", ts: "1700000000.000100" },
    },
)]
pub fn post_message(input: Message) -> Result<Posted> {
    says_something(input.text.as_deref(), input.blocks.as_deref())?;
    answer::read(http::post("{base-url}/chat.postMessage").json(&input))
}

/// Update a message
///
/// Replaces the text of a message that the app has posted.
#[action(
    effect = update,
    idempotency = natural,
    destinations = ["POST {base-url}/chat.update"],
    scopes = { "chat:write": "to change the app's own messages" },
    sample = {
        input: { channel: "C024BE91L", ts: "1700000000.000100", text: "The build is fixed" },
        output: { channel: "C024BE91L", ts: "1700000000.000100" },
    },
)]
pub fn update_message(input: Change) -> Result<Posted> {
    says_something(input.text.as_deref(), input.blocks.as_deref())?;
    answer::read(http::post("{base-url}/chat.update").json(&input))
}

/// Told here, so that nobody waits for Slack to say `no_text`.
fn says_something(text: Option<&str>, blocks: Option<&[Value]>) -> Result<()> {
    match (text.is_some_and(|text| !text.trim().is_empty()), blocks.is_some_and(|blocks| !blocks.is_empty())) {
        (false, false) => Err(Error::invalid_input("/text", "a text, or blocks", "nothing")),
        _ => Ok(()),
    }
}
