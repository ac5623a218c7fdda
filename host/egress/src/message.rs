//! What a call hands in and gets back: plain data, and typed refusals.

use std::time::Duration;

use bytes::Bytes;
use policy::Denial;

use crate::body::Source;

/// A request as a connector makes it. Nothing in it is trusted.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `post`, ...; read without regard to case.
    pub method: String,
    /// Absolute, or `{base-url}` and a path below the connection's base URL.
    pub url: String,
    /// Names and values. Those that belong to the host are refused.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Bytes,
    /// How long the connector wants to wait in all; never longer than its limits.
    pub timeout_ms: Option<u32>,
}

/// A request whose bodies may be larger than memory.
#[derive(Default)]
pub struct StreamRequest {
    /// Everything but the body.
    pub request: Request,
    /// The body; none: the one of `request`.
    pub source: Option<Box<dyn Source>>,
    /// How long the connector wants to wait for the head of the answer; never longer
    /// than the host does.
    pub head_timeout: Option<Duration>,
    /// The same between two pieces of the answer.
    pub idle_timeout: Option<Duration>,
    /// Whether a redirect is an answer like others; else it is followed.
    pub shows_redirects: bool,
}

impl std::fmt::Debug for StreamRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamRequest").field("request", &self.request).finish_non_exhaustive()
    }
}

/// An answer, decompressed, whole, without the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case. Without cookies and what concerns the hop alone.
    pub headers: Vec<(String, String)>,
    /// At most the limit `response_bytes`.
    pub body: Bytes,
    /// Where the answer comes from, after redirects.
    pub url: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The policy says no.
    #[error("denied by policy: {0}")]
    Denied(Denial),
    /// The call reached one of its limits.
    #[error("the call reached its limit {which} = {limit}")]
    LimitExceeded {
        /// Its name in grants; also `redirects` and `method_bytes`, which are the host's.
        which: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The remote asked to wait, or a limit of plugin or connection is reached. Nothing was
    /// sent.
    #[error("not sent: {why}; the next request may be sent in {retry_after_ms} ms")]
    RateLimited {
        /// Who asked, or whose limit it is, with its name in grants and its value.
        why: String,
        /// How long to wait.
        retry_after_ms: u64,
    },
    /// The request cannot be sent as it is. Nothing was sent.
    #[error("the request is not valid: {0}")]
    Invalid(String),
    /// No answer, or not all of it: the name, the network, the remote, the time.
    #[error("{0}")]
    Unreachable(String),
}
