//! The three actions: read, send with an idempotency key, send once.

use std::collections::BTreeMap;

use sluicegate_sdk::http::{self, Request};
use sluicegate_sdk::{Error, Result, Value, action, object};

use crate::accepted::Accepted;
use crate::answer::{self, Answer};

/// What to read.
#[object]
pub struct Question {
    /// A path below the connection's address, such as /users/1, or a whole web address.
    #[field(label = "Path or web address", placeholder = "/users/1", order = 1)]
    pub url: String,
    /// Parameters of the web address.
    #[serde(default)]
    #[field(order = 2)]
    pub query: BTreeMap<String, String>,
    /// Headers to send along. The credential is added by itself.
    #[serde(default)]
    #[field(advanced, order = 3)]
    pub headers: BTreeMap<String, String>,
    /// Which statuses count as success: 2xx, or a list such as 200, 404 or 200-299.
    #[field(label = "Accepted statuses", placeholder = "2xx", advanced, order = 4)]
    pub accepted: Option<String>,
}

/// What to send.
#[object]
pub struct Message {
    /// What to ask the service for.
    #[field(order = 1)]
    pub method: Method,
    /// A path below the connection's address, such as /users/1, or a whole web address.
    #[field(label = "Path or web address", placeholder = "/users/1", order = 2)]
    pub url: String,
    /// Parameters of the web address.
    #[serde(default)]
    #[field(advanced, order = 3)]
    pub query: BTreeMap<String, String>,
    /// Headers to send along. The credential is added by itself.
    #[serde(default)]
    #[field(advanced, order = 4)]
    pub headers: BTreeMap<String, String>,
    /// What to send, as JSON.
    #[field(label = "JSON", widget = "json", order = 5)]
    pub json: Option<Value>,
    /// What to send, as text, for services that take no JSON. Say what it is in the
    /// header content-type.
    #[field(widget = "textarea", advanced, order = 6)]
    pub text: Option<String>,
    /// Which statuses count as success: 2xx, or a list such as 200, 404 or 200-299.
    #[field(label = "Accepted statuses", placeholder = "2xx", advanced, order = 7)]
    pub accepted: Option<String>,
}

/// What to ask the service for.
#[object]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Make something, or start something
    Post,
    /// Put something in a place, or replace what is there
    Put,
    /// Change something
    Patch,
    /// Remove something
    Delete,
}

/// Read
///
/// Reads something from the service: a GET request, which changes nothing.
#[action(
    effect = read,
    idempotency = natural,
    destinations = ["GET any"],
    connection = optional,
    sample = {
        input: { url: "https://api.example.com/users/1", query: { fields: "name" } },
        output: { status: 200, headers: { "content-type": "application/json" }, body: { name: "Ada" } },
    },
)]
pub fn get(input: Question) -> Result<Answer> {
    let request = start("GET", &input.url, &input.query, &input.headers)?;
    finish(request, input.accepted.as_deref())
}

/// Send
///
/// Makes, changes or removes something at the service. The request carries a key in
/// the header Idempotency-Key, and may be sent again after a failure: choose this for
/// services that know the key, and for requests that may happen twice without harm.
#[action(
    effect = update,
    idempotency = key("Idempotency-Key"),
    destinations = ["POST,PUT,PATCH,DELETE any"],
    connection = optional,
    sample = {
        input: { method: "POST", url: "https://api.example.com/users", json: { name: "Ada" } },
        output: { status: 201, headers: { "content-type": "application/json" }, body: { id: 7, name: "Ada" } },
    },
)]
pub fn send(input: Message) -> Result<Answer> {
    let accepted = input.accepted.clone();
    finish(build(input)?.idempotency_key("idempotency-key"), accepted.as_deref())
}

/// Send once
///
/// Makes, changes or removes something at the service, and never repeats the request by
/// itself: when it is not known whether it arrived, a person decides. Choose this for
/// services that know no idempotency key.
#[action(
    effect = update,
    idempotency = none,
    destinations = ["POST,PUT,PATCH,DELETE any"],
    connection = optional,
    sample = {
        input: { method: "POST", url: "https://api.example.com/letters", text: "Dear Ada" },
        output: { status: 202, headers: {} },
    },
)]
pub fn send_once(input: Message) -> Result<Answer> {
    let accepted = input.accepted.clone();
    finish(build(input)?, accepted.as_deref())
}

fn build(input: Message) -> Result<Request> {
    let method = match input.method {
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    let request = start(method, &input.url, &input.query, &input.headers)?;
    match (&input.json, input.text) {
        (None, None) => Ok(request),
        (Some(json), None) => Ok(request.json(json)),
        (None, Some(text)) => Ok(request.text(text)),
        (Some(_), Some(_)) => Err(Error::invalid_input("/text", "nothing, since there is JSON to send", "a text")),
    }
}

/// A path goes below the connection's address; a whole address is the policy's to judge.
pub(crate) fn start(
    method: &str,
    url: &str,
    query: &BTreeMap<String, String>,
    headers: &BTreeMap<String, String>,
) -> Result<Request> {
    let url = url.trim();
    let whole = url.starts_with("https://") || url.starts_with("http://");
    let mut request = match (whole, url.contains("://") || url.starts_with("//")) {
        (true, _) => http::request(method, url),
        (false, false) => http::request(method, format!("{{base-url}}/{}", url.trim_start_matches('/'))),
        (false, true) => {
            return Err(Error::invalid_input("/url", "a path such as /users/1, or an address with https://", url));
        }
    };
    for (name, value) in query {
        request = request.query(name, value);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    Ok(request)
}

fn finish(request: Request, accepted: Option<&str>) -> Result<Answer> {
    let accepted = Accepted::parse(accepted.unwrap_or_default())?;
    answer::accept(&request.send_any()?, &accepted)
}
