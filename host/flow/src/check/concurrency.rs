//! How a flow's runs go beside one another, and how long ended ones are kept.

use model::Problem;

use super::names::Names;
use super::read::Fields;
use super::report::{Report, wrong};
use super::shape::Shape;
use super::tree::Node;
use super::values;
use crate::plan::{Concurrency, Tables};
use crate::template::{self, Reference, Template};

/// More runs at once than the host has workers limit nothing.
const MOST_MAX: u32 = 1_000;
/// Ten years: longer is an archive's matter.
const KEEP_MS_MAX: u64 = 3_650 * 86_400_000;
/// The host looks for old runs once a minute.
const KEEP_MS_MIN: u64 = 60_000;

/// The values that a key may have: what has one form as text.
const KEY_TYPES: [&str; 4] = ["string", "integer", "number", "boolean"];

/// A mode as documents write it.
#[derive(Clone, Copy)]
enum Mode {
    Parallel,
    Limited,
    Sequential,
}

/// `concurrency: { mode: limited, most: 5 }`, or `{ mode: sequential, key: "{{ trigger.id }}" }`
pub(super) fn concurrency(fields: &Fields<'_>, event: &Shape, tables: &Tables, report: &mut Report<'_>) -> Concurrency {
    let node = fields.get("concurrency");
    let Some(fields) = node.and_then(|node| Fields::of(node, "concurrency", report)) else {
        return Concurrency::Parallel;
    };
    fields.only(&["mode", "most", "key"], report);
    fields.required("mode", "parallel, limited or sequential", report);
    let modes = [("parallel", Mode::Parallel), ("limited", Mode::Limited), ("sequential", Mode::Sequential)];
    let Some(mode) = fields.choice("mode", &modes, report) else { return Concurrency::Parallel };
    if let (Some(node), Mode::Parallel | Mode::Sequential) = (fields.get("most"), mode) {
        let problem = Problem::new("needless-most", "only runs that are limited have a number of their own");
        report.add(node, "concurrency.most", problem.fix("remove it, or write mode: limited"));
    }
    if let (Some(node), Mode::Parallel | Mode::Limited) = (fields.get("key"), mode) {
        let problem = Problem::new("needless-key", "only runs that go one after the other have a key");
        report.add(node, "concurrency.key", problem.fix("remove it, or write mode: sequential"));
    }
    match mode {
        Mode::Parallel => Concurrency::Parallel,
        Mode::Limited => {
            fields.required("most", "how many runs at once", report);
            most(&fields, report).map_or(Concurrency::Parallel, |most| Concurrency::Limited { most })
        }
        Mode::Sequential => {
            Concurrency::Sequential { key: fields.get("key").map(|node| key(node, event, tables, report)) }
        }
    }
}

/// An expression over the event, made before any step.
fn key(node: &Node, event: &Shape, tables: &Tables, report: &mut Report<'_>) -> Template {
    let field = "concurrency.key";
    let template = Template::new(node.to_json());
    let references = match template.node() {
        Ok(template::Node::Whole(expression)) => expression.references.clone(),
        Ok(template::Node::Text(pieces)) => pieces.iter().flat_map(references).cloned().collect(),
        Ok(template::Node::Constant(_) | template::Node::List(_) | template::Node::Object(_)) => {
            let problem = Problem::new("constant-key", "the key is the same for all runs, or none");
            report.add(node, field, problem.fix("write an expression: \"{{ trigger.customer }}\"; or leave key out"));
            return template;
        }
        // The fault is told below.
        Err(_) => Vec::new(),
    };
    if references.iter().any(|reference| reference.path.root() == "steps") {
        let problem = Problem::new("step-in-key", "the key is made before any step has an output");
        report.add(node, field, problem.fix("read trigger, run, flow or env"));
        return template;
    }
    let names = Names { tables: tables.clone(), ..Names::of(event.clone(), Vec::new()) };
    let made = values::read(node, field, &names, report);
    let types = made.shape.types(&[]);
    if types.is_some_and(|types| !types.iter().any(|kind| KEY_TYPES.contains(&kind.as_str()))) {
        report.add(node, field, wrong("key", "a text, a number, true or false", node));
    }
    made.template
}

fn references(piece: &template::Piece) -> &[Reference] {
    match piece {
        template::Piece::Literal(_) => &[],
        template::Piece::Expression(expression) => &expression.references,
    }
}

fn most(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<u32> {
    let node = fields.get("most")?;
    let found = node.to_json().as_u64().and_then(|count| u32::try_from(count).ok());
    let fits = found.filter(|count| (1..=MOST_MAX).contains(count));
    if fits.is_none() {
        report.add(node, "concurrency.most", wrong("most", &format!("a number from 1 to {MOST_MAX}"), node));
    }
    fits
}

/// `retention: { keep: 30d }`, in milliseconds.
pub(super) fn retention(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<u64> {
    let fields = Fields::of(fields.get("retention")?, "retention", report)?;
    fields.only(&["keep"], report);
    let node = fields.required("keep", "a time such as 30d", report)?;
    let keep_ms = fields.duration("keep", KEEP_MS_MAX, report)?;
    if keep_ms < KEEP_MS_MIN {
        report.add(node, "retention.keep", wrong("keep", "at least 1m", node));
        return None;
    }
    Some(keep_ms)
}
