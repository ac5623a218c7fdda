//! The names that expressions may read, and how they are found.
//!
//! A plain reference walks the JSON values directly. Only an expression that
//! computes needs the engine's view of a value, made once per value and run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use minijinja::Value as View;
use minijinja::value::Object;
use model::StepId;
use serde_json::{Value, json};

use super::convert::to_view;
use super::engine;
use super::path::{Path, Segment, show};
use crate::plan::Plan;
use crate::run::RunFacts;

/// A value that expressions may read; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Known(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    json: Arc<Value>,
    view: OnceLock<View>,
}

impl Known {
    pub(crate) fn new(json: Arc<Value>) -> Self {
        Self(Arc::new(Inner { json, view: OnceLock::new() }))
    }

    pub(crate) fn json(&self) -> &Arc<Value> {
        &self.0.json
    }

    fn view(&self) -> View {
        self.0.view.get_or_init(|| to_view(&self.0.json)).clone()
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

/// Everything an expression may read at one point of a run.
pub(crate) struct Scope<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) trigger: &'a Known,
    pub(crate) outputs: &'a Arc<BTreeMap<StepId, Known>>,
    pub(crate) run: &'a RunFacts,
    /// The item of the loop around, and its index.
    pub(crate) item: Option<(&'a Known, u32)>,
    /// Why the run fails, in the steps it has for that.
    pub(crate) error: Option<&'a Known>,
}

impl Scope<'_> {
    /// The value a plain reference means.
    pub(super) fn find(&self, path: &Path) -> Result<Cow<'_, Value>, String> {
        let below = path.below();
        match path.root() {
            "trigger" => walk(self.trigger.json(), path, 1).map(Cow::Borrowed),
            "steps" => {
                let Some(Segment::Field(name)) = below.first() else {
                    return Err("\"steps\" stands for no value: name a step, as in steps.lookup".to_owned());
                };
                let known = name.parse::<StepId>().ok().and_then(|id| self.outputs.get(&id));
                let known = known.ok_or_else(|| format!("{path} is not there: step {name} has no output"))?;
                walk(known.json(), path, 2).map(Cow::Borrowed)
            }
            "item" | "loop" => self.find_item(path),
            "error" => {
                let error = self.error.ok_or("error is there only in the steps of the flow's on_error")?;
                walk(error.json(), path, 1).map(Cow::Borrowed)
            }
            "run" => owned(&self.run_value(), path),
            "flow" => owned(&self.flow_value(), path),
            "env" => owned(&Value::String(self.run.environment.to_string()), path),
            other => Err(format!("there is no name {other:?} in expressions")),
        }
    }

    fn find_item(&self, path: &Path) -> Result<Cow<'_, Value>, String> {
        let (item, index) = self.item.ok_or_else(|| format!("{path} is there only inside a foreach"))?;
        match path.root() {
            "item" => walk(item.json(), path, 1).map(Cow::Borrowed),
            _ => owned(&json!({ "index": index }), path),
        }
    }

    /// The engine's view of the scope.
    pub(super) fn view(&self) -> View {
        View::from_object(Names {
            trigger: self.trigger.clone(),
            steps: View::from_object(Steps(Arc::clone(self.outputs))),
            tables: self.plan.tables.view(),
            made: View::from_object(engine::Made::default()),
            run: to_view(&self.run_value()),
            flow: to_view(&self.flow_value()),
            env: View::from(self.run.environment.as_str()),
            item: self.item.map(|(item, index)| (item.clone(), to_view(&json!({ "index": index })))),
            error: self.error.cloned(),
        })
    }

    fn run_value(&self) -> Value {
        json!({ "id": self.run.id, "started_at": self.run.started_at })
    }

    fn flow_value(&self) -> Value {
        json!({ "id": self.plan.id, "name": self.plan.name, "version": self.run.flow_version })
    }
}

fn owned<'a>(value: &Value, path: &Path) -> Result<Cow<'a, Value>, String> {
    walk(value, path, 1).cloned().map(Cow::Owned)
}

/// Goes down from a value whose own path is the first `from` segments of `path`.
fn walk<'a>(value: &'a Value, path: &Path, from: usize) -> Result<&'a Value, String> {
    let mut at = value;
    for (depth, segment) in path.0.iter().enumerate().skip(from) {
        let found = match segment {
            Segment::Field(name) => at.get(name),
            Segment::Index(index) => at.get(index),
        };
        at = found.ok_or_else(|| missing(at, &path.0[..=depth]))?;
    }
    Ok(at)
}

/// A few names are enough to see the slip.
const NAMES_SHOWN_MAX: usize = 10;

fn missing(parent: &Value, path: &[Segment]) -> String {
    let place = show(path);
    match parent {
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().take(NAMES_SHOWN_MAX).map(String::as_str).collect();
            let known = if names.is_empty() { "no fields".to_owned() } else { names.join(", ") };
            format!("{place} is not there; the value has {known}")
        }
        Value::Array(items) => format!("{place} is not there; the list has {} items", items.len()),
        Value::Null => format!("{place} is not there; what it should be in is null"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            format!("{place} is not there; what it should be in is neither an object nor a list")
        }
    }
}

#[derive(Debug)]
struct Names {
    trigger: Known,
    steps: View,
    tables: View,
    made: View,
    run: View,
    flow: View,
    env: View,
    item: Option<(Known, View)>,
    error: Option<Known>,
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &View) -> Option<View> {
        match key.as_str()? {
            "trigger" => Some(self.trigger.view()),
            "steps" => Some(self.steps.clone()),
            engine::TABLES => Some(self.tables.clone()),
            engine::MADE => Some(self.made.clone()),
            "run" => Some(self.run.clone()),
            "flow" => Some(self.flow.clone()),
            "env" => Some(self.env.clone()),
            "item" => self.item.as_ref().map(|(item, _)| item.view()),
            "error" => self.error.as_ref().map(Known::view),
            "loop" => self.item.as_ref().map(|(_, around)| around.clone()),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Steps(Arc<BTreeMap<StepId, Known>>);

impl Object for Steps {
    fn get_value(self: &Arc<Self>, key: &View) -> Option<View> {
        let id: StepId = key.as_str()?.parse().ok()?;
        self.0.get(&id).map(Known::view)
    }
}
