//! Files of any size: from the service into an opened folder, and back.
//!
//! The host moves the bytes, so that a file may be larger than the connector's memory.

use std::collections::BTreeMap;

use sluicegate_sdk::{Error, Result, action, object};

use crate::accepted::Accepted;
use crate::answer::{self, Answer};
use crate::request::start;

/// What to download.
#[object]
pub struct Source {
    /// A path below the connection's address, such as /reports/1.pdf, or a whole web address.
    #[field(label = "Path or web address", placeholder = "/reports/1.pdf", order = 1)]
    pub url: String,
    /// The file to write: an opened folder, then its name. What it held is replaced.
    #[field(placeholder = "reports/1.pdf", order = 2)]
    pub file: String,
    /// Parameters of the web address.
    #[serde(default)]
    #[field(advanced, order = 3)]
    pub query: BTreeMap<String, String>,
    /// Headers to send along. The credential is added by itself.
    #[serde(default)]
    #[field(advanced, order = 4)]
    pub headers: BTreeMap<String, String>,
}

/// A file that was downloaded.
#[object]
pub struct Saved {
    /// The file.
    pub file: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What kind of file the service says it is, such as application/pdf.
    #[field(label = "Content type")]
    pub content_type: Option<String>,
}

/// What to upload.
#[object]
pub struct Parcel {
    /// How the service takes files.
    #[field(order = 1)]
    pub method: Method,
    /// A path below the connection's address, such as /reports/1.pdf, or a whole web address.
    #[field(label = "Path or web address", placeholder = "/reports/1.pdf", order = 2)]
    pub url: String,
    /// The file to send: an opened folder, then its name.
    #[field(placeholder = "reports/1.pdf", order = 3)]
    pub file: String,
    /// What kind of file it is.
    #[field(label = "Content type", placeholder = "application/pdf", order = 4)]
    pub content_type: Option<String>,
    /// Parameters of the web address.
    #[serde(default)]
    #[field(advanced, order = 5)]
    pub query: BTreeMap<String, String>,
    /// Headers to send along. The credential is added by itself.
    #[serde(default)]
    #[field(advanced, order = 6)]
    pub headers: BTreeMap<String, String>,
    /// Which statuses count as success: 2xx, or a list such as 200, 404 or 200-299.
    #[field(label = "Accepted statuses", placeholder = "2xx", advanced, order = 7)]
    pub accepted: Option<String>,
}

/// How the service takes files.
#[object]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Put the file in a place, or replace what is there
    Put,
    /// Hand the file in, and let the service find a place
    Post,
}

/// Download a file
///
/// Reads a file of any size from the service and writes it into an opened folder. The
/// file appears there when all of it has arrived, or not at all. Files of more than 8 MB
/// need a grant with larger limits: response_bytes for the file itself, file_bytes for
/// what may be written, and wall_ms for the time it takes.
#[action(
    effect = update,
    idempotency = natural,
    files = write,
    destinations = ["GET any"],
    connection = optional,
    sample = {
        input: { url: "https://api.example.com/reports/1.csv", file: "reports/1.csv" },
        output: { file: "reports/1.csv", bytes: 13, content_type: "text/csv" },
    },
)]
pub fn download(input: Source) -> Result<Saved> {
    let request = start("GET", &input.url, &input.query, &input.headers)?;
    let done = request.download(&input.file).map_err(at_file)?;
    let content_type = done.response().header("content-type").map(str::to_owned);
    Ok(Saved { bytes: done.ok()?, file: input.file, content_type })
}

/// Upload a file
///
/// Sends a file of any size from an opened folder to the service, as it is: not as a part
/// of a form. The request carries a key in the header Idempotency-Key, and may be sent
/// again after a failure. Files of more than 8 MB need a grant with a larger limit
/// request_bytes, and wall_ms for the time it takes.
#[action(
    effect = update,
    idempotency = key("Idempotency-Key"),
    files = read,
    destinations = ["PUT,POST any"],
    connection = optional,
    sample = {
        input: { method: "PUT", url: "https://api.example.com/reports/1.csv", file: "reports/1.csv", content_type: "text/csv" },
        output: { status: 201, headers: {} },
    },
)]
pub fn upload(input: Parcel) -> Result<Answer> {
    let accepted = Accepted::parse(input.accepted.as_deref().unwrap_or_default())?;
    let method = match input.method {
        Method::Put => "PUT",
        Method::Post => "POST",
    };
    let mut request = start(method, &input.url, &input.query, &input.headers)?;
    if let Some(kind) = &input.content_type {
        request = request.header("content-type", kind);
    }
    let response = request.idempotency_key("idempotency-key").upload(&input.file).map_err(at_file)?;
    answer::accept(&response, &accepted)
}

/// The SDK speaks of `/path`; here the field is `/file`.
fn at_file(error: Error) -> Error {
    match error {
        Error::InvalidInput(mut fields) => {
            for field in fields.iter_mut().filter(|field| field.path == "/path") {
                "/file".clone_into(&mut field.path);
            }
            Error::InvalidInput(fields)
        }
        other => other,
    }
}
