//! HTTP: any web service that speaks REST, without a connector of its own.
//!
//! Owns how a request is written in a form and how an answer is read. It declares that
//! it may reach anything; only the grant says what it does reach.

mod accepted;
mod answer;
mod request;
#[cfg(test)]
mod tests;
mod transfer;

use sluicegate_sdk::connector;

pub use request::{get, send, send_once};
pub use transfer::{download, upload};

connector! {
    id: "http",
    label: "HTTP",
    publisher: "Sluicegate",
    homepage: "https://www.rfc-editor.org/rfc/rfc9110",
    support: {
        owner: "Sluicegate",
        contact: "https://github.com/sluicegate/sluicegate/issues",
        policy: "community",
    },
    categories: ["developer"],
    purpose: "Calls any web service that speaks HTTP and JSON, for services that have no connector of their own. Downloads and uploads files of any size.",
    data: "Whatever a flow puts into a request, whatever the service answers, and files in folders that an administrator opened.",
    risks: [
        "It can send anything to any address that the grant names: name few, and narrow paths.",
        "Download a file replaces what the file held before, by whatever the service sends.",
        "It cannot know what a request does at the service; the flow's author must.",
    ],
    connection: {
        base_url: { help: "Where the service lives, such as https://api.example.com/v1. Requests are written as paths below it, and the credential is sent there alone." },
        auth: [
            { scheme: "bearer", help: "A token. It is sent as: Authorization: Bearer TOKEN." },
            { scheme: "basic", help: "A user name and a password." },
            { scheme: "header", help: "A key in a header. The service's documentation names the header, such as X-Api-Key." },
            { scheme: "query", help: "A key in the web address. The service's documentation names the parameter, such as api_key." },
            { scheme: "none", help: "The service asks for no credential." },
        ],
    },
    actions: [get, send, send_once, download, upload],
    limits: { requests: 6, wall_ms: 60_000 },
}
