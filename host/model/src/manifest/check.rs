//! What a manifest alone can get wrong: parts that contradict each other.
//!
//! Refuses to know components and schemas' meaning; the sandbox compares a document
//! with what the component exports.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Discovery, FileAccess, Manifest, Need, Poll, RateHint, Trigger};
use crate::method::unknown_method;
use crate::name::{FieldId, nearest};
use crate::problem::Problem;

/// Polling the same thing more often than this is what webhooks are for.
const EVERY_S_MIN: u64 = 10;
/// A week. A trigger that is asked less often is a schedule with a step.
const EVERY_S_MAX: u64 = 7 * 86_400;
/// Names in grants that are no operation's.
const RESERVED: [(&str, &str); 2] =
    [("check", "grants mean the connection's test"), ("discovery", "grants mean what forms ask")];

impl Manifest {
    /// Every contradiction between the document's own parts; empty: there is none.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_names(&mut problems);
        self.check_accounts(&mut problems);
        self.check_methods(&mut problems);
        for action in &self.actions {
            let place = format!("actions.{}", action.id);
            check_rate(action.rate, &place, &mut problems);
            check_pointer(action.concurrency_key.as_deref(), &place, &mut problems);
        }
        for trigger in &self.triggers {
            check_trigger(trigger, &mut problems);
        }
        self.check_keys(&mut problems);
        self.check_discovery(&mut problems);
        self.check_migrations(&mut problems);
        problems
    }

    /// Operations of one connector share one space of names: grants name them alone.
    fn check_names(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeSet::new();
        let ids = self.actions.iter().map(|action| &action.id).chain(self.triggers.iter().map(|trigger| &trigger.id));
        for id in ids {
            if !seen.insert(id) {
                let what = format!("two operations are named {id}");
                problems.push(Problem::new("manifest-duplicate", what).fix("give each operation a name of its own"));
            }
            if let Some((name, why)) = RESERVED.iter().find(|(name, _)| id.as_str() == *name) {
                let what = format!("no operation may be named {name}: {why}");
                problems.push(Problem::new("manifest-reserved", what).fix("give the operation another name"));
            }
        }
    }

    /// Whoever works with an account needs a connector that has one.
    fn check_accounts(&self, problems: &mut Vec<Problem>) {
        if self.connection.is_some() {
            return;
        }
        let of_triggers = self.triggers.iter().flat_map(|trigger| {
            let poll = trigger.poll.iter().map(|poll| ("poll", poll.connection));
            let subscription = trigger.subscription.iter().map(|_| ("subscription", Need::Required));
            poll.chain(subscription).map(|(part, need)| (format!("triggers.{}.{part}", trigger.id), need))
        });
        let of_actions = self.actions.iter().map(|action| (format!("actions.{}", action.id), action.connection));
        let of_discovery = self.discovery.iter().map(|discovery| ("discovery".to_owned(), discovery.connection));
        for (place, need) in of_actions.chain(of_triggers).chain(of_discovery) {
            if need != Need::None {
                let what = format!("{place} works with an account, and the connector has none");
                problems.push(contradiction(what, "declare `connection`, or let it work without an account", &place));
            }
        }
    }

    /// A reach with a method that HTTP does not have reaches nothing.
    fn check_methods(&self, problems: &mut Vec<Problem>) {
        let of_actions = self.actions.iter().map(|action| (format!("actions.{}", action.id), &action.destinations));
        let of_triggers = self.triggers.iter().flat_map(|trigger| {
            let poll = trigger.poll.iter().map(|poll| ("poll", &poll.destinations));
            let subscription = trigger.subscription.iter().map(|part| ("subscription", &part.destinations));
            poll.chain(subscription).map(|(part, reaches)| (format!("triggers.{}.{part}", trigger.id), reaches))
        });
        let check = self.connection.iter().filter_map(|spec| spec.check.as_ref());
        let of_check = check.map(|check| ("connection.check".to_owned(), &check.destinations));
        let of_discovery = self.discovery.iter().map(|discovery| ("discovery".to_owned(), &discovery.destinations));
        for (place, reaches) in of_actions.chain(of_triggers).chain(of_check).chain(of_discovery) {
            let unknown = reaches.iter().flat_map(|reach| reach.methods().names()).filter_map(unknown_method);
            problems.extend(unknown.map(|problem| problem.field(format!("{place}.destinations"))));
        }
    }

    fn check_keys(&self, problems: &mut Vec<Problem>) {
        let keys = self.connection.iter().flat_map(|connection| &connection.keys);
        let mut seen = Vec::new();
        for key in keys {
            if seen.contains(&key.name) {
                let what = format!("the key {} is asked for twice", key.name.as_str());
                problems.push(contradiction(what, "name each key once", "connection.keys"));
            }
            seen.push(key.name);
        }
    }

    fn check_discovery(&self, problems: &mut Vec<Problem>) {
        let fields: Vec<&FieldId> =
            self.discovery.iter().flat_map(|discovery| &discovery.choices).map(|choices| &choices.field).collect();
        if let Some(discovery) = &self.discovery {
            check_offers(discovery, problems);
        }
        let known: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
        let actions = self.actions.iter().map(|action| (format!("actions.{}.input", action.id), &action.input));
        let triggers = self.triggers.iter().map(|trigger| (format!("triggers.{}.config", trigger.id), &trigger.config));
        for (place, schema) in actions.chain(triggers) {
            let mut hints = Vec::new();
            choices_in(schema, &mut hints);
            for hint in hints.into_iter().filter(|hint| !known.contains(hint)) {
                let what = format!("a field takes its choices from {hint:?}, which discovery does not list");
                let fix = match nearest(hint, known.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "list it under discovery.choices".to_owned(),
                };
                problems.push(contradiction(what, &fix, &place));
            }
        }
    }

    fn check_migrations(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeSet::new();
        for migration in &self.migrations {
            let id = &migration.operation;
            if self.action(id).is_none() && self.trigger(id).is_none() {
                let what = format!("a migration is of {id}, which is no operation of this connector");
                problems.push(contradiction(what, "name an action or a trigger", "migrations"));
            }
            if !seen.insert(id) {
                let what = format!("there are two migrations of {id}");
                problems.push(contradiction(what, "carry over every earlier version in one", "migrations"));
            }
            if migration.before > self.version {
                let what =
                    format!("the migration of {id} is of versions before {}, a version to come", migration.before);
                problems.push(contradiction(what, "name this version or an earlier one", "migrations"));
            }
        }
    }
}

fn contradiction(what: impl Into<String>, fix: &str, place: &str) -> Problem {
    Problem::new("manifest-contradiction", what).fix(fix).field(place)
}

fn check_trigger(trigger: &Trigger, problems: &mut Vec<Problem>) {
    let place = format!("triggers.{}", trigger.id);
    let kind = trigger.kind;
    for (part, there, wanted) in [
        ("webhook", trigger.webhook.is_some(), kind.is_delivered()),
        ("poll", trigger.poll.is_some(), kind.is_polled()),
    ] {
        let (what, fix) = match (there, wanted) {
            (true, true) | (false, false) => continue,
            (true, false) => ("has", format!("leave `{part}` out, or choose another kind")),
            (false, true) => ("lacks", format!("add `{part}`, or choose another kind")),
        };
        let what = format!("a trigger of kind {} {what} `{part}`", kind.as_str());
        problems.push(contradiction(what, &fix, &place));
    }
    if trigger.subscription.is_some() && !kind.is_delivered() {
        let what = "a trigger that is only polled has nothing to subscribe to";
        problems.push(contradiction(what, "leave `subscription` out", &place));
    }
    if let Some(poll) = &trigger.poll {
        check_poll(poll, &format!("{place}.poll"), problems);
    }
}

fn check_poll(poll: &Poll, place: &str, problems: &mut Vec<Problem>) {
    let (usual, least) = (poll.every_s, poll.every_s_min());
    if least < EVERY_S_MIN || usual > EVERY_S_MAX || least > usual {
        let what = format!("it is polled every {usual} s, and every {least} s at most often");
        let fix = format!("{EVERY_S_MIN} <= every_s_min <= every_s <= {EVERY_S_MAX}");
        problems.push(contradiction(what, &fix, place));
    }
    if poll.files == FileAccess::Write {
        problems.push(contradiction("a poll writes files", "a poll changes nothing: read alone", place));
    }
    check_rate(poll.rate, place, problems);
}

fn check_rate(rate: Option<RateHint>, place: &str, problems: &mut Vec<Problem>) {
    if rate.is_some_and(|rate| rate.calls == 0 || rate.per_s == 0) {
        let what = "a rate of nothing, or in no time";
        problems.push(contradiction(what, "at least 1 call in at least 1 second", &format!("{place}.rate")));
    }
}

fn check_pointer(pointer: Option<&str>, place: &str, problems: &mut Vec<Problem>) {
    if let Some(pointer) = pointer.filter(|pointer| !pointer.starts_with('/')) {
        let what = format!("the concurrency key {pointer:?} is no JSON Pointer to a field");
        problems.push(contradiction(what, "write \"/field\"", &format!("{place}.concurrency_key")));
    }
}

fn check_offers(discovery: &Discovery, problems: &mut Vec<Problem>) {
    if discovery.choices.is_empty() && discovery.objects.is_empty() {
        let what = "discovery lists neither choices nor objects";
        problems.push(contradiction(what, "list what it knows, or leave discovery out", "discovery"));
    }
    let fields = discovery.choices.iter().map(|choices| ("field", &choices.field));
    let objects = discovery.objects.iter().map(|custom| ("object", &custom.object));
    let mut seen = BTreeSet::new();
    for (kind, id) in fields.chain(objects) {
        if !seen.insert((kind, id)) {
            problems.push(contradiction(format!("discovery lists the {kind} {id} twice"), "list it once", "discovery"));
        }
    }
}

/// The values of `"choices"` beside other keywords of a field's schema.
fn choices_in<'a>(schema: &'a Value, hints: &mut Vec<&'a str>) {
    match schema {
        Value::Object(keywords) => {
            for (keyword, value) in keywords {
                match (keyword.as_str(), value) {
                    ("choices", Value::String(field)) => hints.push(field),
                    ("const" | "default" | "enum" | "examples", _) => {}
                    _ => choices_in(value, hints),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| choices_in(item, hints)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(change: impl FnOnce(&mut Value)) -> Manifest {
        let mut document = json!({
            "manifest_version": 1, "id": "board", "version": "1.2.0", "label": "Board", "publisher": "Tests",
            "license": "MIT", "support": { "owner": "us", "contact": "us@example.com", "policy": "none" },
            "purpose": "tests", "data": "none",
            "connection": { "auth": [{ "scheme": "bearer", "help": "a token" }] },
            "actions": [{
                "id": "add", "label": "Add", "help": "Adds.", "effect": "create", "idempotency": { "kind": "none" },
                "input": {}, "output": {}, "sample": { "input": {}, "output": {} },
            }],
            "triggers": [{
                "id": "added", "label": "Added", "help": "When it was.", "config": {}, "event": {},
                "webhook": { "verification": { "scheme": "github" }, "delivery_key": { "from": "fingerprint" } },
                "sample": { "config": {}, "body": {}, "event": {} },
            }],
        });
        change(&mut document);
        serde_json::from_value(document).expect("a manifest")
    }

    fn check(change: impl FnOnce(&mut Value), wanted: &[&str]) {
        let found: Vec<String> = manifest(change).problems().iter().map(|problem| problem.what.clone()).collect();
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.contains(wanted), "{found} has no {wanted}");
        }
    }

    #[test]
    fn a_trigger_has_the_parts_of_its_kind() {
        let poll = || json!({ "every_s": 300, "destinations": ["GET https://a.example/x"] });
        check(|_| {}, &[]);
        check(|it| it["triggers"][0]["kind"] = "poll".into(), &["poll has `webhook`", "poll lacks `poll`"]);
        check(|it| it["triggers"][0]["poll"] = poll(), &["webhook has `poll`"]);
        check(
            |it| {
                it["triggers"][0]["kind"] = "webhook-then-poll".into();
                it["triggers"][0]["poll"] = poll();
            },
            &[],
        );
        check(
            |it| {
                let subscription = json!({ "destinations": [], "by_hand": "in the settings" });
                let trigger = it["triggers"][0].as_object_mut().expect("a trigger");
                trigger.remove("webhook");
                trigger.extend([
                    ("kind".to_owned(), "poll".into()),
                    ("poll".to_owned(), poll()),
                    ("subscription".to_owned(), subscription),
                ]);
            },
            &["nothing to subscribe to"],
        );
    }

    #[test]
    fn a_poll_is_neither_hectic_nor_writing() {
        for (every_s, least, files, wanted) in [
            (300, 60, "read", vec![]),
            (5, 5, "none", vec!["every 5 s"]),
            (60, 300, "none", vec!["every 300 s at most often"]),
            (10_000_000, 60, "none", vec!["every 10000000 s"]),
            (300, 60, "write", vec!["a poll writes files"]),
        ] {
            let poll = json!({ "every_s": every_s, "every_s_min": least, "files": files });
            check(
                |it| {
                    it["triggers"][0]["kind"] = "webhook-then-poll".into();
                    it["triggers"][0]["poll"] = poll;
                },
                &wanted,
            );
        }
    }

    #[test]
    fn names_are_unique_and_not_reserved() {
        check(|it| it["triggers"][0]["id"] = "add".into(), &["two operations are named add"]);
        check(|it| it["actions"][0]["id"] = "discovery".into(), &["may be named discovery"]);
        check(|it| it["actions"][0]["id"] = "check".into(), &["may be named check"]);
    }

    #[test]
    fn methods_are_those_of_http() {
        check(|it| it["actions"][0]["destinations"] = json!(["GET,PSOT any"]), &["\"PSOT\" is no method"]);
        check(
            |it| it["connection"]["check"] = json!({ "destinations": ["GTE https://a.example/me"] }),
            &["\"GTE\" is no method"],
        );
        check(|it| it["actions"][0]["destinations"] = json!(["PROPFIND {base-url}/x", "* any"]), &[]);
    }

    #[test]
    fn hints_rates_keys_and_migrations_mean_something() {
        let field = |name: &str| json!({ "properties": { "list": { "type": "string", "choices": name } } });
        let lists = json!({ "choices": [{ "field": "list", "label": "A list", "help": "All of them." }] });
        check(|it| it["actions"][0]["input"] = field("list"), &["\"list\", which discovery does not list"]);
        check(
            |it| {
                it["actions"][0]["input"] = field("list");
                it["discovery"] = lists.clone();
            },
            &[],
        );
        check(|it| it["discovery"] = json!({}), &["neither choices nor objects"]);
        check(|it| it["actions"][0]["rate"] = json!({ "calls": 0, "per_s": 1 }), &["a rate of nothing"]);
        check(|it| it["actions"][0]["concurrency_key"] = "list".into(), &["no JSON Pointer"]);
        let key = json!({ "name": "credential", "why": "to sign" });
        check(|it| it["connection"]["keys"] = json!([key, key]), &["asked for twice"]);
        let migration =
            |operation: &str, before: &str| json!([{ "operation": operation, "before": before, "what": "x" }]);
        check(|it| it["migrations"] = migration("add", "1.0.0"), &[]);
        check(|it| it["migrations"] = migration("gone", "1.0.0"), &["no operation of this connector"]);
        check(|it| it["migrations"] = migration("add", "2.0.0"), &["a version to come"]);
        check(
            |it| {
                it.as_object_mut().expect("a manifest").remove("connection");
                it["actions"][0]["connection"] = "required".into();
            },
            &["works with an account"],
        );
    }
}
