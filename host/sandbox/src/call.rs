//! One call of a connector: what goes in, what comes back. Plain data.

use egress::Session;
use model::{AccessRecord, Failure, Limits, OperationId};

use crate::log::LogLine;

/// One call.
#[derive(Debug)]
pub struct Call {
    /// What to do.
    pub work: Work,
    /// What the connector may know of the call.
    pub context: CallContext,
    /// How much it may use; from the authority of its session.
    pub limits: Limits,
    /// Its way out.
    pub session: Session,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Work {
    /// Perform an action.
    Invoke {
        /// The action.
        operation: OperationId,
        /// JSON that its input schema accepts.
        input: String,
    },
    /// Map a delivery to events.
    Receive {
        /// The trigger.
        trigger: OperationId,
        /// JSON that its config schema accepts.
        config: String,
        /// What was delivered.
        delivery: Delivery,
    },
    /// Test the connection and name its account.
    Check,
}

/// A delivery that the host has verified and kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Names in lower case, only those that the trigger declares.
    pub headers: Vec<(String, String)>,
    /// Without the question mark.
    pub query: String,
    /// Byte for byte.
    pub body: Vec<u8>,
}

/// What the connector may know of the call. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallContext {
    /// The flow, if one runs.
    pub flow: Option<String>,
    /// The run, if one does.
    pub run: Option<String>,
    /// The step.
    pub step: Option<String>,
    /// 1 for the first try.
    pub attempt: u32,
    /// The same for every try of one effect, and for nothing else.
    pub idempotency_key: String,
    /// `test`, `production`, ...
    pub environment: String,
    /// None: the operation needs no account.
    pub connection: Option<ContextConnection>,
}

/// What the connector may know of its connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContextConnection {
    /// As its owner named it.
    pub label: String,
    /// Where the service lives, for self-hosted services.
    pub base_url: Option<String>,
    /// The scopes that the credential holds.
    pub scopes: Vec<String>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The answer, or why there is none. Host and guest faults alike.
    pub outcome: Result<Answer, Failure>,
    /// Every decision on an access to the outside.
    pub accesses: Vec<AccessRecord>,
    /// What the connector wrote.
    pub log: Vec<LogLine>,
    /// Whether anything may have happened outside: a byte of a request may have
    /// left, or a granted file may have changed.
    pub sent: bool,
    /// From start to end.
    pub duration_us: u64,
    /// The most memory in use, in linear memories and tables.
    pub memory_bytes: u64,
}

/// A connector's answer, checked for form: its schema is for others to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of an action: a JSON document.
    Output(String),
    /// Of a trigger; at most 1,000.
    Events(Vec<Event>),
    /// Of a check: the account's name.
    Account(String),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Tells events of one delivery apart; none: its position.
    pub dedupe_key: Option<String>,
    /// A JSON document.
    pub payload: String,
}
