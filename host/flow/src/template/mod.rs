//! Templates: JSON values in which texts may hold `{{ expressions }}`.
//!
//! Owns their compiled form, kept beside the source from first use on, and their
//! evaluation. A text that is one whole expression keeps the expression's type;
//! other texts become text, without any escaping. There are no statements, only
//! expressions. Invariant: evaluation is bounded in work, size and depth.

mod convert;
mod engine;
mod expression;
mod filters;
mod path;
mod reference;
mod scan;
mod scope;
mod uses;

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use reference::reference;

use crate::document::ITEMS_MAX;

pub(crate) use convert::{Budget, charge, is_true, to_view};
pub(crate) use expression::{Expression, Reference};
#[cfg(test)]
pub(crate) use path::parse_path;
pub(crate) use path::{Path, Segment, child, show};
pub(crate) use scope::{Known, Scope};
pub(crate) use uses::Lookup;

/// A JSON value in which texts may hold expressions. Serialised as written.
#[derive(Clone)]
pub struct Template {
    source: Arc<Value>,
    compiled: Arc<OnceLock<Result<Node, Fault>>>,
}

/// The compiled form of a template.
pub(crate) enum Node {
    Constant(Value),
    Whole(Expression),
    Text(Vec<Piece>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// A part of a text.
pub(crate) enum Piece {
    Literal(String),
    Expression(Expression),
}

/// What is wrong with one place of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The place: `.text`, `.blocks[0].text`, empty for the whole.
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Template {
    /// A template over this value; nothing is compiled yet.
    pub fn new(source: Value) -> Self {
        Self { source: Arc::new(source), compiled: Arc::default() }
    }

    /// The value as written.
    pub fn source(&self) -> &Value {
        &self.source
    }

    pub(crate) fn node(&self) -> Result<&Node, &Fault> {
        let compile = || {
            let mut faults = Vec::new();
            let node = compile(&self.source, "", &mut faults);
            faults.into_iter().next().map_or(Ok(node), Err)
        };
        self.compiled.get_or_init(compile).as_ref()
    }

    /// The value for what is in scope.
    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Value, Fault> {
        let node = self.node().map_err(Clone::clone)?;
        eval(node, scope, &mut Budget::default(), "")
    }

    /// The list that a loop goes through. Its length is known before anything of it
    /// is copied: a list of a million items costs nothing but the message.
    pub(crate) fn eval_items(&self, scope: &Scope<'_>) -> Result<Vec<Value>, Fault> {
        let node = self.node().map_err(Clone::clone)?;
        let mut budget = Budget::default();
        let items = match node {
            Node::Whole(expression) => expression.eval_items(scope, ITEMS_MAX, &mut budget),
            Node::Constant(value) => convert::copy_items(value, ITEMS_MAX, &mut budget),
            Node::Text(_) | Node::List(_) | Node::Object(_) => {
                convert::copy_items(&eval(node, scope, &mut budget, "")?, ITEMS_MAX, &mut Budget::default())
            }
        };
        items.map_err(|message| Fault { field: String::new(), message })
    }
}

/// Compiles what it can and reports everything else.
pub(crate) fn compile(value: &Value, field: &str, faults: &mut Vec<Fault>) -> Node {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Constant(value.clone()),
        Value::String(text) => compile_text(text).unwrap_or_else(|message| {
            faults.push(Fault { field: field.to_owned(), message });
            Node::Constant(value.clone())
        }),
        Value::Array(items) => {
            let nodes = items.iter().enumerate().map(|(at, item)| compile(item, &format!("{field}[{at}]"), faults));
            let nodes: Vec<Node> = nodes.collect();
            if nodes.iter().all(|node| matches!(node, Node::Constant(_))) {
                return Node::Constant(value.clone());
            }
            Node::List(nodes)
        }
        Value::Object(fields) => {
            let nodes = fields.iter().map(|(name, item)| (name.clone(), compile(item, &child(field, name), faults)));
            let nodes: Vec<(String, Node)> = nodes.collect();
            if nodes.iter().all(|(_, node)| matches!(node, Node::Constant(_))) {
                return Node::Constant(value.clone());
            }
            Node::Object(nodes)
        }
    }
}

/// Compiles one text.
pub(crate) fn compile_text(text: &str) -> Result<Node, String> {
    let parts = scan::split(text)?;
    if let [scan::Part::Expression(source)] = parts.as_slice() {
        return Expression::compile(source).map(Node::Whole);
    }
    if let [] | [scan::Part::Literal(_)] = parts.as_slice() {
        return Ok(Node::Constant(Value::String(text.to_owned())));
    }
    let pieces = parts.iter().map(|part| match part {
        scan::Part::Literal(text) => Ok(Piece::Literal((*text).to_owned())),
        scan::Part::Expression(source) => Expression::compile(source).map(Piece::Expression),
    });
    pieces.collect::<Result<_, _>>().map(Node::Text)
}

fn eval(node: &Node, scope: &Scope<'_>, budget: &mut Budget, field: &str) -> Result<Value, Fault> {
    let fault = |message| Fault { field: field.to_owned(), message };
    match node {
        Node::Constant(value) => convert::copy(value, budget).map_err(fault),
        Node::Whole(expression) => expression.eval(scope, budget).map_err(fault),
        Node::Text(pieces) => render(pieces, scope, budget).map(Value::String).map_err(fault),
        Node::List(nodes) => nodes
            .iter()
            .enumerate()
            .map(|(at, node)| eval(node, scope, budget, &format!("{field}[{at}]")))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Node::Object(nodes) => {
            let mut fields = Map::with_capacity(nodes.len());
            for (name, node) in nodes {
                budget.spend(name.len()).map_err(fault)?;
                fields.insert(name.clone(), eval_field(node, scope, budget, field, name)?);
            }
            Ok(Value::Object(fields))
        }
    }
}

/// Names the field only when something is wrong with it: most of the time it is not.
fn eval_field(node: &Node, scope: &Scope<'_>, budget: &mut Budget, field: &str, name: &str) -> Result<Value, Fault> {
    eval(node, scope, budget, "")
        .map_err(|fault| Fault { field: format!("{}{}", child(field, name), fault.field), message: fault.message })
}

fn render(pieces: &[Piece], scope: &Scope<'_>, budget: &mut Budget) -> Result<String, String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => {
                budget.spend(literal.len())?;
                text.push_str(literal);
            }
            Piece::Expression(expression) => convert::write_text(&expression.eval(scope, budget)?, &mut text),
        }
    }
    Ok(text)
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.source)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.source.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::new)
    }
}
