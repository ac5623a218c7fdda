//! What happens in repositories, as GitHub's webhooks tell it.
//!
//! A webhook of GitHub's may be set to send every kind of event to one address: what
//! is not of this trigger's kind is not of interest, and no error.

mod filter;
mod issues;
mod pull_requests;
mod pushes;

pub use issues::issue;
pub use pull_requests::pull_request;
pub use pushes::push;

use sluicegate_sdk::serde::Serialize;
use sluicegate_sdk::serde::de::DeserializeOwned;
use sluicegate_sdk::{Delivery, Error, Result, Value, object, serde_json};

use crate::api::User;

/// A repository, as webhooks nest it.
#[object]
pub(crate) struct Repository {
    pub(crate) full_name: String,
}

/// A change of an issue or a pull request, as far as both are alike.
#[object]
pub(crate) struct Change {
    pub(crate) action: String,
    pub(crate) repository: Repository,
    /// The label just added or removed.
    pub(crate) label: Option<crate::api::Label>,
    pub(crate) sender: Option<User>,
}

/// Whether the delivery is of this kind.
fn is(delivery: &Delivery, kind: &str) -> bool {
    delivery.header("x-github-event") == Some(kind)
}

/// One view of a payload; what it does not name is ignored.
fn view<T: DeserializeOwned>(body: &Value) -> Result<T> {
    T::deserialize(body)
        .map_err(|error| Error::permanent(format!("the delivery is not what GitHub documents: {error}")))
}

/// Whether GitHub writes this choice as `name`.
fn writes(choice: impl Serialize, name: &str) -> bool {
    serde_json::to_value(choice).is_ok_and(|value| value == name)
}
