//! Channels to choose from.

use sluicegate_sdk::{Choice, Offers, Result, Search, choices, http, object};

use crate::answer;

/// Slack recommends no more than 200 channels a page.
const PAGE: usize = 200;

#[object]
struct Listed {
    channels: Vec<Channel>,
    response_metadata: Option<Metadata>,
}

#[object]
struct Channel {
    id: String,
    name: String,
    #[serde(default)]
    is_member: bool,
}

#[object]
struct Metadata {
    next_cursor: Option<String>,
}

/// A channel
///
/// Public channels that are not archived. The app can post where it is a member.
#[choices]
pub fn channel(search: &Search) -> Result<Offers> {
    let request = http::get("{base-url}/conversations.list")
        .query("exclude_archived", true)
        .query("types", "public_channel")
        .query("limit", PAGE)
        .query_if("cursor", search.page.as_ref());
    let listed: Listed = answer::read(request)?;
    let wanted = listed.channels.into_iter().filter(|channel| search.meets(&channel.name));
    let choices = wanted.map(|channel| Choice {
        value: channel.id,
        label: format!("#{}", channel.name),
        help: (!channel.is_member).then(|| "the app is not in it yet: type /invite there".to_owned()),
    });
    let next = listed.response_metadata.and_then(|metadata| metadata.next_cursor);
    Ok(Offers { choices: choices.collect(), next: next.filter(|cursor| !cursor.is_empty()) })
}
