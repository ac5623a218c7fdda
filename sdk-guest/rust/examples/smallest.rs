//! The smallest connector with an action and a trigger, whole.
use sluicegate_sdk::{Delivery, Result, action, connector, http, object, trigger};

#[object]
struct NewCard {
    /// What is to be done.
    title: String,
}

#[object]
struct Card {
    id: String,
    title: String,
}

/// Add a card
///
/// Adds a card to the end of a list.
#[action(effect = create, idempotency = key("idempotency-key"), destinations = ["POST {base-url}/cards"],
    scopes = { "cards:write": "to add the card" },
    sample = { input: { title: "Call Ada" }, output: { id: "7", title: "Call Ada" } })]
fn add_card(input: NewCard) -> Result<Card> {
    http::post("{base-url}/cards").idempotency_key("idempotency-key").json(&input).send()?.json()
}

/// Card added
#[trigger(verification = standard_webhooks, delivery_key = header("webhook-id"),
    sample = { config: {}, body: { id: "7", title: "Call Ada" }, event: { id: "7", title: "Call Ada" } })]
fn card_added(delivery: &Delivery) -> Result<Vec<Card>> {
    Ok(vec![delivery.json()?])
}

connector! {
    id: "board", label: "Board", publisher: "Example",
    support: { owner: "Example", contact: "help@example.com", policy: "community" },
    purpose: "Adds cards to a board and tells of new ones.", data: "Titles of cards.",
    connection: { base_url: { default: "https://board.example/api", help: "Where your board lives." },
        auth: [{ scheme: "bearer", help: "Settings, Tokens." }] }, actions: [add_card], triggers: [card_added],
}
