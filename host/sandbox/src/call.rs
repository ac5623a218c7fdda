//! One call of a connector: what goes in, what comes back. Plain data.

use std::sync::Arc;

use egress::Session;
use model::{AccessRecord, Failure, FieldId, OperationId};

use crate::log::LogLine;
use crate::services::Services;

/// One call.
#[derive(Debug)]
pub struct Call {
    /// What to do.
    pub work: Work,
    /// What the connector may know of the call.
    pub context: CallContext,
    /// Its way out, and how much it may use.
    pub session: Arc<Session>,
    /// What the host does for it beside.
    pub services: Services,
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
    /// Ask a trigger what happened.
    Poll {
        /// The trigger.
        trigger: OperationId,
        /// JSON that its config schema accepts.
        config: String,
        /// From where to look.
        from: Position,
    },
    /// Set up the webhook of a trigger.
    Subscribe {
        /// The trigger.
        trigger: OperationId,
        /// JSON that its config schema accepts.
        config: String,
        /// Where deliveries shall go.
        callback: Callback,
    },
    /// Prolong or mend a webhook.
    Renew {
        /// The trigger.
        trigger: OperationId,
        /// JSON that its config schema accepts.
        config: String,
        /// Where deliveries shall go.
        callback: Callback,
        /// As the connector answered when it was set up.
        handle: String,
    },
    /// Take a webhook away.
    Unsubscribe {
        /// The trigger.
        trigger: OperationId,
        /// JSON that its config schema accepts.
        config: String,
        /// As the connector answered when it was set up.
        handle: String,
    },
    /// Values to choose from in a form.
    Choices {
        /// One that the manifest lists under discovery.
        field: FieldId,
        /// JSON: the fields that are filled in so far.
        config: String,
        /// What the person has typed.
        query: String,
        /// The `next` of the page before.
        page: Option<String>,
    },
    /// Fields that the account has beyond the usual ones.
    Fields {
        /// One that the manifest lists under discovery.
        object: FieldId,
        /// JSON: the fields that are filled in so far.
        config: String,
    },
    /// Carry stored configuration to this version.
    Migrate {
        /// The action or trigger.
        operation: OperationId,
        /// JSON that the earlier version took.
        config: String,
        /// Semantic version of the connector that it was written for.
        from_version: String,
    },
}

/// From where a poll looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The first poll of a flow that wants what is yet to come.
    Now,
    /// The first poll of a flow that wants everything there is.
    Beginning,
    /// Where the page before ended: its cursor.
    After(String),
}

/// Where deliveries shall go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The address of the flow's webhook.
    pub url: String,
    /// The reference under which the session lends the host-made secret
    /// (`egress::Lent`); none: there is no secret.
    pub secret: Option<String>,
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
    /// Of a poll.
    Page(Page),
    /// Of a subscription made or renewed.
    Subscribed(Subscribed),
    /// Of a subscription taken away.
    Unsubscribed,
    /// Of a field.
    Choices(ChoicePage),
    /// Of an object: a JSON document, the schema of its own fields.
    Fields(String),
    /// Of a migration: a JSON document.
    Config(String),
}

impl Answer {
    /// The output of an action.
    ///
    /// # Errors
    /// When it answers something else: two calls were mixed up.
    pub fn into_output(self) -> Result<String, Failure> {
        let Self::Output(output) = self else { return Err(mixed_up()) };
        Ok(output)
    }

    /// The events of a delivery.
    ///
    /// # Errors
    /// As [`Self::into_output`].
    pub fn into_events(self) -> Result<Vec<Event>, Failure> {
        let Self::Events(events) = self else { return Err(mixed_up()) };
        Ok(events)
    }

    /// What a poll found.
    ///
    /// # Errors
    /// As [`Self::into_output`].
    pub fn into_page(self) -> Result<Page, Failure> {
        let Self::Page(page) = self else { return Err(mixed_up()) };
        Ok(page)
    }

    /// The webhook that was set up or prolonged.
    ///
    /// # Errors
    /// As [`Self::into_output`].
    pub fn into_subscribed(self) -> Result<Subscribed, Failure> {
        let Self::Subscribed(subscribed) = self else { return Err(mixed_up()) };
        Ok(subscribed)
    }
}

fn mixed_up() -> Failure {
    Failure::Permanent { message: "the sandbox mixed up two calls".to_owned() }
}

/// What a poll found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most 1,000.
    pub items: Vec<Item>,
    /// Where the next poll goes on; at most 128 KiB.
    pub cursor: String,
    /// Whether there is more already.
    pub more: bool,
}

/// One thing that a poll found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The same whenever it is found again; 1 to 512 bytes.
    pub dedupe_key: String,
    /// Its place among the others, by bytes; 1 to 512 bytes.
    pub order_key: String,
    /// A JSON document.
    pub payload: String,
}

/// A webhook that the connector has set up at the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// What finds it again; 1 to 4,096 bytes.
    pub handle: String,
    /// When the service ends it by itself, in milliseconds since 1970-01-01 UTC.
    pub expires_ms: Option<u64>,
}

/// Values to choose from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChoicePage {
    /// At most 1,000.
    pub choices: Vec<Choice>,
    /// Asks for the page after this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A value to choose.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Choice {
    /// What goes into the field.
    pub value: String,
    /// What people read: one line.
    pub label: String,
    /// What helps to tell it from others: one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Tells events of one delivery apart; none: its position.
    pub dedupe_key: Option<String>,
    /// A JSON document.
    pub payload: String,
}
