//! The check at save: a document becomes a plan, or a list of every problem.
//!
//! Owns the reading of documents and everything that can be known before a run.
//! Refuses to know storage: connectors and connections come in by a trait.
//! Invariant: a plan that comes out needs no check again.

mod accounts;
mod branches;
mod callable;
mod calls;
mod concurrency;
mod errors;
mod flows;
mod loops;
mod names;
mod pauses;
mod polled;
mod read;
mod report;
mod schedule;
mod shape;
mod steps;
mod tables;
mod testing;
mod tree;
mod trigger;
mod values;

use std::collections::BTreeMap;

use model::{FlowId, Problem, Team};

use crate::operations::Operations;
use crate::plan::{Plan, Step};
use crate::testing::Test;
use names::Names;
use read::Fields;
use report::{Report, wrong};
use steps::Steps;
use tree::{Content, Node};
use trigger::Started;

pub use flows::check_calls;
pub use read::duration_ms;
pub(crate) use read::show_duration;

/// The document's format that this host reads.
const VERSION: u64 = 1;
const KEYS: [&str; 15] = [
    "version",
    "id",
    "name",
    "purpose",
    "owner",
    "team",
    "tags",
    "concurrency",
    "retention",
    "trigger",
    "steps",
    "output",
    "on_error",
    "tables",
    "tests",
];

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON when it begins with a brace, else YAML.
    #[default]
    Auto,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Reads and checks a flow document. `file_name` is used in messages only.
///
/// # Errors
/// Every problem of the document, at most 100, in the order of the document. The
/// field of each is its path, followed by ` (file:line)` when the line is known.
pub fn check(text: &str, format: Format, file_name: &str, operations: &dyn Operations) -> Result<Plan, Vec<Problem>> {
    check_with_tests(text, format, file_name, operations).map(|(plan, _)| plan)
}

/// The same, with the tests that the document holds, in its order.
///
/// # Errors
/// As [`check`].
pub fn check_with_tests(
    text: &str,
    format: Format,
    file_name: &str,
    operations: &dyn Operations,
) -> Result<(Plan, Vec<Test>), Vec<Problem>> {
    let document = tree::parse(text, format, file_name).map_err(|problem| vec![problem])?;
    let mut report = Report::new(file_name);
    let read = Fields::of(&document, "", &mut report).and_then(|fields| {
        let plan = read_flow(&fields, operations, &mut report)?;
        let mut reading = testing::Reading { plan: &plan, operations, report: &mut report };
        let tests = fields.get("tests").map(|node| reading.tests(node)).unwrap_or_default();
        Some((plan, tests))
    });
    match read {
        Some(read) if report.len() == 0 => Ok(read),
        Some(_) | None => Err(report.into_problems()),
    }
}

fn read_flow(fields: &Fields<'_>, operations: &dyn Operations, report: &mut Report<'_>) -> Option<Plan> {
    fields.only(&KEYS, report);
    version(fields, report);
    fields.required("id", "a name such as alert-on-bug", report);
    let id: Option<FlowId> = fields.name("id", report);
    fields.required("name", "what people call it", report);
    let name = fields.text("name", report);
    let purpose = fields.text("purpose", report);
    let owner = fields.text("owner", report);
    let team: Option<Team> = fields.name("team", report);
    let tags = tags(fields, report);
    let started = match fields.required("trigger", "what starts the flow", report) {
        Some(node) => trigger::read(node, operations, report),
        None => Started::unknown(),
    };
    let (respond, trigger, event) = (started.respond, started.trigger, started.event);
    let tables = tables::read(fields, report);
    let concurrency = concurrency::concurrency(fields, &event, &tables, report);
    let keep_ms = concurrency::retention(fields, report);
    let steps_node = fields.required("steps", "a list of steps", report);
    let mut steps = Steps {
        operations,
        report,
        names: Names { tables, ..Names::of(event, ids([steps_node, fields.get("on_error")])) },
        steps: Vec::new(),
        concurrent: false,
        failing: false,
        own: id.clone(),
    };
    let block = steps_node.map(|node| steps.block(node, "steps", 0)).unwrap_or_default();
    steps.names.current = None;
    let output = fields.get("output").map(|node| (values::read(node, "output", &steps.names, steps.report), node));
    let on_error = fields.get("on_error").map(|node| steps.flow_error(node));
    let Steps { report, mut steps, names: Names { tables, .. }, .. } = steps;
    callable::check_output(output.as_ref().map(|(made, node)| (made, *node)), trigger.as_ref(), report);
    block.link(None, &mut steps);
    let on_error = on_error.and_then(|block| {
        block.link(None, &mut steps);
        block.first()
    });
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let first = block.first();
    let plan = Plan {
        version: 1,
        id: id?,
        name: name?,
        purpose,
        owner,
        team,
        tags,
        concurrency,
        keep_ms,
        trigger: trigger?,
        respond,
        first,
        steps,
        output: output.map(|(made, _)| made.template),
        on_error,
        locked: BTreeMap::new(),
        tables,
    };
    callable::check_function(&plan, fields.node, operations, report);
    Some(plan)
}

fn version(fields: &Fields<'_>, report: &mut Report<'_>) {
    let Some(node) = fields.required("version", "1", report) else { return };
    if node.to_json().as_u64() != Some(VERSION) {
        let problem = wrong("version", "1", node).cause("the document was written for another release, or by mistake");
        report.add(node, "version", problem.fix("write version: 1"));
    }
}

fn tags(fields: &Fields<'_>, report: &mut Report<'_>) -> Vec<String> {
    let Some(node) = fields.get("tags") else { return Vec::new() };
    let Content::List(items) = &node.content else {
        report.add(node, "tags", wrong("tags", "a list of texts", node));
        return Vec::new();
    };
    items
        .iter()
        .enumerate()
        .filter_map(|(at, item)| read::text(item, "a tag", &format!("tags[{at}]"), report))
        .collect()
}

/// Every step id of the document, branches included.
fn ids<'n>(lists: impl IntoIterator<Item = Option<&'n Node>>) -> Vec<String> {
    let mut found = Vec::new();
    lists.into_iter().for_each(|steps| collect_ids(steps, &mut found));
    found
}

fn collect_ids(steps: Option<&Node>, found: &mut Vec<String>) {
    let Some(Node { content: Content::List(items), .. }) = steps else { return };
    for item in items {
        let Content::Object(fields) = &item.content else { continue };
        let get = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, node)| node);
        if let Some(Node { content: Content::Text(id), .. }) = get("id") {
            found.push(id.clone());
        }
        for inner in ["then", "else", "default", "steps"] {
            collect_ids(get(inner), found);
        }
        if let Some(Node { content: Content::Object(fields), .. }) = get("on_error") {
            collect_ids(fields.iter().find(|(key, _)| key == "steps").map(|(_, node)| node), found);
        }
        let Some(Node { content: Content::List(cases), .. }) = get("cases") else { continue };
        for case in cases {
            let Content::Object(fields) = &case.content else { continue };
            collect_ids(fields.iter().find(|(key, _)| key == "steps").map(|(_, node)| node), found);
        }
    }
}
