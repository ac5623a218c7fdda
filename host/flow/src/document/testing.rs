//! `tests` of a document, as types for its published JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use super::steps::StopOutcome;

/// A test: what starts the flow, what the outside answers, what is expected. Nothing
/// in it is an expression.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
pub(super) struct Test {
    /// What it shows, in a few words; unique in the flow.
    name: String,
    /// `run.started_at`, as ISO 8601 with an offset; the first of 2026 when absent.
    started_at: Option<String>,
    /// The event. When absent: the sample of the connector, or a schedule's at
    /// `started_at`.
    trigger: Option<Value>,
    /// The sample, with these fields instead.
    sample_with: Option<BTreeMap<String, Value>>,
    /// What the outside answers, by step: `post`, or `post[1]` for the second item of
    /// a loop. Actions without an answer return their connector's sample.
    answers: Option<BTreeMap<String, Answers>>,
    /// What has to come of it; a run that succeeds, when absent.
    expect: Option<Expect>,
}

/// One answer to every attempt, or a list, attempt by attempt; the last one goes on.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum Answers {
    One(Box<Answer>),
    Attempts(Vec<Answer>),
}

/// What the outside answers: exactly one of `output`, `sample_with`, `failure`,
/// `decision`, `event` and `timeout`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Answer {
    /// What an operation or another flow returns.
    output: Option<Value>,
    /// The sample of an action's connector, with these fields instead.
    sample_with: Option<BTreeMap<String, Value>>,
    /// How it fails.
    failure: Option<Failure>,
    /// Whether anything may have left the host before an action failed; true when
    /// absent.
    sent: Option<bool>,
    /// What a person decides: one of the outcomes.
    decision: Option<String>,
    /// Who decides.
    by: Option<String>,
    /// What the person adds.
    comment: Option<String>,
    /// What comes with the event that is waited for.
    event: Option<Value>,
    /// True: nothing comes in time.
    timeout: Option<bool>,
}

/// A kind of failure in a word, or with what belongs to it.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum Failure {
    Kind(String),
    Whole(FailureFields),
}

/// `{ kind: remote, status: 503 }`
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct FailureFields {
    /// `not-found`, `transient`, `rate-limited`, ...
    kind: String,
    /// Of most kinds.
    message: Option<String>,
    /// Of `remote`.
    status: Option<u16>,
    /// Of `rate-limited`.
    retry_after_ms: Option<u64>,
    /// Of `other`.
    code: Option<String>,
    /// Of `other`.
    details: Option<Value>,
    /// Of `missing-scopes`.
    scopes: Option<Vec<String>>,
    /// Of `invalid-input`.
    fields: Option<Vec<Value>>,
}

/// What has to come of it; what is absent is not compared.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Expect {
    /// How the run ends; `succeeded` when absent, `failed` when there is `failure`.
    outcome: Option<StopOutcome>,
    /// Its result, whole.
    output: Option<Value>,
    /// A part of its result: objects may have more fields.
    output_has: Option<Value>,
    /// The code of the failure: `not-found`.
    failure: Option<String>,
    /// The step that ends it.
    step: Option<String>,
    /// What a `stop` gives as the reason.
    reason: Option<String>,
    /// Everything the run asks the outside for: steps that call, wait or ask a
    /// person, each in the order of its executions; no other step does.
    effects: Option<Vec<Effect>>,
    /// What becomes of steps, by `post` or `post[1]`.
    steps: Option<BTreeMap<String, StepKey>>,
}

/// A step's name, or what it asks as well.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum Effect {
    Step(String),
    Asks(EffectFields),
}

/// A step, what it asks, and how often.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct EffectFields {
    /// The step.
    step: String,
    /// Its input, whole; of an approval `role`, `title`, `message`, `outcomes`, of a
    /// wait `for`, `until`, or `event` and `key`.
    input: Option<Value>,
    /// A part of its input.
    has: Option<Value>,
    /// How often in a row; once when absent.
    #[schemars(range(min = 1, max = 10_000))]
    times: Option<u32>,
}

/// An outcome in a word, or an object.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "published as a schema, never made")]
enum StepKey {
    Outcome(StepOutcome),
    Fields(StepFields),
}

/// What becomes of a step.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "published as a schema, never made")]
enum StepOutcome {
    Succeeded,
    Failed,
    /// Failed, and the run went on.
    Continued,
    Skipped,
    NotReached,
    Cancelled,
}

/// What becomes of a step; inside a loop, of every item that is meant.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct StepFields {
    /// In a word.
    outcome: Option<StepOutcome>,
    /// Which way it goes: `then`, `else`, `case 1`, `default`, `on_error`.
    taken: Option<String>,
    /// Attempts in all.
    attempts: Option<u32>,
    /// What it leaves behind, whole.
    output: Option<Value>,
    /// A part of that.
    output_has: Option<Value>,
}
