//! The steps of a document, as types for its published JSON Schema.

use model::{ConnectionId, FlowId, OperationRef, StepId};
use schemars::JsonSchema;
use serde_json::Value;

use super::Duration;

/// One step.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) enum Step {
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
pub(super) struct ActionStep {
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
pub(super) struct IfStep {
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
pub(super) struct SwitchStep {
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
pub(super) struct ForeachStep {
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
pub(super) struct CallStep {
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
    /// How often it is run when it fails in a way that may pass; once when absent. Each
    /// try is a run of its own with new idempotency keys, so the flow, and those that it
    /// calls, may only read, compute, wait for a time, and make changes that are the same
    /// when made twice.
    retry: Option<Retry>,
    /// What its failure does.
    on_error: Option<OnError>,
}

/// Waits.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) struct WaitStep {
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
pub(super) struct ApproveStep {
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
    /// Who is asked to decide. The host tells it; it does not know people's roles, and takes
    /// the decision of whoever may use its administration.
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
pub(super) struct TransformStep {
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
pub(super) struct StopStep {
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
pub(super) enum StopOutcome {
    Succeeded,
    Failed,
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
