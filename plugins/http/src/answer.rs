//! Answers, as flows see them.

use std::collections::BTreeMap;

use sluicegate_sdk::http::Response;
use sluicegate_sdk::{Error, Result, Value, object, serde_json};

use crate::accepted::Accepted;

/// An answer.
#[object]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case; several of one name are joined with commas.
    pub headers: BTreeMap<String, String>,
    /// What the service answered: data when it is JSON, else text; left out when there
    /// is nothing.
    pub body: Option<Value>,
}

/// The answer, if its status counts as success.
pub(crate) fn accept(response: &Response, accepted: &Accepted) -> Result<Answer> {
    if accepted.includes(response.status()) {
        return Ok(read(response));
    }
    Err(response.failure().unwrap_or_else(|| Error::remote(response.status(), "this status is not accepted here")))
}

fn read(response: &Response) -> Answer {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        headers
            .entry(name.clone())
            .and_modify(|joined| {
                joined.push_str(", ");
                joined.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    Answer { status: response.status(), headers, body: read_body(response) }
}

/// The service's own word decides: what does not call itself JSON stays text, so that
/// the text "007" does not become a number.
fn read_body(response: &Response) -> Option<Value> {
    if response.bytes().is_empty() {
        return None;
    }
    let kind = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let data = match essence == "application/json" || essence.ends_with("+json") {
        true => serde_json::from_slice(response.bytes()).ok(),
        false => None,
    };
    Some(data.unwrap_or_else(|| Value::String(response.text().into_owned())))
}
