//! A blocking HTTP client: the host sends, decides, and adds the credential.
//!
//! Owns the request's shape and what a status means. A connector never sees a secret,
//! never sets `authorization`, and writes `{base-url}` where the connection's own
//! address belongs.

mod request;
mod response;
mod retry;
mod transfer;
mod url;

pub use request::{Request, delete, get, patch, post, put, request};
pub use response::{Response, SendError};
pub use transfer::{Download, TransferError};
