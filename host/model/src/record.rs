//! The record of what a call reached for outside, and of the decision on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One decision on one access to the outside, and what came of it. Holds no body,
/// no query, no header and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessRecord {
    /// When it was decided, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// An HTTP method, or `LIST`, `READ`, `WRITE`, `APPEND`, `RENAME` for files.
    pub method: String,
    /// Origin of the request (`https://slack.com:443`) or `folder NAME`.
    pub target: String,
    /// The path, cut to 200 characters.
    pub path: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The rule that allowed or denied it, or the rule that is missing.
    pub rule: String,
    /// What would allow it, when it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The address that was connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there is no answer, although it was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Bytes of the request's body, or written.
    pub sent_bytes: u64,
    /// Bytes of the answer's body, decompressed, or read.
    pub received_bytes: u64,
    /// From decision to end.
    pub duration_ms: u64,
}
