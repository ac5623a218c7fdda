//! Templates of a document: their expressions against the names in scope, their
//! constants and plain references against a schema.

use std::collections::BTreeSet;

use model::{FieldProblem, Problem, Schema, type_words};
use serde_json::Value;

use super::names::Names;
use super::report::{Report, list, suggest};
use super::shape::{self, Found, Shape, compatible};
use super::tables;
use super::tree::{Content, Node, escape, unescape};
use crate::template::{Expression, Piece, Segment, Template, child};

/// A template that was read.
pub(super) struct Made {
    pub(super) template: Template,
    /// What is known of the value it will make.
    pub(super) shape: Shape,
    holes: Vec<Hole>,
}

/// A place of a template whose value is known only in a run.
struct Hole {
    /// JSON Pointer.
    pointer: String,
    /// The types it may have; None: any.
    types: Option<BTreeSet<String>>,
    /// What stands there, for messages.
    text: String,
}

/// Reads a template and reports what is wrong with its expressions.
pub(super) fn read(node: &Node, field: &str, names: &Names, report: &mut Report<'_>) -> Made {
    let mut reading = Reading { names, report, holes: Vec::new() };
    let shape = Shape(reading.visit(node, field, ""));
    Made { template: Template::new(node.to_json()), shape, holes: reading.holes }
}

/// Reads a condition: one whole expression, or true or false.
pub(super) fn read_condition(node: &Node, field: &str, names: &Names, report: &mut Report<'_>) -> Template {
    let made = read(node, field, names, report);
    let decides = match &node.content {
        Content::Bool(_) => true,
        Content::Text(_) => matches!(made.template.node(), Err(_) | Ok(crate::template::Node::Whole(_))),
        Content::Null | Content::Number(_) | Content::List(_) | Content::Object(_) => false,
    };
    if !decides {
        let what = format!("a condition is one expression, or true or false, got {}", node.words());
        let problem = Problem::new("no-condition", what);
        report.add(node, field, problem.fix("write the whole condition between one pair of braces: \"{{ a == b }}\""));
    }
    made.template
}

/// The references that a condition asks `is defined` of.
pub(super) fn guards(template: &Template) -> Vec<crate::template::Path> {
    match template.node() {
        Ok(crate::template::Node::Whole(expression)) => {
            expression.references.iter().filter(|reference| reference.guard).map(|guard| guard.path.clone()).collect()
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

struct Reading<'r, 'f> {
    names: &'r Names,
    report: &'r mut Report<'f>,
    holes: Vec<Hole>,
}

impl Reading<'_, '_> {
    /// Goes through a value; returns the schema of what it will be.
    fn visit(&mut self, node: &Node, field: &str, pointer: &str) -> Value {
        match &node.content {
            Content::Null | Content::Bool(_) | Content::Number(_) => shape::of_constant(&node.to_json()),
            Content::Text(text) => self.visit_text(node, text, field, pointer),
            Content::List(items) => {
                let items = items.iter().enumerate();
                shape::of_list(
                    items
                        .map(|(at, item)| self.visit(item, &format!("{field}[{at}]"), &format!("{pointer}/{at}")))
                        .collect(),
                )
            }
            Content::Object(fields) => {
                let mut schemas = Vec::new();
                for (name, item) in fields {
                    if name.contains("{{") {
                        let problem = Problem::new("key-expression", format!("the key {name:?} holds an expression"));
                        self.report.add(item, &child(field, name), problem.fix("expressions stand in values only"));
                    }
                    let schema = self.visit(item, &child(field, name), &format!("{pointer}/{}", escape(name)));
                    schemas.push((name.clone(), schema));
                }
                shape::of_object(schemas.into_iter())
            }
        }
    }

    fn visit_text(&mut self, node: &Node, text: &str, field: &str, pointer: &str) -> Value {
        let hole = |types| Hole { pointer: pointer.to_owned(), types, text: text.to_owned() };
        match crate::template::compile_text(text) {
            Err(message) => {
                let problem = Problem::new("bad-expression", message);
                let example =
                    "expressions are written as in {{ trigger.title | default('none') }}, a literal {{ as {{ '{{' }}";
                self.report.add(node, field, problem.fix(example));
                self.holes.push(hole(None));
                Value::Bool(true)
            }
            Ok(crate::template::Node::Whole(expression)) => {
                self.check(node, field, &expression);
                let schema = expression.as_reference().map_or_else(Shape::open, |path| self.names.shape(path));
                let types = schema.types(&[]);
                self.holes.push(hole(types));
                schema.0
            }
            Ok(crate::template::Node::Text(pieces)) => {
                for piece in &pieces {
                    match piece {
                        Piece::Literal(_) => {}
                        Piece::Expression(expression) => self.check(node, field, expression),
                    }
                }
                self.holes.push(hole(Some(BTreeSet::from(["string".to_owned()]))));
                serde_json::json!({ "type": "string" })
            }
            Ok(_) => shape::of_constant(&Value::String(text.to_owned())),
        }
    }

    fn check(&mut self, node: &Node, field: &str, expression: &Expression) {
        for lookup in &expression.lookups {
            if let Some(problem) = tables::check(&self.names.tables, lookup) {
                self.report.add(node, field, problem);
            }
        }
        for reference in &expression.references {
            if let Some(problem) = self.names.check(reference, &expression.references) {
                self.report.add(node, field, problem);
            }
        }
    }
}

/// Checks a template against the schema of what takes it: constants wholly,
/// expressions by what is known of their type.
pub(super) fn fits(made: &Made, schema: &Schema, node: &Node, field: &str, report: &mut Report<'_>) {
    let wanted = Shape(schema.document().clone());
    let conditional = ["\"if\":", "\"dependent"].iter().any(|word| schema.document().to_string().contains(word));
    for problem in schema.check(made.template.source()) {
        // What a condition on a value requires is not certain before the value is.
        let depends = conditional && !made.holes.is_empty() && !is_typed(&problem);
        if !depends && is_certain(&problem, &made.holes) {
            report.add(node.nearest(&problem.path), &place(field, &problem.path), words(&problem, &wanted));
        }
    }
    for hole in &made.holes {
        let path = segments(&hole.pointer);
        let (Some(given), Some(types)) = (&hole.types, wanted.types(&path)) else { continue };
        if !compatible(given, &types) {
            let name = match path.last() {
                Some(Segment::Field(name)) => name.clone(),
                Some(Segment::Index(at)) => format!("item {at}"),
                None => "the value".to_owned(),
            };
            let what = format!("{name} expects {}, got {}: {}", type_list(&types), type_list(given), hole.text);
            let at = node.nearest(&hole.pointer);
            report.add(at, &place(field, &hole.pointer), Problem::new("wrong-type", what));
        }
    }
}

/// Checks a value without expressions, wholly.
pub(super) fn fits_constant(value: &Value, schema: &Schema, node: &Node, field: &str, report: &mut Report<'_>) {
    let wanted = Shape(schema.document().clone());
    for problem in schema.check(value) {
        report.add(node.nearest(&problem.path), &place(field, &problem.path), words(&problem, &wanted));
    }
}

/// Reports fields that such values never have; what else a schema asks does not count.
pub(super) fn knows_fields(value: &Value, shape: &Shape, node: &Node, field: &str, report: &mut Report<'_>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, child)| (escape(name), child)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, child)| (at.to_string(), child)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, child) in children {
        let pointer = format!("/{name}");
        let (at, field) = (node.nearest(&pointer), place(field, &pointer));
        match shape.walk(&segments(&pointer)) {
            Found::Open => {}
            Found::Is(_) => knows_fields(child, &shape.at(&segments(&pointer)), at, &field, report),
            Found::Missing { names, .. } => {
                let name = unescape(&name);
                let problem = Problem::new("unknown-field", format!("there is no field {name:?}"));
                report.add(at, &field, suggest(problem, &name, names.iter().copied()));
            }
        }
    }
}

/// Whether a problem holds whatever the expressions turn out to be.
fn is_certain(problem: &FieldProblem, holes: &[Hole]) -> bool {
    let above = |hole: &Hole| hole.pointer.strip_prefix(&problem.path).is_some_and(|rest| rest.starts_with('/'));
    if holes.iter().any(|hole| hole.pointer == problem.path) {
        return is_unknown(problem);
    }
    // A list or object with expressions in it: its own type is certain, what a
    // combination of schemas makes of its parts is not.
    !holes.iter().any(above) || is_unknown(problem) || is_typed(problem)
}

fn is_typed(problem: &FieldProblem) -> bool {
    problem.expected.split(" or ").all(is_type)
}

fn is_unknown(problem: &FieldProblem) -> bool {
    problem.expected == "no such field"
}

fn is_type(words: &str) -> bool {
    ["string", "integer", "number", "boolean", "array", "object", "null"].iter().any(|kind| type_words(kind) == words)
}

fn type_list(types: &BTreeSet<String>) -> String {
    types.iter().map(|kind| type_words(kind)).collect::<Vec<_>>().join(" or ")
}

fn words(problem: &FieldProblem, wanted: &Shape) -> Problem {
    let path = segments(&problem.path);
    let (last, parent) = path.split_last().map_or((None, &path[..]), |(last, parent)| (Some(last), parent));
    let name = match last {
        Some(Segment::Field(name)) => name,
        Some(Segment::Index(_)) => return Problem::new("invalid-input", format!("item {problem}")),
        None => return Problem::new("invalid-input", problem.to_string()),
    };
    if is_unknown(problem) {
        let names = wanted.names(parent);
        let found = Problem::new("unknown-field", format!("there is no field {name:?}"));
        return match model::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => found.fix(format!("write {near}")),
            None => found.cause(format!("there is: {}", list(names.iter().map(String::as_str)))),
        };
    }
    if problem.got == "nothing" && problem.expected == "a value" {
        let kind = wanted.types(&path).map_or_else(|| "a value".to_owned(), |types| type_list(&types));
        return Problem::new("missing-field", format!("{name} is required")).fix(format!("add {name}: {kind}"));
    }
    let wrong = Problem::new("invalid-input", problem.to_string());
    match near_choice(problem, wanted, &path) {
        Some(near) => wrong.fix(format!("write {near}")),
        None => wrong,
    }
}

/// The text that a schema allows here and that is nearest to the one that was written.
fn near_choice(problem: &FieldProblem, wanted: &Shape, path: &[Segment]) -> Option<String> {
    let written: String = serde_json::from_str(&problem.got).ok()?;
    let choices = wanted.choices(path);
    let folded = choices.iter().find(|choice| choice.eq_ignore_ascii_case(&written)).cloned();
    folded.or_else(|| model::nearest(&written, choices.iter().map(String::as_str)).map(str::to_owned))
}

/// A field path and a JSON Pointer below it, as messages write them.
fn place(field: &str, pointer: &str) -> String {
    segments(pointer).iter().fold(field.to_owned(), |field, segment| match segment {
        Segment::Field(name) => child(&field, name),
        Segment::Index(at) => format!("{field}[{at}]"),
    })
}

fn segments(pointer: &str) -> Vec<Segment> {
    let names = pointer.split('/').skip(1).map(unescape);
    names.map(|name| name.parse().map_or(Segment::Field(name), Segment::Index)).collect()
}
