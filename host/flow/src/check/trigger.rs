//! The trigger of a document: exactly one kind, and what its events look like.

use model::{Need, OperationRef, Problem, Schema, Trigger as Declared, Webhook};
use serde_json::{Value, json};

use super::accounts::{self, Asked};
use super::names::Names;
use super::polled;
use super::read::Fields;
use super::report::Report;
use super::schedule;
use super::shape::Shape;
use super::tree::{Content, Node};
use super::values;
use crate::operations::Operations;
use crate::plan::{Respond, Trigger};

/// Senders give up sooner: most wait ten seconds, few as long as half a minute.
const RESPOND_MS_MAX: u64 = 60_000;

/// The trigger, how it answers, and the shape of its events.
pub(super) struct Started {
    pub(super) trigger: Option<Trigger>,
    pub(super) respond: Option<Respond>,
    pub(super) event: Shape,
}

impl Started {
    /// When nothing can be known.
    pub(super) fn unknown() -> Self {
        Self { trigger: None, respond: None, event: Shape::open() }
    }
}

pub(super) fn read(node: &Node, operations: &dyn Operations, report: &mut Report<'_>) -> Started {
    let Some(fields) = Fields::of(node, "trigger", report) else { return Started::unknown() };
    let kinds: Vec<&str> = ["uses", "webhook", "schedule", "manual", "call"]
        .into_iter()
        .filter(|kind| fields.get(kind).is_some())
        .collect();
    match kinds.as_slice() {
        ["uses"] => connector(&fields, operations, report),
        ["webhook"] => webhook(&fields, operations, report),
        ["schedule"] => schedule::read(&fields, report),
        ["manual"] => manual(&fields, report),
        ["call"] => super::callable::trigger(&fields, report),
        _ => {
            let what = format!(
                "a trigger has exactly one of uses, webhook, schedule, manual and call, this one has {}",
                kinds.len()
            );
            let problem = Problem::new("no-trigger", what);
            report.add(node, "trigger", problem.fix("for a flow that people start, write manual: {}"));
            Started::unknown()
        }
    }
}

fn connector(fields: &Fields<'_>, operations: &dyn Operations, report: &mut Report<'_>) -> Started {
    fields.only(&["uses", "connection", "config", "hook_token", "subscribe", "poll", "respond"], report);
    let respond = respond(fields, report);
    let unknown = Started { respond, ..Started::unknown() };
    let Some(uses_node) = fields.get("uses") else { return unknown };
    let Some(uses) = fields.name::<OperationRef>("uses", report) else { return unknown };
    let Some(manifest) = accounts::manifest(&uses, uses_node, "trigger.uses", operations, report) else {
        return unknown;
    };
    let Some(declared) = manifest.trigger(&uses.operation) else {
        let known = manifest.triggers.iter().map(|trigger| trigger.id.as_str());
        accounts::unknown_operation(&uses, "trigger", known, uses_node, "trigger.uses", report);
        return unknown;
    };
    let trigger = match (polled::wanted(fields, declared), &declared.webhook) {
        (Some(poll), _) => polled::read(fields, uses, (declared, poll), operations, report),
        (None, Some(webhook)) => delivered(fields, uses, (declared, webhook), operations, report),
        (None, None) => {
            let what = format!("the connector does not say how the events of {uses} come");
            report.add(uses_node, "trigger.uses", Problem::new("bad-trigger", what));
            None
        }
    };
    Started { trigger, respond, event: Shape(declared.event.clone()) }
}

/// A trigger whose events the service delivers.
fn delivered(
    fields: &Fields<'_>,
    uses: OperationRef,
    (declared, webhook): (&Declared, &Webhook),
    operations: &dyn Operations,
    report: &mut Report<'_>,
) -> Option<Trigger> {
    if let Some(node) = fields.get("poll") {
        let problem =
            Problem::new("not-polled", format!("the events of {uses} are delivered, nobody can ask for them"));
        report.add(node, "trigger.poll", problem.fix("remove the key poll"));
    }
    let asked = Asked { uses: &uses, need: Need::Required, scopes: &[] };
    let connection = accounts::connection(fields, &asked, operations, report);
    let config = config(fields, declared, report);
    let hook_token = fields.flag("hook_token", false, report);
    let wanted = fields.flag("subscribe", declared.subscription.is_some(), report);
    if wanted && declared.subscription.is_none() {
        let problem = Problem::new("cannot-subscribe", format!("the connector cannot set up the webhook of {uses}"));
        let fix = "remove the key subscribe, and set the webhook up at the service";
        report.add(fields.node, "trigger.subscribe", problem.fix(fix));
    }
    Some(Trigger::Connector {
        connection: connection?,
        config,
        webhook: webhook.clone(),
        event: declared.event.clone(),
        hook_token,
        subscribe: wanted.then(|| declared.subscription.as_ref().map(|part| part.by_hand.clone())).flatten(),
        uses,
    })
}

/// The configuration: constants only, since there is nothing to read before an event.
pub(super) fn config(fields: &Fields<'_>, declared: &Declared, report: &mut Report<'_>) -> Value {
    let empty = Node { at: fields.node.at, content: Content::Object(Vec::new()) };
    let node = fields.get("config").unwrap_or(&empty);
    let value = node.to_json();
    if value.to_string().contains("{{") {
        let problem = Problem::new("config-expression", "the configuration of a trigger cannot hold expressions");
        report.add(node, "trigger.config", problem.cause("it is used before there is an event to read"));
        return value;
    }
    // A schema that does not compile is the connector's fault, found at install.
    if let Ok(schema) = Schema::compile(&declared.config) {
        let made = values::read(node, "trigger.config", &Names::none(), report);
        values::fits(&made, &schema, node, "trigger.config", report);
    }
    value
}

fn webhook(fields: &Fields<'_>, operations: &dyn Operations, report: &mut Report<'_>) -> Started {
    fields.only(&["webhook", "connection", "event", "hook_token", "respond"], report);
    let respond = respond(fields, report);
    let event = schema(fields, "event", report);
    let connection = match fields.required("connection", "the connection whose webhook secret verifies", report) {
        Some(_) => accounts::known(fields, operations, report),
        None => None,
    };
    let webhook = fields.get("webhook").and_then(|node| {
        let read = serde_json::from_value(node.to_json());
        let explain = |error: serde_json::Error| {
            let problem = Problem::new("bad-webhook", format!("the webhook cannot be read: {error}"));
            let fix =
                "webhook: { verification: { scheme: token, header: x-token }, delivery_key: { from: fingerprint } }";
            report.add(node, "trigger.webhook", problem.fix(fix));
        };
        read.map_err(explain).ok()
    });
    let shape = event.clone().map_or_else(Shape::open, Shape);
    let hook_token = fields.flag("hook_token", false, report);
    let made = |(webhook, connection)| Trigger::Webhook { webhook, connection, event, hook_token };
    let trigger = webhook.zip(connection).map(made);
    Started { trigger, respond, event: shape }
}

fn manual(fields: &Fields<'_>, report: &mut Report<'_>) -> Started {
    fields.only(&["manual", "respond"], report);
    if let Some(node) = fields.get("respond") {
        let problem = Problem::new("needless-respond", "a manual trigger has no delivery to respond to");
        report.add(node, "trigger.respond", problem.fix("remove the key respond"));
    }
    let inner = fields.get("manual").and_then(|node| Fields::of(node, "trigger.manual", report));
    let Some(inner) = inner else { return Started::unknown() };
    inner.only(&["input"], report);
    let input = schema(&inner, "input", report);
    let event = input.clone().map_or_else(Shape::open, Shape);
    Started { trigger: Some(Trigger::Manual { input }), respond: None, event }
}

/// A JSON Schema in the document.
pub(super) fn schema(fields: &Fields<'_>, name: &str, report: &mut Report<'_>) -> Option<Value> {
    let node = fields.get(name)?;
    let document = node.to_json();
    if let Err(error) = Schema::compile(&document) {
        let problem = Problem::new("bad-schema", error.to_string());
        let example = json!({ "type": "object", "properties": { "title": { "type": "string" } } });
        report.add(node, &fields.field(name), problem.fix(format!("write a schema such as {example}")));
        return None;
    }
    Some(document)
}

fn respond(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Respond> {
    let inner = Fields::of(fields.get("respond")?, "trigger.respond", report)?;
    inner.only(&["within"], report);
    inner.required("within", "a time such as 10s", report)?;
    inner.duration("within", RESPOND_MS_MAX, report).map(|within_ms| Respond { within_ms })
}
