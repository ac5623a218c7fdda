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
    /// Nobody knows whether an effect without idempotency took place.
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
            Self::AuthExpired => {
                Problem::new("auth-expired", "the remote says that the credential has expired").fix(NEW_CREDENTIAL)
            }
            Self::AuthRevoked => Problem::new("auth-revoked", "the remote refused the credential, or asks for one")
                .cause("the credential was revoked, replaced or mistyped, or the call was made without a connection")
                .fix(NEW_CREDENTIAL),
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
                .fix("see whether the remote service is up and reachable; then replay the run, or call again"),
            Self::InvalidInput { fields } => Problem::new("invalid-input", join(fields))
                .fix("correct the input: the step's in the flow, or that of the call made by hand"),
            Self::NotFound { message } => Problem::new("not-found", message)
                .cause("it was deleted or renamed, its address is wrong, or the account may not see it")
                .fix("compare the address and the names in the input with what is there, and what the account may see"),
            Self::Conflict { message } => Problem::new("conflict", message)
                .cause("it exists already, or has changed since it was read")
                .fix("look at what is there now; then change the input, or do without the call"),
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
                    problem.fix(format!(
                        "if the connector is trusted with more, raise {which} in the plugin's grant, and in the ceiling where \
                         that gives less"
                    ))
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
            Self::Expression { field, message } => {
                Problem::new("expression", message).fix(mend_expression(field)).field(field.clone())
            }
            Self::Stopped { reason } => Problem::new("stopped", reason).cause("a step of the flow ends it this way"),
            Self::TimedOut { message } => Problem::new("timed-out", message)
                .fix("see who or what it waited for; allow more time in the flow, then replay the run"),
            Self::MayHaveHappened { message } => {
                Problem::new("may-have-happened", message).cause(NO_ANSWER).fix(LOOK_WHETHER)
            }
            Self::Unavailable { problem } => problem.clone(),
        }
    }
}

/// True of calls with a connection, and of those made without one.
const NEW_CREDENTIAL: &str = "give the connection another credential: \
     sluice connection update CONNECTION --secret-file FILE; a call made without a connection needs one";

/// True of every way in which an answer is lost.
const NO_ANSWER: &str = "the answer never came, or could not be kept: the remote failed, closed the connection or was \
     too slow, the connector broke off, or the host stopped meanwhile";

/// What to do about an effect that may have happened.
const LOOK_WHETHER: &str = "look at the remote service whether it took effect. If it did: \
     sluice dead happened RUN --output 'JSON', with what the call would have returned. If it did not: \
     sluice dead replay RUN --yes-repeat. To leave it: sluice dead discard RUN";

fn mend_expression(field: &str) -> String {
    format!(
        "see the values it read with sluice run show RUN; then mend {field} in the flow, and where a value may be \
         absent, give a default: {{{{ x | default(0) }}}}"
    )
}

fn join(fields: &[FieldProblem]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_must_mend_says_why_and_how() {
        let message = || "no such user".to_owned();
        for failure in [
            Failure::NotFound { message: message() },
            Failure::Conflict { message: message() },
            Failure::AuthRevoked,
            Failure::Transient { message: message() },
            Failure::MayHaveHappened { message: message() },
        ] {
            let problem = failure.to_problem();
            assert!(problem.cause.is_some() && problem.fix.is_some(), "{problem}");
        }
    }

    #[test]
    fn an_expression_that_failed_says_where_and_how_to_mend_it() {
        let failure = Failure::Expression { field: "steps.a.input.text".to_owned(), message: "no".to_owned() };
        let fix = failure.to_problem().fix.expect("a fix");
        assert!(fix.contains("mend steps.a.input.text in the flow"), "{fix}");
        assert!(fix.contains("{{ x | default(0) }}"), "{fix}");
    }

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
