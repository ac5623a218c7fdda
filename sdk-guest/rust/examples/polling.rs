//! A connector that asks a service now and then what is new, whole.
use sluicegate_sdk::poll::{Ask, Feed, Item, Listing, Page, Position};
use sluicegate_sdk::{Error, Result, connector, http, object, poll, time};

#[object]
struct Card {
    id: String,
    title: String,
    created_at: String,
}

/// New card
///
/// When a card is added to the board.
#[poll(every = "5m", at_most_every = "1m", destinations = ["GET {base-url}/cards"],
    scopes = { "cards:read": "to see new cards" },
    sample = { config: {}, event: { id: "7", title: "Call Ada", created_at: "2026-01-05T09:00:00Z" } })]
fn new_card(from: &Position) -> Result<Page<Card>> {
    Feed::oldest_first().read(from, list)
}

fn list(ask: &Ask) -> Result<Listing<Card>> {
    let request = http::get("{base-url}/cards").query_if("since", ask.since()).query("page", ask.page_number());
    let response = request.send()?;
    let next = response.has_next_page().then(|| (ask.page_number() + 1).to_string());
    let items = response.json::<Vec<Card>>()?.into_iter().map(|card| {
        let at_ms = time::parse_utc(&card.created_at).ok_or_else(|| Error::permanent("a card without a time"))?;
        Ok(Item::new(card.id.clone(), at_ms, card))
    });
    Ok(Listing { items: items.collect::<Result<_>>()?, next })
}

connector! {
    id: "board", label: "Board", publisher: "Example",
    support: { owner: "Example", contact: "help@example.com", policy: "community" },
    purpose: "Tells of new cards.", data: "Titles of cards.",
    connection: { base_url: { default: "https://board.example/api", help: "Where your board lives." },
        auth: [{ scheme: "bearer", help: "Settings, Tokens." }] }, polls: [new_card],
}
