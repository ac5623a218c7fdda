//! Why an operation failed, in the words of the contract.
//!
//! Owns the guest's error and its constructors. The host acts on the case: it retries,
//! waits, asks for reauthorisation, or gives up with a dead letter.

use std::fmt;

use serde_json::Value;

/// What connectors' functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing wrong with one field of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// JSON Pointer (RFC 6901) of the field, `""` for the whole input.
    pub path: String,
    /// What the field takes, in words a person without code understands.
    pub expected: String,
    /// What was there instead; never a secret.
    pub got: String,
}

/// Why an operation failed.
///
/// A policy denial or an exceeded limit is no case of it: only the host makes those,
/// and its own record of the call wins over whatever a connector claims.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The credential has expired; the host may refresh it and try again.
    AuthExpired,
    /// The credential was taken back; a person must reconnect.
    AuthRevoked,
    /// The credential lacks these scopes.
    MissingScopes(Vec<String>),
    /// The service asks to wait this many milliseconds, if it said how long.
    RateLimited(Option<u64>),
    /// Worth another try.
    Transient(String),
    /// The input is wrong; never retried.
    InvalidInput(Vec<FieldProblem>),
    /// The thing that was asked for does not exist.
    NotFound(String),
    /// The thing is in a state that does not allow this.
    Conflict(String),
    /// The service refused.
    Remote {
        /// The HTTP status, 100 to 599.
        status: u16,
        /// What the service said, shortened; never a secret.
        message: String,
    },
    /// Will fail the same way every time.
    Permanent(String),
    /// A failure with a code of the connector's own; never retried.
    Other {
        /// A stable name in kebab-case.
        code: String,
        /// Details for the person who reads the run.
        details: Value,
    },
}

impl Error {
    /// Worth another try: `what` happened.
    pub fn transient(what: impl fmt::Display) -> Self {
        Self::Transient(what.to_string())
    }

    /// Will fail the same way every time: `what` happened.
    pub fn permanent(what: impl fmt::Display) -> Self {
        Self::Permanent(what.to_string())
    }

    /// The input field at the JSON Pointer `path` takes `expected`, and held `got`.
    pub fn invalid_input(path: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::InvalidInput(vec![FieldProblem {
            path: path.to_owned(),
            expected: expected.to_string(),
            got: got.to_string(),
        }])
    }

    /// `what` does not exist.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::NotFound(what.to_string())
    }

    /// `what` is in a state that does not allow this.
    pub fn conflict(what: impl fmt::Display) -> Self {
        Self::Conflict(what.to_string())
    }

    /// The service refused with `status`, saying `message`.
    pub fn remote(status: u16, message: impl fmt::Display) -> Self {
        Self::Remote { status, message: message.to_string() }
    }

    /// The credential lacks `scopes`.
    pub fn missing_scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self::MissingScopes(scopes.into_iter().map(Into::into).collect())
    }

    /// A failure with a kebab-case `code` of the connector's own.
    pub fn other(code: &str, details: Value) -> Self {
        Self::Other { code: code.to_owned(), details }
    }

    /// The case's name, as the contract and run records write it: `rate-limited`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AuthExpired => "auth-expired",
            Self::AuthRevoked => "auth-revoked",
            Self::MissingScopes(_) => "missing-scopes",
            Self::RateLimited(_) => "rate-limited",
            Self::Transient(_) => "transient",
            Self::InvalidInput(_) => "invalid-input",
            Self::NotFound(_) => "not-found",
            Self::Conflict(_) => "conflict",
            Self::Remote { .. } => "remote",
            Self::Permanent(_) => "permanent",
            Self::Other { .. } => "other",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthExpired => f.write_str("the credential has expired"),
            Self::AuthRevoked => f.write_str("the service no longer accepts the credential"),
            Self::MissingScopes(scopes) => write!(f, "the credential lacks the scopes {}", scopes.join(", ")),
            Self::RateLimited(Some(wait_ms)) => write!(f, "the service asks to wait {wait_ms} ms"),
            Self::RateLimited(None) => f.write_str("the service asks to slow down"),
            Self::Transient(message) | Self::NotFound(message) | Self::Conflict(message) | Self::Permanent(message) => {
                f.write_str(message)
            }
            Self::InvalidInput(fields) => fields.iter().enumerate().try_for_each(|(index, field)| {
                let gap = if index > 0 { "; " } else { "" };
                write!(f, "{gap}{} expects {}, got {}", field.path, field.expected, field.got)
            }),
            Self::Remote { status, message } => write!(f, "the service answered {status}: {message}"),
            Self::Other { code, details } => write!(f, "{code}: {details}"),
        }
    }
}

impl std::error::Error for Error {}
