//! What expressions may refer to at one place of a flow, and what is known of it.

use model::Problem;

use super::report::{list, suggest};
use super::shape::{Found, Shape};
use crate::plan::Tables;
use crate::template::{Path, Reference, Segment, show};

/// The names in scope everywhere, and those of a loop's body.
const ROOTS: [&str; 5] = ["trigger", "steps", "run", "flow", "env"];
const LOOP_ROOTS: [&str; 7] = ["trigger", "steps", "item", "loop", "run", "flow", "env"];

/// What expressions may refer to.
pub(super) struct Names {
    /// The event.
    pub(super) trigger: Shape,
    /// The steps before, in order.
    pub(super) steps: Vec<Output>,
    /// Every id of the document, for better words about steps that come later.
    pub(super) all: Vec<String>,
    /// What a condition around this place has found to be there.
    pub(super) guards: Vec<Path>,
    /// The step this place is in.
    pub(super) current: Option<String>,
    /// An item of the loop this place is in.
    pub(super) item: Option<Shape>,
    /// The run has failed, and these are its steps for that.
    pub(super) failing: bool,
    /// The tables of the flow.
    pub(super) tables: Tables,
}

/// What a step leaves behind.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) id: String,
    /// None: nothing.
    pub(super) shape: Option<Shape>,
    pub(super) presence: Presence,
    /// The step may leave `error` instead.
    pub(super) may_fail: bool,
}

/// Whether a step has surely been executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    Sure,
    /// Why not surely: the end of "... is not always there: ".
    Maybe(String),
    /// It is in the other branch.
    Elsewhere,
    /// It is in the body of this loop, and this is not.
    Inside(String),
}

impl Names {
    /// Where nothing can be referred to but the run itself.
    pub(super) fn none() -> Self {
        Self::of(Shape::open(), Vec::new())
    }

    /// Before the first step.
    pub(super) fn of(trigger: Shape, all: Vec<String>) -> Self {
        Self {
            trigger,
            steps: Vec::new(),
            all,
            guards: Vec::new(),
            current: None,
            item: None,
            failing: false,
            tables: Tables::default(),
        }
    }

    /// What is wrong with a reference.
    pub(super) fn check(&self, reference: &Reference, beside: &[Reference]) -> Option<Problem> {
        let path = &reference.path;
        match path.root() {
            "trigger" => missing(&self.trigger, path, 1),
            "steps" => self.check_step(reference, beside),
            "run" => missing(&run_shape(), path, 1),
            "flow" => missing(&flow_shape(), path, 1),
            "env" => missing(&Shape(serde_json::json!({ "type": "string" })), path, 1),
            "item" | "loop" => self.check_item(path),
            "error" if self.failing => missing(&failure_shape(), path, 1),
            "error" => Some(
                Problem::new("outside-on-error", "error is there only in the steps of the flow's on_error")
                    .fix("for the failure of one step, read steps.<id>.error behind it"),
            ),
            "now" => Some(
                Problem::new("no-clock", "there is no clock in expressions: what they make is the same at every look")
                    .fix("write run.started_at, which is when the run began"),
            ),
            other => {
                let problem = Problem::new("unknown-name", format!("there is no name {other:?} in expressions"));
                let is_step = self.all.iter().any(|id| id == other);
                if let Some((meaning, written)) = constant(other).filter(|_| !is_step) {
                    return Some(problem.fix(format!("{meaning} is written {written}")));
                }
                let roots: &[&str] = if self.item.is_some() { &LOOP_ROOTS } else { &ROOTS };
                Some(suggest(problem, other, roots.iter().copied()).fix_if_none(|| match is_step {
                    true => format!("write steps.{other}"),
                    false => format!("a text in an expression needs quotes: '{other}'"),
                }))
            }
        }
    }

    /// What is known of the value a plain reference means.
    pub(super) fn shape(&self, path: &Path) -> Shape {
        match (path.root(), path.below()) {
            ("trigger", below) => self.trigger.at(below),
            ("steps", [Segment::Field(id), below @ ..]) => match self.find(id) {
                Some(Output { shape: Some(shape), may_fail: false, .. }) => shape.at(below),
                Some(_) | None => Shape::open(),
            },
            ("run", below) => run_shape().at(below),
            ("flow", below) => flow_shape().at(below),
            ("env", []) => Shape(serde_json::json!({ "type": "string" })),
            ("item", below) => self.item.as_ref().map_or_else(Shape::open, |item| item.at(below)),
            ("loop", below) => loop_shape().at(below),
            ("error", below) => failure_shape().at(below),
            _ => Shape::open(),
        }
    }

    fn check_item(&self, path: &Path) -> Option<Problem> {
        let Some(item) = &self.item else {
            let root = path.root();
            let what = format!("{root} is there only in the steps of a foreach");
            return Some(Problem::new("outside-loop", what).fix("write it in a step inside the loop"));
        };
        if path.root() == "item" { missing(item, path, 1) } else { missing(&loop_shape(), path, 1) }
    }

    pub(super) fn find(&self, id: &str) -> Option<&Output> {
        self.steps.iter().find(|output| output.id == id)
    }

    fn check_step(&self, reference: &Reference, beside: &[Reference]) -> Option<Problem> {
        let path = &reference.path;
        let Some(Segment::Field(id)) = path.below().first() else {
            return Some(
                Problem::new("no-step", "steps stands for no value of its own").fix("name a step, as in steps.lookup"),
            );
        };
        let Some(output) = self.find(id) else { return Some(self.unknown_step(id)) };
        let Some(shape) = &output.shape else {
            return Some(Problem::new(
                "no-output",
                format!("step {id} has no output: it only decides what is executed"),
            ));
        };
        if let Presence::Inside(around) = &output.presence {
            return Some(
                Problem::new("inside-loop", format!("step {id} is inside the loop {around}: it has many outputs"))
                    .fix(format!("give {around} an output, and read steps.{around}.outputs")),
            );
        }
        let is_error = path.below().get(1) == Some(&Segment::Field("error".to_owned()));
        if output.may_fail && is_error {
            return missing(&error_shape(), path, 2).or_else(|| {
                let reason = "it is there only when the step has failed";
                self.absent(reference, beside, reason)
            });
        }
        missing(shape, path, 2).or_else(|| match &output.presence {
            Presence::Sure if output.may_fail => {
                self.absent(reference, beside, "the step may fail and the flow go on (on_error: continue)")
            }
            Presence::Sure => None,
            Presence::Maybe(reason) => self.absent(reference, beside, reason),
            Presence::Inside(_) => None,
            Presence::Elsewhere => Some(
                Problem::new(
                    "other-branch",
                    format!("step {id} is in the other branch: it is never executed before this"),
                )
                .fix("read only what comes before the if, or is in the same branch"),
            ),
        })
    }

    /// A problem unless the expression, or a condition around it, allows for absence.
    fn absent(&self, reference: &Reference, beside: &[Reference], reason: &str) -> Option<Problem> {
        let path = &reference.path;
        let step_of = |path: &Path| path.0.get(..2).map(<[Segment]>::to_vec);
        let guards = beside.iter().filter(|other| other.guard).map(|other| &other.path).chain(&self.guards);
        let guarded = guards.into_iter().any(|guard| step_of(guard) == step_of(path));
        if reference.optional || guarded {
            return None;
        }
        Some(
            Problem::new("maybe-absent", format!("{path} is not always there: {reason}"))
                .fix(format!("write {path} | default(...), or ask {path} is defined first")),
        )
    }

    fn unknown_step(&self, id: &str) -> Problem {
        let with_hyphen = self.all.iter().find(|known| known.starts_with(&format!("{id}-")));
        if let Some(known) = with_hyphen {
            let what = format!("there is no step {id:?}: a hyphen in an expression means minus");
            return Problem::new("unknown-step", what).fix(format!("write steps['{known}']"));
        }
        if self.current.as_deref() == Some(id) {
            return Problem::new("own-output", format!("step {id} cannot read its own output"));
        }
        if self.all.iter().any(|known| known == id) {
            return Problem::new("later-step", format!("step {id} comes later: it has no output yet"))
                .fix("move this step behind it");
        }
        let problem = Problem::new("unknown-step", format!("there is no step {id:?}"));
        suggest(problem, id, self.steps.iter().map(|output| output.id.as_str()))
    }
}

/// What a word of other languages means, and how expressions write it.
fn constant(name: &str) -> Option<(&'static str, &'static str)> {
    match name.to_ascii_lowercase().as_str() {
        "null" | "nil" | "none" | "undefined" => Some(("nothing", "none")),
        "true" => Some(("true", "true")),
        "false" => Some(("false", "false")),
        _ => None,
    }
}

/// A problem when the shape has nothing at the path, which begins `from` segments in.
fn missing(shape: &Shape, path: &Path, from: usize) -> Option<Problem> {
    let Found::Missing { depth, names } = shape.walk(path.0.get(from..).unwrap_or_default()) else { return None };
    let place = from + depth;
    let parent = show(&path.0[..place]);
    let what = match &path.0[place] {
        Segment::Field(name) => format!("{parent} has no field {name:?}"),
        Segment::Index(index) => format!("{parent} has no item {index}"),
    };
    let problem = Problem::new("unknown-field", what);
    Some(match &path.0[place] {
        Segment::Field(name) if !names.is_empty() => match model::nearest(name, names.iter().copied()) {
            Some(near) => {
                let mut fixed = path.0[..place].to_vec();
                fixed.push(Segment::Field(near.to_owned()));
                problem.fix(format!("write {}", show(&fixed)))
            }
            None => problem.cause(format!("it has: {}", list(names.iter().copied()))),
        },
        Segment::Field(_) | Segment::Index(_) => problem.cause(format!("{parent} is not a value with such parts")),
    })
}

fn run_shape() -> Shape {
    let text = || serde_json::json!({ "type": "string" });
    Shape(super::shape::of_object([("id".to_owned(), text()), ("started_at".to_owned(), text())].into_iter()))
}

fn flow_shape() -> Shape {
    let text = || serde_json::json!({ "type": "string" });
    let version = serde_json::json!({ "type": "integer" });
    let fields = [("id".to_owned(), text()), ("name".to_owned(), text()), ("version".to_owned(), version)];
    Shape(super::shape::of_object(fields.into_iter()))
}

fn loop_shape() -> Shape {
    Shape(super::shape::of_object([("index".to_owned(), serde_json::json!({ "type": "integer" }))].into_iter()))
}

/// What the steps of the flow's `on_error` see as `error`.
fn failure_shape() -> Shape {
    let text = || serde_json::json!({ "type": ["string", "null"] });
    let fields = ["code", "message", "step"].map(|name| (name.to_owned(), text()));
    Shape(super::shape::of_object(fields.into_iter()))
}

/// What a step that failed leaves behind.
pub(super) fn error_shape() -> Shape {
    let text = || serde_json::json!({ "type": "string" });
    let error = super::shape::of_object([("code".to_owned(), text()), ("message".to_owned(), text())].into_iter());
    Shape(super::shape::of_object([("error".to_owned(), error)].into_iter()))
}

/// Adds a fix where there is none yet.
trait FixIfNone {
    fn fix_if_none(self, fix: impl FnOnce() -> String) -> Self;
}

impl FixIfNone for Problem {
    fn fix_if_none(self, fix: impl FnOnce() -> String) -> Self {
        if self.fix.is_some() { self } else { self.fix(fix()) }
    }
}
