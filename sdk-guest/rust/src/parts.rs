//! What the macros make of polls, subscriptions, discovery and migrations: dispatch on
//! one side, members of the manifest on the other.

use serde_json::Value;

use crate::discovery::{Choices, Fields, Offers, Search};
use crate::error::{Error, Result};
use crate::migration::{Migrate, parse_version};
use crate::operation::{from_flow, to_json};
use crate::poll::{Found, FoundPage, Poll, Position};
use crate::schema;
use crate::subscription::Subscription;

/// Asks `P` what happened.
///
/// # Errors
/// `invalid-input` for a configuration that does not fit, then those of the poll.
pub fn poll<P: Poll>(config: &str, from: &Position) -> Result<FoundPage> {
    let page = P::poll(from_flow(config)?, from)?;
    let items = page.items.iter().map(|item| {
        Ok(Found { dedupe_key: item.id.clone(), order_key: item.order_key(), payload: to_json(&item.event)? })
    });
    Ok(FoundPage { items: items.collect::<Result<_>>()?, cursor: page.cursor, more: page.more })
}

/// The configuration of a trigger, for what serves several of them.
///
/// # Errors
/// `invalid-input` when it is no JSON.
pub fn config(text: &str) -> Result<Value> {
    from_flow(text)
}

/// Asks `C` for values.
///
/// # Errors
/// Those of the function.
pub fn list<C: Choices>(config: &str, query: &str, page: Option<&str>) -> Result<Offers> {
    C::list(&Search { config: from_flow(config)?, query: query.to_owned(), page: page.map(str::to_owned) })
}

/// Asks `F` for a schema.
///
/// # Errors
/// Those of the function.
pub fn fields<F: Fields>(config: &str) -> Result<String> {
    Ok(F::schema(&from_flow::<Value>(config)?)?.to_string())
}

/// Carries a configuration over with `M`.
///
/// # Errors
/// Those of the function.
pub fn migrate<M: Migrate>(config: &str, from_version: &str) -> Result<String> {
    let config: Value = serde_json::from_str(config)
        .map_err(|error| Error::permanent(format!("the stored configuration is no JSON: {error}")))?;
    Ok(M::migrate(config, parse_version(from_version))?.to_string())
}

/// A polled trigger of the manifest. `connected`: whether the connector has accounts.
pub fn describe_poll<P: Poll>(connected: bool) -> String {
    let need = P::CONNECTION.unwrap_or(if connected { "required" } else { "none" });
    format!(
        r#"{{"id":"{}",{},"kind":"poll","poll":{{{},"connection":"{need}"}},"config":{},"event":{},"sample":{}}}"#,
        P::ID,
        P::FACTS,
        P::POLL,
        schema::taken::<P::Config>(),
        schema::given::<P::Event>(),
        P::SAMPLE
    )
}

/// The subscription of a trigger.
pub fn describe_subscription<S: Subscription>() -> String {
    format!("{{{}}}", S::FACTS)
}

/// A field of the manifest's discovery.
pub fn describe_choices<C: Choices>() -> String {
    format!(r#"{{"field":"{}",{}}}"#, C::ID, C::FACTS)
}

/// An object of the manifest's discovery.
pub fn describe_fields<F: Fields>() -> String {
    format!(r#"{{"object":"{}",{}}}"#, F::ID, F::FACTS)
}

/// The manifest's discovery, of its members and lists.
pub fn describe_discovery(facts: &str, connected: bool, choices: &[String], objects: &[String]) -> String {
    let need = if connected { "required" } else { "none" };
    format!(r#"{{{facts}"connection":"{need}","choices":[{}],"objects":[{}]}}"#, choices.join(","), objects.join(","))
}

/// A migration of the manifest.
pub fn describe_migration<M: Migrate>() -> String {
    format!(r#"{{"operation":"{}",{}}}"#, M::OPERATION, M::FACTS)
}
