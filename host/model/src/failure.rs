//! Why a call of a connector failed, as the engine acts on it and people read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::LimitsPart;
use crate::name::Scope;
use crate::problem::Problem;

/// One thing wrong with one field of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    /// JSON Pointer (RFC 6901), `""` for the whole value.
    pub path: String,
    /// What the field takes.
    pub expected: String,
    /// What was there; never a secret.
    pub got: String,
}

impl std::fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("the value");
        write!(f, "{name} expects {}, got {}", self.expected, self.got)
    }
}

/// Why a call failed. The connector reports the cases up to `Other`; the later
/// ones only the host makes, and its record overrides what the connector claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Failure {
    /// The credential has expired.
    AuthExpired,
    /// The credential was taken back.
    AuthRevoked,
    /// The credential lacks scopes.
    MissingScopes {
        /// Those it lacks.
        scopes: Vec<Scope>,
    },
    /// The remote asks to wait.
    RateLimited {
        /// For how long, in milliseconds, if it said so.
        retry_after_ms: Option<u64>,
    },
    /// Worth another try.
    Transient {
        /// What happened.
        message: String,
    },
    /// The input is wrong.
    InvalidInput {
        /// Each field that is.
        fields: Vec<FieldProblem>,
    },
    /// What was asked for does not exist.
    NotFound {
        /// What.
        message: String,
    },
    /// What was asked for is in the wrong state.
    Conflict {
        /// Which.
        message: String,
    },
    /// The remote refused.
    Remote {
        /// Its HTTP status.
        status: u16,
        /// Its words, shortened.
        message: String,
    },
    /// Will fail the same way every time.
    Permanent {
        /// What happened.
        message: String,
    },
    /// A failure with a code of the connector's own.
    Other {
        /// In kebab-case.
        code: String,
        /// JSON for the reader of the run.
        details: serde_json::Value,
    },
    /// The policy refused something the call needed.
    PolicyDenied {
        /// The rule that decided, or that is missing.
        rule: String,
        /// What an administrator would change.
        fix: String,
    },
    /// The call reached a limit.
    LimitExceeded {
        /// Its name in grants: `wall_ms`, `memory_bytes`, ...
        which: String,
        /// Its value.
        limit: u64,
    },
    /// The connector broke: it trapped, or panicked.
    Crashed {
        /// What it last wrote to its error output, or the trap.
        message: String,
    },
    /// The connector answered something its manifest does not promise.
    InvalidOutput {
        /// Each field that breaks the promise.
        fields: Vec<FieldProblem>,
    },
    /// An expression of the flow could not be evaluated on the actual values.
    Expression {
        /// The field it stands in, such as `input.channel`.
        field: String,
        /// Why not.
        message: String,
    },
    /// The flow itself, or a person, ended the run as failed.
    Stopped {
        /// In their words.
        reason: String,
    },
    /// What was waited for did not come in time.
    TimedOut {
        /// What it was.
        message: String,
    },
    /// The host stopped while an effect without idempotency was under way.
    MayHaveHappened {
        /// What to look for at the remote.
        message: String,
    },
    /// The host cannot make the call: plugin not approved, connection gone, ...
    Unavailable {
        /// What is missing, why, and how to mend it.
        problem: Problem,
    },
}

/// What the engine does with a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again with backoff, while attempts are left.
    Retry,
    /// Try again when the remote's wait is over (milliseconds, if it said so).
    Wait(Option<u64>),
    /// Try once more at once; then wait until somebody gives the connection another
    /// credential.
    Reauthorise,
    /// Trying again cannot help: a person must act.
    GiveUp,
}

impl Failure {
    /// What the engine does with it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Transient { .. } | Self::Crashed { .. } => Remedy::Retry,
            Self::Remote { status, .. } if *status >= 500 => Remedy::Retry,
            Self::RateLimited { retry_after_ms } => Remedy::Wait(*retry_after_ms),
            Self::AuthExpired | Self::AuthRevoked => Remedy::Reauthorise,
            Self::MissingScopes { .. }
            | Self::InvalidInput { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Remote { .. }
            | Self::Permanent { .. }
            | Self::Other { .. }
            | Self::PolicyDenied { .. }
            | Self::LimitExceeded { .. }
            | Self::InvalidOutput { .. }
            | Self::Expression { .. }
            | Self::Stopped { .. }
            | Self::TimedOut { .. }
            | Self::MayHaveHappened { .. }
            | Self::Unavailable { .. } => Remedy::GiveUp,
        }
    }

    /// Whether the same, done again later, may succeed without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self.remedy(), Remedy::Retry | Remedy::Wait(_))
    }

    /// What a person reads: what happened, the likely cause, the fix.
    pub fn to_problem(&self) -> Problem {
        match self {
            Self::AuthExpired => Problem::new("auth-expired", "the credential of the connection has expired")
                .fix("give the connection another one: sluice connection update ID --secret-file FILE"),
            Self::AuthRevoked => {
                Problem::new("auth-revoked", "the remote no longer accepts the credential of the connection")
                    .cause("the token was revoked or replaced at the remote service")
                    .fix("give the connection another one: sluice connection update ID --secret-file FILE")
            }
            Self::MissingScopes { scopes } => {
                let scopes = scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(", ");
                Problem::new("missing-scopes", format!("the credential lacks the scopes {scopes}"))
                    .fix("grant these scopes at the remote service, then add the connection again")
            }
            Self::RateLimited { retry_after_ms } => Problem::new(
                "rate-limited",
                match retry_after_ms {
                    Some(wait) => format!("the remote asked to wait {wait} ms"),
                    None => "the remote asked to slow down".to_owned(),
                },
            ),
            Self::Transient { message } => Problem::new("transient", message)
                .cause("a passing fault at the remote or on the way to it")
                .fix("look whether the remote service is up and can be reached from this machine; then replay the run"),
            Self::InvalidInput { fields } => {
                Problem::new("invalid-input", join(fields)).fix("correct the step's input in the flow")
            }
            Self::NotFound { message } => Problem::new("not-found", message),
            Self::Conflict { message } => Problem::new("conflict", message),
            Self::Remote { status, message } => {
                Problem::new("remote", format!("the remote answered {status}: {message}"))
            }
            Self::Permanent { message } => Problem::new("permanent", message),
            Self::Other { code, details } => Problem::new(code, format!("{code}: {details}")),
            Self::PolicyDenied { rule, fix } => {
                Problem::new("policy-denied", format!("denied by policy: {rule}")).fix(fix)
            }
            Self::LimitExceeded { which, limit } => {
                let problem = Problem::new("limit-exceeded", format!("the call reached its limit {which} = {limit}"));
                if LimitsPart::can_raise(which, *limit) {
                    problem.fix(format!("raise {which} in the plugin's grant if the connector is trusted with more"))
                } else {
                    problem.cause("a fault in the connector; no grant gives more of this")
                }
            }
            Self::Crashed { message } => Problem::new("crashed", format!("the connector broke off: {message}"))
                .cause("a fault in the connector; it cannot harm its neighbours"),
            Self::InvalidOutput { fields } => {
                Problem::new("invalid-output", format!("the connector broke its own output schema: {}", join(fields)))
                    .cause("a fault in the connector, or a change at the remote service")
            }
            Self::Expression { field, message } => Problem::new("expression", message).field(field.clone()),
            Self::Stopped { reason } => Problem::new("stopped", reason).cause("a step of the flow ends it this way"),
            Self::TimedOut { message } => Problem::new("timed-out", message)
                .fix("see who or what it waited for; allow more time in the flow, then replay the run"),
            Self::MayHaveHappened { message } => Problem::new("may-have-happened", message)
                .cause("the host stopped after it had begun an effect that must not be repeated")
                .fix("look at the remote service whether it took effect; then replay the run or discard it"),
            Self::Unavailable { problem } => problem.clone(),
        }
    }
}

fn join(fields: &[FieldProblem]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_person_would_say_it() {
        let failure = Failure::InvalidInput {
            fields: vec![FieldProblem {
                path: "/due_date".into(),
                expected: "an ISO 8601 date".into(),
                got: "\"31/12\"".into(),
            }],
        };
        assert_eq!(failure.to_problem().what, "due_date expects an ISO 8601 date, got \"31/12\"");
        assert_eq!(failure.remedy(), Remedy::GiveUp);
        assert_eq!(Failure::Remote { status: 503, message: String::new() }.remedy(), Remedy::Retry);
        let text = serde_json::to_string(&failure).expect("plain data");
        assert_eq!(serde_json::from_str::<Failure>(&text).expect("round trip"), failure);
    }
}
