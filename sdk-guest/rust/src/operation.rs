//! What the macros make of a connector's functions, and the manifest assembled from it.
//!
//! Owns dispatch by operation id and the order of a manifest's parts. The facts of
//! each operation come from its attribute as JSON text, checked when it was expanded;
//! only the schemas are made at run time, from the types.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::delivery::{Delivery, IntoEvents};
use crate::discovery::Offers;
use crate::error::{Error, Result};
use crate::poll::{FoundPage, Position};
use crate::subscription::{Callback, Subscribed};
use crate::{reading, schema};

/// An input or a configuration without fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// An action, as `#[action]` makes one of a function.
pub trait Action {
    /// Its id: the function's name with hyphens.
    const ID: &'static str;
    /// Its members in the manifest before the schemas, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;
    /// Its sample in the manifest, as JSON text.
    #[doc(hidden)]
    const SAMPLE: &'static str;
    /// Whether it works with an account; None: as the connector does.
    #[doc(hidden)]
    const CONNECTION: Option<&'static str>;
    /// What a flow gives.
    type Input: DeserializeOwned + JsonSchema;
    /// What a flow receives.
    type Output: Serialize + JsonSchema;

    /// Performs it.
    ///
    /// # Errors
    /// Those of the function.
    fn perform(input: Self::Input) -> Result<Self::Output>;
}

/// A trigger, as `#[trigger]` makes one of a function.
pub trait Trigger {
    /// Its id: the function's name with hyphens.
    const ID: &'static str;
    /// Its members in the manifest before the schemas, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;
    /// Its sample in the manifest, as JSON text.
    #[doc(hidden)]
    const SAMPLE: &'static str;
    /// What a flow configures.
    type Config: DeserializeOwned + JsonSchema;
    /// What it makes of a delivery.
    type Events: IntoEvents;

    /// Maps a delivery.
    ///
    /// # Errors
    /// Those of the function.
    fn map(config: Self::Config, delivery: &Delivery) -> Result<Self::Events>;
}

/// The test of a connection, as `#[check]` makes one of a function.
pub trait Check {
    /// Its members in the manifest, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;

    /// Tests the credential and names the account.
    ///
    /// # Errors
    /// Those of the function.
    fn test() -> Result<String>;
}

/// One thing that happened, as it crosses the boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Tells events of one delivery apart; None: the position in the list.
    pub dedupe_key: Option<String>,
    /// JSON that satisfies the trigger's event schema.
    pub payload: String,
}

/// A connector, as `connector!` makes one. What it does not declare, it refuses.
pub trait Connector {
    /// The manifest.
    fn describe() -> String;

    /// Performs an action.
    ///
    /// # Errors
    /// Those of the action; `permanent` for one that does not exist.
    fn invoke(operation: &str, _input: &str) -> Result<String> {
        Err(Error::permanent(format!("this connector has no action {operation:?}")))
    }

    /// Maps a delivery to events.
    ///
    /// # Errors
    /// Those of the trigger; `permanent` for one that does not exist.
    fn receive(trigger: &str, _config: &str, _delivery: &Delivery) -> Result<Vec<Event>> {
        Err(Error::permanent(format!("this connector has no trigger {trigger:?}")))
    }

    /// Tests the connection and names the account.
    ///
    /// # Errors
    /// Those of the check; `permanent` where there is none.
    fn check() -> Result<String> {
        Err(Error::permanent("this connector cannot test a connection"))
    }

    /// Asks a trigger what happened.
    ///
    /// # Errors
    /// Those of the poll; `permanent` for a trigger that is not polled.
    fn poll(trigger: &str, _config: &str, _from: &Position) -> Result<FoundPage> {
        Err(Error::permanent(format!("this connector does not poll {trigger:?}")))
    }

    /// Sets up the webhook of a trigger.
    ///
    /// # Errors
    /// Those of the subscription; `permanent` for a trigger without one.
    fn subscribe(trigger: &str, _config: &str, _callback: &Callback) -> Result<Subscribed> {
        Err(Error::permanent(format!("this connector sets up no webhook of {trigger:?}")))
    }

    /// Prolongs the webhook of a trigger.
    ///
    /// # Errors
    /// Those of the subscription; `permanent` for a trigger without one.
    fn renew(trigger: &str, _config: &str, _callback: &Callback, _handle: &str) -> Result<Subscribed> {
        Err(Error::permanent(format!("this connector sets up no webhook of {trigger:?}")))
    }

    /// Takes the webhook of a trigger away.
    ///
    /// # Errors
    /// Those of the subscription; `permanent` for a trigger without one.
    fn unsubscribe(trigger: &str, _config: &str, _handle: &str) -> Result<()> {
        Err(Error::permanent(format!("this connector sets up no webhook of {trigger:?}")))
    }

    /// Values for a field of a form.
    ///
    /// # Errors
    /// Those of the function; `permanent` for a field without choices.
    fn choices(field: &str, _config: &str, _query: &str, _page: Option<&str>) -> Result<Offers> {
        Err(Error::permanent(format!("this connector knows no choices for {field:?}")))
    }

    /// Fields of an object that differ from account to account.
    ///
    /// # Errors
    /// Those of the function; `permanent` for another object.
    fn fields(object: &str, _config: &str) -> Result<String> {
        Err(Error::permanent(format!("this connector knows no fields of {object:?}")))
    }

    /// Carries stored configuration to this version.
    ///
    /// # Errors
    /// Those of the function; `permanent` for an operation without one.
    fn migrate(operation: &str, _config: &str, _from_version: &str) -> Result<String> {
        Err(Error::permanent(format!("this connector carries nothing over for {operation:?}")))
    }
}

/// Performs `A` with a JSON text.
///
/// # Errors
/// `invalid-input` for an input that does not fit, then those of the action.
pub fn invoke<A: Action>(input: &str) -> Result<String> {
    to_json(&A::perform(from_flow(input)?)?)
}

/// Maps a delivery with `T`.
///
/// # Errors
/// `invalid-input` for a configuration that does not fit, then those of the trigger.
pub fn receive<T: Trigger>(config: &str, delivery: &Delivery) -> Result<Vec<Event>> {
    let events = T::map(from_flow(config)?, delivery)?.into_events();
    events.into_iter().map(|(dedupe_key, payload)| Ok(Event { dedupe_key, payload: to_json(&payload)? })).collect()
}

/// The host has checked the text against the schema, so a misfit here means that a
/// type and its schema disagree; it is reported where the person can see it all the same.
pub(crate) fn from_flow<T: DeserializeOwned>(text: &str) -> Result<T> {
    reading::parse(text.as_bytes()).map_err(|error| Error::invalid_input("", "what the form describes", error))
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::permanent(format!("the result is no JSON: {error}")))
}

/// What `connector!` gathers for the manifest; each list as JSON texts.
#[derive(Debug)]
pub struct Parts {
    /// Identity: members before the connection, as JSON text without braces.
    pub facts: &'static str,
    /// The icon, an SVG document.
    pub icon: Option<&'static str>,
    /// Members of `connection` without braces; None for connectors without accounts.
    pub connection: Option<&'static str>,
    /// `check` of the connection.
    pub check: Option<String>,
    /// The actions.
    pub actions: Vec<String>,
    /// The triggers.
    pub triggers: Vec<String>,
    /// What forms can ask.
    pub discovery: Option<String>,
    /// What is carried over.
    pub migrations: Vec<String>,
}

impl Parts {
    /// The manifest, compact.
    pub fn to_manifest(&self, version: &str, license: &str) -> String {
        let mut text = format!(r#"{{"manifest_version":1,"version":"{version}","license":"{license}""#);
        text.push(',');
        text.push_str(self.facts);
        if let Some(icon) = self.icon {
            text.push_str(&format!(r#","icon":{}"#, serde_json::Value::from(icon)));
        }
        if let Some(connection) = self.connection {
            text.push_str(r#","connection":{"#);
            text.push_str(connection);
            if let Some(check) = &self.check {
                text.push_str(r#","check":"#);
                text.push_str(check);
            }
            text.push('}');
        }
        for (name, items) in [("actions", &self.actions), ("triggers", &self.triggers)] {
            text.push_str(&format!(r#","{name}":[{}]"#, items.join(",")));
        }
        if let Some(discovery) = &self.discovery {
            text.push_str(&format!(r#","discovery":{discovery}"#));
        }
        if !self.migrations.is_empty() {
            text.push_str(&format!(r#","migrations":[{}]"#, self.migrations.join(",")));
        }
        text.push('}');
        text
    }
}

/// An action of the manifest. `connected`: whether the connector has accounts.
pub fn describe_action<A: Action>(connected: bool) -> String {
    let need = A::CONNECTION.unwrap_or(if connected { "required" } else { "none" });
    format!(
        r#"{{"id":"{}",{},"connection":"{need}","input":{},"output":{},"sample":{}}}"#,
        A::ID,
        A::FACTS,
        schema::taken::<A::Input>(),
        schema::given::<A::Output>(),
        A::SAMPLE
    )
}

/// A trigger of the manifest; `subscription`: what sets its webhook up, as JSON text.
pub fn describe_trigger<T: Trigger>(subscription: Option<String>) -> String {
    let subscription = subscription.map(|part| format!(r#","subscription":{part}"#)).unwrap_or_default();
    format!(
        r#"{{"id":"{}",{}{subscription},"config":{},"event":{},"sample":{}}}"#,
        T::ID,
        T::FACTS,
        schema::taken::<T::Config>(),
        schema::given::<<T::Events as IntoEvents>::Payload>(),
        T::SAMPLE
    )
}

/// The check of the manifest.
pub fn describe_check<C: Check>() -> String {
    format!("{{{}}}", C::FACTS)
}
