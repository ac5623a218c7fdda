//! The document people write, as types for its published JSON Schema, and its limits.
//!
//! The check reads documents by hand, to report every problem at once; a test holds
//! the two together.

mod testing;

use std::collections::BTreeMap;

use model::{ConnectionId, FlowId, OperationRef, StepId, Team, Webhook};
use schemars::JsonSchema;
use serde_json::Value;

use crate::plan::Start;
use crate::schedule::Missed;

/// A flow that needs more is several flows.
pub const STEPS_MAX: usize = 200;
/// Branches within branches; deeper ones nobody can read.
pub const NESTING_MAX: usize = 10;
/// Items of one loop. Each costs a commit or two, and the run's history must stay
/// readable; a longer list is several runs.
pub const ITEMS_MAX: usize = 10_000;
/// Items of one loop under way at once. More would be a load test of the remote.
pub const CONCURRENCY_MAX: u32 = 50;
/// Two hundred steps with long texts fit well.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The JSON Schema of flow documents.
pub fn schema() -> Value {
    schemars::schema_for!(Document).to_value()
}

/// A flow: one trigger and steps. Texts may hold {{ expressions }} where noted.
#[derive(JsonSchema)]
#[schemars(title = "Flow", deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Document {
    /// The format.
    #[schemars(range(min = 1, max = 1))]
    version: u32,
    /// The flow's name for programs, unique in the host.
    id: FlowId,
    /// The flow's name for people.
    name: String,
    /// What it is for, in a sentence.
    purpose: Option<String>,
    /// Who answers for it.
    owner: Option<String>,
    /// The team it belongs to.
    team: Option<Team>,
    /// Words to find it by.
    tags: Option<Vec<String>>,
    /// How its runs go beside one another.
    concurrency: Option<Concurrency>,
    /// How long its ended runs are kept.
    retention: Option<Retention>,
    /// What starts it.
    trigger: Trigger,
    /// What it does, in order.
    #[schemars(length(max = 200))]
    steps: Vec<Step>,
    /// The run's result; texts may hold expressions.
    output: Option<Value>,
    /// Steps executed once when the run fails; they read `error.code`,
    /// `error.message` and `error.step`.
    on_error: Option<Vec<Step>>,
    /// What values stand for, for the filter `lookup`: by the table's name, then by key.
    tables: Option<BTreeMap<String, BTreeMap<String, Value>>>,
    /// Samples with what is expected of them, for `sluice flow test`.
    tests: Option<Vec<testing::Test>>,
}

/// What a step's failure does.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum OnError {
    Word(OnErrorWord),
    Steps(ErrorSteps),
}

/// What a step's failure does, in a word.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "published as a schema, never made")]
enum OnErrorWord {
    /// Ends the run as failed.
    Fail,
    /// Leaves the failure in `steps.<id>.error` and goes on.
    Continue,
}

/// Steps executed when the step fails; the flow goes on behind it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct ErrorSteps {
    /// They read `steps.<id>.error`.
    steps: Vec<Step>,
}

/// How runs go beside one another: `{ mode: limited, most: 5 }`, or one after the other:
/// `{ mode: sequential, key: "{{ trigger.customer }}" }`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Concurrency {
    /// In parallel, limited, or one after the other.
    mode: ConcurrencyMode,
    /// How many, when limited; those that wait for a time or a person do not count.
    #[schemars(range(min = 1, max = 1000))]
    most: Option<u32>,
    /// An expression over the event, when sequential: runs that have the same value go
    /// one after the other, others beside them. All runs form one line when absent.
    key: Option<String>,
}

/// How a flow's runs go beside one another.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "published as a schema, never made")]
enum ConcurrencyMode {
    /// As many as the host has workers for.
    Parallel,
    /// At most so many are worked on.
    Limited,
    /// Each begins when the one before it has ended, in the order in which their events
    /// were accepted. One that waits is not over; one that gave up is.
    Sequential,
}

/// How long ended runs are kept.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Retention {
    /// From a minute to ten years: `30d`.
    keep: Duration,
}

/// What starts a flow.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum Trigger {
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
struct ConnectorTrigger {
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
struct WebhookTrigger {
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
struct ScheduleTrigger {
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
struct ManualTrigger {
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
struct CallTrigger {
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

/// A whole number and a unit: `500ms`, `30s`, `5m`, `2h`, `1d`.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Duration(#[schemars(regex(pattern = "^[0-9]+(ms|s|m|h|d)$"))] String);

/// One step.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum Step {
    Action(ActionStep),
    If(IfStep),
    Switch(SwitchStep),
    Foreach(ForeachStep),
    Call(CallStep),
    Wait(WaitStep),
    Approve(ApproveStep),
    Transform(TransformStep),
    Stop(StopStep),
}

/// Calls an operation of a connector.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct ActionStep {
    /// The step's name, as expressions read it: `steps.post`.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step.
    when: Option<Condition>,
    /// Which operation: `slack/post-message`.
    uses: OperationRef,
    /// As which account.
    connection: Option<ConnectionId>,
    /// Its input; texts may hold expressions.
    input: Option<Value>,
    /// How often it is tried.
    retry: Option<Retry>,
    /// The longest one attempt may take.
    timeout: Option<Duration>,
    /// What its failure does.
    on_error: Option<OnError>,
}

/// An expression, or true or false.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum Condition {
    Expression(String),
    Constant(bool),
}

/// How often a call is tried.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Retry {
    /// Attempts in all; 5 when absent.
    #[schemars(range(min = 1, max = 20))]
    attempts: Option<u32>,
    /// The wait after the first attempt, which doubles; `1s` when absent.
    first: Option<Duration>,
    /// The longest wait, at most `1d`; `5m` when absent.
    most: Option<Duration>,
}

/// Goes one of two ways.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct IfStep {
    /// The step's name.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step with both branches.
    when: Option<Condition>,
    /// The expression that decides.
    r#if: Condition,
    /// The steps when it holds.
    then: Vec<Step>,
    /// The steps when it does not.
    r#else: Option<Vec<Step>>,
    /// What the condition's failure does.
    on_error: Option<OnError>,
}

/// Goes one of many ways.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct SwitchStep {
    /// The step's name.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step with all its cases.
    when: Option<Condition>,
    /// The expression that decides.
    switch: String,
    /// The ways; the first that is met is taken.
    #[schemars(length(min = 1, max = 50))]
    cases: Vec<Case>,
    /// The steps when no case is met.
    default: Option<Vec<Step>>,
    /// What the expression's failure does.
    on_error: Option<OnError>,
}

/// One way of a switch.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Case {
    /// The value that takes it, or a list of them; no expressions.
    is: Value,
    /// Its steps.
    steps: Vec<Step>,
}

/// Executes its steps for each item of a list. They read `item` and `loop.index`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct ForeachStep {
    /// The step's name.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the loop.
    when: Option<Condition>,
    /// The list, of at most 10,000 items.
    foreach: Value,
    /// Items under way at once; 1 when absent: one after the other.
    #[schemars(range(min = 1, max = 50))]
    concurrency: Option<u32>,
    /// Items that one execution takes together; `item` is a list then.
    #[schemars(range(min = 1, max = 1_000))]
    batch: Option<u32>,
    /// What an item's failure does; `fail` when absent.
    on_item_error: Option<OnItemError>,
    /// The steps for each item.
    steps: Vec<Step>,
    /// What each item leaves in `steps.<id>.outputs`; texts may hold expressions.
    output: Option<Value>,
    /// What the loop's failure does.
    on_error: Option<OnError>,
}

/// What an item's failure does.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "published as a schema, never made")]
enum OnItemError {
    /// Items already begun end, no further one begins, and the loop fails.
    Fail,
    /// The loop counts it and goes on.
    Continue,
}

/// Runs another flow, and waits for its end.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct CallStep {
    /// The step's name.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step.
    when: Option<Condition>,
    /// The flow, whose trigger is `call`.
    call: FlowId,
    /// Its input; texts may hold expressions.
    input: Option<Value>,
    /// The longest it may take; its run is cancelled then.
    timeout: Option<Duration>,
    /// What its failure does.
    on_error: Option<OnError>,
}

/// Waits.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct WaitStep {
    /// The step's name.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step.
    when: Option<Condition>,
    /// For what.
    wait: Wait,
    /// What its failure does.
    on_error: Option<OnError>,
}

/// What is waited for: exactly one of `for`, `until` and `event`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Wait {
    /// A time from now, at most `365d`.
    r#for: Option<Duration>,
    /// An instant as ISO 8601 with an offset; may hold expressions.
    until: Option<String>,
    /// An event's name: `invoice.paid`. Its payload is the step's output, or
    /// `timed_out: true`.
    event: Option<String>,
    /// Which of these events; may hold expressions.
    key: Option<String>,
    /// The longest the event is waited for.
    timeout: Option<Duration>,
}

/// Asks a person.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct ApproveStep {
    /// The step's name.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step.
    when: Option<Condition>,
    /// The question.
    approve: Approve,
    /// What its failure does.
    on_error: Option<OnError>,
}

/// A question to a person. The step's output is `outcome`, `by`, `at`, `comment`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Approve {
    /// Who may decide.
    role: String,
    /// The question in a line; may hold expressions.
    title: String,
    /// What there is to know; may hold expressions.
    message: Option<String>,
    /// The answers there are; `approve` and `reject` when absent.
    #[schemars(length(min = 1, max = 10))]
    outcomes: Option<Vec<String>>,
    /// The longest it is waited for.
    timeout: Option<Duration>,
    /// The answer when time is up; the step fails when absent.
    on_timeout: Option<String>,
}

/// Makes a value.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct TransformStep {
    /// The step's name, as expressions read it.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step.
    when: Option<Condition>,
    /// The value; texts may hold expressions.
    transform: Value,
    /// What its failure does.
    on_error: Option<OnError>,
}

/// Ends the run.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct StopStep {
    /// The step's name.
    id: StepId,
    /// What people read.
    label: Option<String>,
    /// An expression; false skips the step.
    when: Option<Condition>,
    /// How the run ends.
    stop: Stop,
}

/// How a run is ended.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Stop {
    /// In one word.
    outcome: StopOutcome,
    /// Why, for people; may hold expressions.
    reason: Option<String>,
    /// The run's result instead of the flow's `output`; texts may hold expressions.
    output: Option<Value>,
}

/// How a `stop` ends a run.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "published as a schema, never made")]
enum StopOutcome {
    Succeeded,
    Failed,
}
