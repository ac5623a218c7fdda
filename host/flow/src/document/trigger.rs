//! What starts a flow, as types for its published JSON Schema.

use std::collections::BTreeMap;

use model::{ConnectionId, OperationRef, Webhook};
use schemars::JsonSchema;
use serde_json::Value;

use super::Duration;
use crate::plan::Start;
use crate::schedule::Missed;

/// What starts a flow.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) enum Trigger {
    Connector(ConnectorTrigger),
    Webhook(WebhookTrigger),
    Schedule(ScheduleTrigger),
    Manual(ManualTrigger),
    Call(CallTrigger),
}

/// A connector's trigger.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) struct ConnectorTrigger {
    /// Which: `github/issue`.
    uses: OperationRef,
    /// As which account; its webhook secret verifies deliveries.
    connection: Option<ConnectionId>,
    /// Its configuration; no expressions.
    config: Option<BTreeMap<String, Value>>,
    /// Deliveries go to an address that cannot be guessed; `sluice flow show` has it.
    hook_token: Option<bool>,
    /// Whether the connector sets up its webhook at the service itself; it does when it
    /// can, unless this says false.
    subscribe: Option<bool>,
    /// How the host asks for events, for triggers that are polled.
    poll: Option<PollKey>,
    /// Answer deliveries with the flow's output.
    respond: Option<Respond>,
}

/// How often the host asks, and from where on.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct PollKey {
    /// The time between two polls, at most `7d`; as the connector declares when absent.
    every: Option<Duration>,
    /// Where the first poll begins; `now` when absent.
    from: Option<Start>,
}

/// Deliveries of any sender; the body is the event.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) struct WebhookTrigger {
    /// How deliveries are verified and named.
    webhook: Webhook,
    /// The connection whose webhook secret verifies deliveries.
    connection: ConnectionId,
    /// JSON Schema of the events.
    event: Option<Value>,
    /// Deliveries go to an address that cannot be guessed; `sluice flow show` has it.
    hook_token: Option<bool>,
    /// Answer deliveries with the flow's output.
    respond: Option<Respond>,
}

/// Started by the host, at times of its own.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) struct ScheduleTrigger {
    schedule: ScheduleKind,
}

/// When: exactly one of `cron` and `every`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum ScheduleKind {
    Cron(CronSchedule),
    Every(EverySchedule),
}

/// Times of the calendar.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct CronSchedule {
    /// Minute, hour, day of the month, month, weekday: `0 9 * * mon-fri`. A local
    /// time that does not exist fires at the end of the gap; one that exists twice
    /// fires the first time. With `*` as the hour, the hours that pass count.
    cron: String,
    /// The IANA time zone in which the hours are meant; `UTC` when absent.
    zone: Option<String>,
    /// What becomes of times at which no host was there; `once` when absent.
    missed: Option<Missed>,
}

/// A steady interval, counted from when the flow was published.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct EverySchedule {
    /// From `1s` to `366d`.
    every: Duration,
    /// The IANA time zone that events tell their local time in; `UTC` when absent.
    zone: Option<String>,
    /// What becomes of times at which no host was there; `once` when absent.
    missed: Option<Missed>,
}

/// Started by a person, or through the API.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) struct ManualTrigger {
    manual: Manual,
}

/// What a person gives.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Manual {
    /// JSON Schema of the input.
    input: Option<Value>,
}

/// Started by a step of another flow.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) struct CallTrigger {
    call: Callable,
}

/// What the caller gives and gets.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Callable {
    /// JSON Schema of the input.
    input: Option<Value>,
    /// JSON Schema of the output; fields it does not name are not returned.
    output: Option<Value>,
    /// True: it only reads and computes, which is checked.
    function: Option<bool>,
}

/// Synchronous mode.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Respond {
    /// How long the sender is kept waiting at most: `10s`.
    within: Duration,
}
