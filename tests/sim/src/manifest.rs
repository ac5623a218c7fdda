//! The simulated connector's manifest and grant, and the names of every world.

use serde_json::{Value, json};

/// The environment of every world.
pub(crate) const ENVIRONMENT: &str = "sim";
/// What verifies deliveries.
pub(crate) const HOOK_SECRET: &str = "a shared hook secret";
/// The account's credential.
pub(crate) const TOKEN: &str = "token-of-the-simulated-account";
/// Where services reach the host.
pub(crate) const PUBLIC_URL: &str = "https://host.example";

/// What the simulated connector says of itself.
pub(crate) fn manifest() -> Value {
    let schema = json!({
        "type": "object",
        "properties": { "mark": { "type": "string" }, "n": { "type": "integer" } },
        "required": ["n"],
    });
    let event = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "n": { "type": "integer" },
            "at": { "type": "string" },
            "at_s": { "type": "integer" },
        },
        "required": ["id", "n", "at"],
    });
    let an_event = json!({ "id": "m", "n": 1, "at": "2027-01-15T08:00:00Z" });
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
        "triggers": [
            {
                "id": "event", "label": "Event", "help": "Simulated.",
                "webhook": {
                    "verification": { "scheme": "token", "header": "x-token" },
                    "delivery_key": { "from": "header", "name": "x-delivery" },
                },
                "subscription": {
                    "destinations": ["POST https://sim.example/subscribe", "POST https://sim.example/unsubscribe"],
                    "by_hand": "tell the simulation",
                },
                "config": { "type": "object" }, "event": event,
                "sample": { "config": {}, "body": [], "event": an_event },
            },
            {
                "id": "feed", "label": "Feed", "help": "Simulated.", "kind": "poll",
                "poll": {
                    "every_s": 60, "every_s_min": 5, "connection": "required",
                    "destinations": ["GET https://sim.example/feed"],
                },
                "config": { "type": "object" }, "event": event,
                "sample": { "config": {}, "event": an_event },
            },
        ],
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
destinations = ["POST https://sim.example/subscribe", "POST https://sim.example/unsubscribe"]

[operations.feed]
destinations = ["GET https://sim.example/feed"]

[limits]
requests_per_minute = 60000
concurrency = 64
"#;
