//! The flows of every world, and what each event must lead to.
//!
//! What is expected is said here a second time, by hand: the judge never asks the code
//! under test what should have happened.

use serde_json::{Value, json};

/// The environment of every world.
pub(crate) const ENVIRONMENT: &str = "sim";
/// What verifies deliveries.
pub(crate) const HOOK_SECRET: &str = "a shared hook secret";
/// The account's credential.
pub(crate) const TOKEN: &str = "token-of-the-simulated-account";

/// How an effect may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Repeating it changes nothing, or the remote knows its key.
    Keyed,
    /// Never twice.
    Once,
    /// Never twice, and the flow goes on when it surely failed.
    OnceOrNever,
}

/// A flow of the world.
pub(crate) struct Document {
    /// Its name.
    pub(crate) id: &'static str,
    /// The document; `@purpose@` stands for what a new version changes.
    pub(crate) text: &'static str,
    /// What starts it.
    pub(crate) start: Start,
    /// The steps that have effects, with their phase: steps of one phase come in any
    /// order, those of a later one only after it.
    pub(crate) steps: &'static [(&'static str, u32, Kind)],
    /// The effects that an event must lead to: the ends of their marks, which are the
    /// name of the step and in loops the number of the item.
    pub(crate) effects: fn(u64) -> Vec<String>,
    /// Whether such an event ends as failed by the flow's own will.
    pub(crate) stops: fn(u64) -> bool,
}

/// An effect that an event must lead to.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The end of its mark.
    pub(crate) suffix: String,
    /// The step it belongs to.
    pub(crate) step: &'static str,
    /// When.
    pub(crate) phase: u32,
    /// How it may be repeated.
    pub(crate) kind: Kind,
}

impl Document {
    /// What an event must lead to.
    pub(crate) fn wanted(&self, n: u64) -> Vec<Wanted> {
        let wanted = |suffix: String| {
            let name = suffix.trim_end_matches(|digit: char| digit.is_ascii_digit());
            let (step, phase, kind) = self.steps.iter().find(|(step, ..)| *step == name).copied()?;
            Some(Wanted { suffix, step, phase, kind })
        };
        (self.effects)(n).into_iter().filter_map(wanted).collect()
    }

    /// When a step has its turn; steps without effects have none.
    pub(crate) fn phase(&self, step: &str) -> Option<u32> {
        self.steps.iter().find(|(name, ..)| *name == step).map(|(_, phase, _)| *phase)
    }
}

/// What starts a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The connector's trigger: a delivery holds several events.
    Connector,
    /// The built-in webhook: the body is the event.
    Webhook,
    /// A person.
    Manual,
}

/// Every flow.
pub(crate) const DOCUMENTS: [Document; 6] = [
    Document {
        id: "alert",
        text: ALERT,
        start: Start::Connector,
        steps: &[("create", 0, Kind::Keyed), ("set", 1, Kind::Keyed)],
        effects: |n| if n > 50 { owned(&["create", "set"]) } else { owned(&["set"]) },
        stops: |_| false,
    },
    Document {
        id: "pay",
        text: PAY,
        start: Start::Webhook,
        steps: &[("look", 0, Kind::Keyed), ("fire", 1, Kind::Once), ("create", 2, Kind::Keyed)],
        effects: |_| owned(&["fire", "create"]),
        stops: |_| false,
    },
    Document {
        id: "answer",
        text: ANSWER,
        start: Start::Webhook,
        steps: &[("set", 0, Kind::Keyed)],
        effects: |_| owned(&["set"]),
        stops: |_| false,
    },
    Document {
        id: "hand",
        text: HAND,
        start: Start::Manual,
        steps: &[("fire", 0, Kind::OnceOrNever), ("create", 1, Kind::Keyed)],
        effects: |_| owned(&["fire", "create"]),
        stops: |_| false,
    },
    Document {
        id: "guard",
        text: GUARD,
        start: Start::Webhook,
        steps: &[("create", 0, Kind::Keyed), ("halt", 1, Kind::Keyed), ("fire", 1, Kind::Once)],
        effects: |n| if n.is_multiple_of(3) { owned(&["create"]) } else { owned(&["create", "fire"]) },
        stops: |n| n.is_multiple_of(3),
    },
    Document {
        id: "batch",
        text: BATCH,
        start: Start::Webhook,
        steps: &[
            ("even", 0, Kind::Keyed),
            ("each", 1, Kind::Keyed),
            ("put", 1, Kind::Keyed),
            ("shoot", 1, Kind::Once),
            ("last", 2, Kind::Keyed),
        ],
        effects: batch,
        stops: |_| false,
    },
];

/// Items of an event of this number.
pub(crate) fn items(n: u64) -> std::ops::Range<u64> {
    0..n % 4
}

/// The flow of this name.
pub(crate) fn document(id: &str) -> Option<&'static Document> {
    DOCUMENTS.iter().find(|document| document.id == id)
}

fn owned(suffixes: &[&str]) -> Vec<String> {
    suffixes.iter().map(|suffix| (*suffix).to_owned()).collect()
}

fn batch(n: u64) -> Vec<String> {
    let even = n.is_multiple_of(2).then(|| "even".to_owned());
    let each = items(n).flat_map(|item| [format!("put{item}"), format!("shoot{item}")]);
    even.into_iter().chain(each).chain(["last".to_owned()]).collect()
}

const ALERT: &str = r#"
version: 1
id: alert
name: Alert
purpose: "@purpose@"
trigger: { uses: sim/event, connection: account }
steps:
  - id: large
    if: "{{ trigger.n > 50 }}"
    then:
      - id: create
        uses: sim/create
        connection: account
        input: { mark: "{{ trigger.id }}/create", n: "{{ trigger.n }}" }
        retry: { attempts: 6, first: 200ms, most: 5s }
  - id: set
    uses: sim/set
    connection: account
    input: { mark: "{{ trigger.id }}/set", n: "{{ trigger.n }}" }
output: { n: "{{ steps.set.n }}" }
"#;

const PAY: &str = r#"
version: 1
id: pay
name: Pay
purpose: "@purpose@"
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: hook
steps:
  - id: look
    uses: sim/read
    connection: account
    input: { mark: "{{ trigger.id }}/read", n: "{{ trigger.n }}" }
  - id: fire
    uses: sim/fire
    connection: account
    input: { mark: "{{ trigger.id }}/fire", n: "{{ steps.look.n }}" }
    retry: { attempts: 4, first: 100ms, most: 2s }
  - id: sum
    transform: { n: "{{ trigger.n + steps.fire.n }}" }
  - id: create
    uses: sim/create
    connection: account
    input: { mark: "{{ trigger.id }}/create", n: "{{ steps.sum.n }}" }
output: { n: "{{ steps.sum.n }}" }
"#;

const ANSWER: &str = r#"
version: 1
id: answer
name: Answer
purpose: "@purpose@"
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: header, name: x-delivery }
  connection: hook
  respond: { within: 5s }
steps:
  - id: set
    uses: sim/set
    connection: account
    input: { mark: "{{ trigger.id }}/set", n: "{{ trigger.n }}" }
    timeout: 3s
output: { n: "{{ steps.set.n }}" }
"#;

const HAND: &str = r#"
version: 1
id: hand
name: By hand
purpose: "@purpose@"
trigger: { manual: {} }
steps:
  - id: fire
    uses: sim/fire
    connection: account
    input: { mark: "{{ trigger.id }}/fire", n: "{{ trigger.n }}" }
    on_error: continue
  - id: create
    uses: sim/create
    connection: account
    input: { mark: "{{ trigger.id }}/create", n: "{{ trigger.n }}" }
"#;

const GUARD: &str = r#"
version: 1
id: guard
name: Guard
purpose: "@purpose@"
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: fingerprint }
  connection: hook
steps:
  - id: create
    uses: sim/create
    connection: account
    input: { mark: "{{ trigger.id }}/create", n: "{{ trigger.n }}" }
  - id: third
    if: "{{ trigger.n % 3 == 0 }}"
    then:
      - id: halt
        stop: { outcome: failed, reason: "every third {{ trigger.id }}" }
    else:
      - id: fire
        uses: sim/fire
        connection: account
        input: { mark: "{{ trigger.id }}/fire", n: "{{ trigger.n }}" }
"#;

const BATCH: &str = r#"
version: 1
id: batch
name: Batch
purpose: "@purpose@"
trigger:
  webhook:
    verification: { scheme: token, header: x-token }
    delivery_key: { from: body, pointer: /id }
  connection: hook
steps:
  - id: parity
    switch: "{{ trigger.n % 2 }}"
    cases:
      - is: 0
        steps:
          - id: even
            uses: sim/set
            connection: account
            input: { mark: "{{ trigger.id }}/even", n: "{{ trigger.n }}" }
  - id: each
    foreach: "{{ trigger.items }}"
    concurrency: 3
    steps:
      - id: put
        uses: sim/create
        connection: account
        input: { mark: "{{ trigger.id }}/put{{ item }}", n: "{{ item }}" }
      - id: shoot
        uses: sim/fire
        connection: account
        input: { mark: "{{ trigger.id }}/shoot{{ item }}", n: "{{ item }}" }
    output: "{{ steps.put.n }}"
  - id: last
    uses: sim/set
    connection: account
    input: { mark: "{{ trigger.id }}/last", n: "{{ trigger.n }}" }
"#;

/// What the simulated connector says of itself.
pub(crate) fn manifest() -> Value {
    let schema = json!({
        "type": "object",
        "properties": { "mark": { "type": "string" }, "n": { "type": "integer" } },
        "required": ["n"],
    });
    let event = json!({
        "type": "object",
        "properties": { "id": { "type": "string" }, "n": { "type": "integer" } },
        "required": ["id", "n"],
    });
    let action = |id: &str, method: &str, effect: &str, idempotency: Value| {
        json!({
            "id": id, "label": id, "help": "Simulated.", "effect": effect, "idempotency": idempotency,
            "destinations": [format!("{method} https://sim.example/{id}")], "connection": "required",
            "input": schema, "output": schema,
            "sample": { "input": { "mark": "m", "n": 1 }, "output": { "n": 2 } },
        })
    };
    json!({
        "manifest_version": 1, "id": "sim", "version": "1.0.0", "label": "Simulated", "publisher": "Sluicegate",
        "license": "MIT", "support": { "owner": "Sluicegate", "contact": "none", "policy": "none" },
        "purpose": "Stands in for a service.", "data": "Marks.",
        "connection": {
            "auth": [{ "scheme": "bearer", "help": "Any." }],
            "check": { "destinations": ["GET https://sim.example/check"] },
        },
        "actions": [
            action("read", "GET", "read", json!({ "kind": "natural" })),
            action("set", "PUT", "update", json!({ "kind": "natural" })),
            action("create", "POST", "create", json!({ "kind": "key", "place": "idempotency-key" })),
            action("fire", "POST", "create", json!({ "kind": "none" })),
        ],
        "triggers": [{
            "id": "event", "label": "Event", "help": "Simulated.",
            "webhook": {
                "verification": { "scheme": "token", "header": "x-token" },
                "delivery_key": { "from": "header", "name": "x-delivery" },
            },
            "config": { "type": "object" }, "event": event,
            "sample": { "config": {}, "body": [], "event": { "id": "m", "n": 1 } },
        }],
    })
}

/// The grant for it.
pub(crate) const GRANT: &str = r#"
version = 1
plugin = "sim"

[operations.read]
destinations = ["GET https://sim.example/read"]

[operations.set]
destinations = ["PUT https://sim.example/set"]

[operations.create]
destinations = ["POST https://sim.example/create"]

[operations.fire]
destinations = ["POST https://sim.example/fire"]

[operations.check]
destinations = ["GET https://sim.example/check"]

[operations.event]

[limits]
requests_per_minute = 60000
concurrency = 64
"#;
