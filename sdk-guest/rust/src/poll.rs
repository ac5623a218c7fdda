//! Asking a service what happened, without losing anything and without saying it twice.
//!
//! Owns the types of a poll and two ways to read one: [`Feed`] for services that list
//! things with their times, page by page, and [`Snapshot`] for places that show all they
//! hold at once. The host keeps cursor and events in one batch, so whatever a poll
//! answers takes effect once; what is left to get wrong is in here, and tested here.

mod cursor;
mod feed;
mod snapshot;
#[cfg(test)]
mod tests;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;

pub use feed::{Ask, Feed, Listing};
pub use snapshot::Snapshot;

/// Items of one page: the host takes no more.
const ITEMS_MAX: usize = 1_000;

/// From where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The first poll of a flow that wants what is yet to come.
    Now,
    /// The first poll of a flow that wants everything there is.
    Beginning,
    /// Where the page before ended: its cursor.
    After(String),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<T> {
    /// The same whenever it is found again, and of nothing else: what the service calls
    /// it. For changes of a thing, what it is called and when it changed.
    pub id: String,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The event.
    pub event: T,
}

impl<T> Item<T> {
    /// An item of its id, its time and its event.
    pub fn new(id: impl fmt::Display, at_ms: u64, event: T) -> Self {
        Self { id: id.to_string(), at_ms, event }
    }

    /// Items take place in the order of their times, those of one time in that of ids.
    pub(crate) fn order_key(&self) -> String {
        format!("{:015}/{}", self.at_ms, self.id)
    }
}

/// What a poll found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order in which they take place; at most 1,000.
    pub items: Vec<Item<T>>,
    /// Where the next poll goes on.
    pub cursor: String,
    /// Whether there is more already: the host asks again at once.
    pub more: bool,
}

impl<T> Page<T> {
    /// The page with the events that `keep` makes of its own; where it makes none, the
    /// item is left out. It counts as read all the same.
    pub fn filter_map<U>(self, mut keep: impl FnMut(T) -> Option<U>) -> Page<U> {
        let items = self.items.into_iter();
        let items = items.filter_map(|item| Some(Item { id: item.id, at_ms: item.at_ms, event: keep(item.event)? }));
        Page { items: items.collect(), cursor: self.cursor, more: self.more }
    }
}

/// A polled trigger, as `#[poll]` makes one of a function.
pub trait Poll {
    /// Its id: the function's name with hyphens.
    const ID: &'static str;
    /// Its members in the manifest before the schemas, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;
    /// The members of its `poll`, as JSON text without braces.
    #[doc(hidden)]
    const POLL: &'static str;
    /// Its sample in the manifest, as JSON text.
    #[doc(hidden)]
    const SAMPLE: &'static str;
    /// Whether it works with an account; None: as the connector does.
    #[doc(hidden)]
    const CONNECTION: Option<&'static str>;
    /// What a flow configures.
    type Config: DeserializeOwned + JsonSchema;
    /// What it finds.
    type Event: Serialize + JsonSchema;

    /// What happened since.
    ///
    /// # Errors
    /// Those of the function.
    fn poll(config: Self::Config, from: &Position) -> Result<Page<Self::Event>>;
}

/// A page, as it crosses the boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPage {
    /// The items.
    pub items: Vec<Found>,
    /// Where the next poll goes on.
    pub cursor: String,
    /// Whether there is more already.
    pub more: bool,
}

/// An item, as it crosses the boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The same whenever it is found again.
    pub dedupe_key: String,
    /// Its place among the others.
    pub order_key: String,
    /// JSON that satisfies the trigger's event schema.
    pub payload: String,
}
