//! What a form can ask: values to choose from, and fields of the account's own.

use serde_json::Value;

use crate::error::Result;

/// What a form asks of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The fields that are filled in so far.
    pub config: Value,
    /// What the person has typed; empty: nothing yet.
    pub query: String,
    /// The `next` of the page before.
    pub page: Option<String>,
}

impl Search {
    /// The text of a field that is filled in; None while it is not.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.config.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The page's number, for services that count them from 1.
    pub fn page_number(&self) -> usize {
        self.page.as_ref().and_then(|page| page.parse().ok()).unwrap_or(1)
    }

    /// Whether a name has what the person has typed, in any case of letters.
    pub fn meets(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.query.trim().to_lowercase())
    }
}

/// A value to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What goes into the field.
    pub value: String,
    /// What people read: one line.
    pub label: String,
    /// What helps to tell it from others: one line.
    pub help: Option<String>,
}

impl Choice {
    /// A value that is its own label.
    pub fn of(value: impl Into<String>) -> Self {
        let value = value.into();
        Self { label: value.clone(), value, help: None }
    }

    /// A value and what people read.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), help: None }
    }
}

/// A page of values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// At most 1,000.
    pub choices: Vec<Choice>,
    /// Asks for the next page; None: this was the last.
    pub next: Option<String>,
}

impl From<Vec<Choice>> for Offers {
    fn from(choices: Vec<Choice>) -> Self {
        Self { choices, next: None }
    }
}

/// Values of a field, as `#[choices]` makes it of a function.
pub trait Choices {
    /// The field's id: the function's name with hyphens.
    const ID: &'static str;
    /// Its members in the manifest, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;

    /// Values that fit what was asked.
    ///
    /// # Errors
    /// Those of the function.
    fn list(search: &Search) -> Result<Offers>;
}

/// Fields of an object that differ from account to account, as `#[fields]` makes them of
/// a function.
pub trait Fields {
    /// The object's id: the function's name with hyphens.
    const ID: &'static str;
    /// Its members in the manifest, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;

    /// A JSON Schema of an object with these fields.
    ///
    /// # Errors
    /// Those of the function.
    fn schema(config: &Value) -> Result<Value>;
}
