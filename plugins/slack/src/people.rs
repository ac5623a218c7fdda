//! People.

use sluicegate_sdk::{Result, action, http, object};

use crate::answer;

/// Whom to look for.
#[object]
pub struct Address {
    /// The address that the person has in Slack.
    #[field(label = "E-mail address", format = "email", placeholder = "ada@example.com", data_class = "personal")]
    pub email: String,
}

/// A person in the workspace.
#[object]
pub struct Person {
    /// Names the person for ever; post to it for a direct message.
    pub id: String,
    /// The short name, without @.
    pub name: String,
    /// The whole name.
    #[field(data_class = "personal")]
    pub real_name: Option<String>,
    /// The time zone, such as Europe/Paris.
    #[field(label = "Time zone")]
    pub time_zone: Option<String>,
    /// Whether the account was switched off.
    pub deactivated: bool,
}

#[object]
struct Found {
    user: User,
}

#[object]
struct User {
    id: String,
    name: String,
    real_name: Option<String>,
    tz: Option<String>,
    #[serde(default)]
    deleted: bool,
}

/// Find a person by e-mail address
///
/// Looks up who has this address in the workspace, to mention or to write to them.
#[action(
    effect = read,
    idempotency = natural,
    destinations = ["GET {base-url}/users.lookupByEmail"],
    scopes = {
        "users:read": "to see the names of people in the workspace",
        "users:read.email": "to find people by their e-mail address",
    },
    sample = {
        input: { email: "ada@example.com" },
        output: { id: "U024BE7LH", name: "ada", real_name: "Ada Lovelace", time_zone: "Europe/London", deactivated: false },
    },
)]
pub fn find_user(input: Address) -> Result<Person> {
    let found: Found = answer::read(http::get("{base-url}/users.lookupByEmail").query("email", &input.email))?;
    let User { id, name, real_name, tz, deleted } = found.user;
    Ok(Person { id, name, real_name, time_zone: tz, deactivated: deleted })
}
