//! The document people write, as types for its published JSON Schema, and its limits.
//!
//! The check reads documents by hand, to report every problem at once; a test holds
//! the two together.

mod steps;
mod testing;
mod trigger;

use std::collections::BTreeMap;

use model::{FlowId, Team};
use schemars::JsonSchema;
use serde_json::Value;

use steps::Step;
use trigger::Trigger;

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

/// A whole number and a unit: `500ms`, `30s`, `5m`, `2h`, `1d`.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "published as a schema, never made")]
struct Duration(#[schemars(regex(pattern = "^[0-9]+(ms|s|m|h|d)$"))] String);
