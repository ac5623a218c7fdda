//! `tables` of a document: what values stand for, for the filter `lookup`.

use std::collections::BTreeMap;

use model::Problem;
use serde_json::Value;

use super::read::Fields;
use super::report::{Report, suggest, wrong};
use super::tree::{Content, Node};
use crate::plan::Tables;
use crate::template::Lookup;

/// More are a service that flows ask.
const TABLES_MAX: usize = 50;
/// Of all tables together; they are part of every version of the flow.
const ROWS_MAX: usize = 5_000;

/// Reads `tables`.
pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Tables {
    let Some(node) = fields.get("tables") else { return Tables::default() };
    let Content::Object(entries) = &node.content else {
        report.add(node, "tables", wrong("tables", "an object of tables by their names", node));
        return Tables::default();
    };
    let mut tables = BTreeMap::new();
    for (name, node) in entries {
        let field = format!("tables.{name}");
        if let Content::Object(rows) = &node.content {
            let rows = rows.iter().map(|(key, node)| (key.clone(), constant(node, &format!("{field}.{key}"), report)));
            tables.insert(name.clone(), rows.collect::<BTreeMap<String, Value>>());
        } else {
            report.add(node, &field, wrong("a table", "an object: what each key stands for", node));
        }
    }
    let rows: usize = tables.values().map(BTreeMap::len).sum();
    if tables.len() > TABLES_MAX || rows > ROWS_MAX {
        let what = format!(
            "a flow has at most {TABLES_MAX} tables with {ROWS_MAX} keys in all, this one has {} with {rows}",
            tables.len()
        );
        report.add(
            node,
            "tables",
            Problem::new("too-many-rows", what).fix("keep such data in a file or a service, and read it in a step"),
        );
    }
    Tables::new(tables)
}

fn constant(node: &Node, field: &str, report: &mut Report<'_>) -> Value {
    let value = node.to_json();
    if value.to_string().contains("{{") {
        let problem = Problem::new("table-expression", "a table holds values, not expressions");
        report.add(node, field, problem.fix("write the value; compute with it where it is looked up"));
    }
    value
}

/// What is wrong with a look into a table.
pub(super) fn check(tables: &Tables, lookup: &Lookup) -> Option<Problem> {
    let names = || tables.names();
    let Some(name) = &lookup.table else {
        let problem = Problem::new("table-name", "the table of a lookup is named by a text, such as lookup('teams')");
        return Some(problem.fix("write the name in quotes"));
    };
    let Some(table) = tables.get(name) else {
        let problem = Problem::new("unknown-table", format!("the flow has no table {name:?}"));
        return Some(suggest(problem, name, names()));
    };
    let key = lookup.key.as_ref().filter(|key| !lookup.otherwise && !table.contains_key(*key))?;
    let problem = Problem::new("unknown-row", format!("table {name} has no key {key:?}"));
    Some(suggest(problem, key, table.keys().map(String::as_str)))
}
