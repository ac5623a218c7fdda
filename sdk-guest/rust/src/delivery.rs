//! What a webhook brings, and the events it becomes.
//!
//! The host has verified and kept a delivery before a connector sees it; nothing here
//! needs a signature or a secret.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::reading;

/// A delivery that the host has verified and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names in lower case; only those that the trigger declares.
    pub headers: Vec<(String, String)>,
    /// The query string without its question mark.
    pub query: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Delivery {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON of this type; fields that the type does not have are ignored.
    ///
    /// # Errors
    /// `permanent`: a delivery that does not fit now will not fit later.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        reading::parse(&self.body)
            .map_err(|error| Error::permanent(format!("the delivery is not what the service documents: {error}")))
    }
}

/// What a trigger's function may return: `Vec<T>`, `Option<T>`, or [`Keyed<T>`]. No
/// event means: not of interest to this configuration.
pub trait IntoEvents {
    /// The event's type.
    type Payload: Serialize + JsonSchema;

    /// The events with the keys that tell them apart; None: the position in the list.
    fn into_events(self) -> Vec<(Option<String>, Self::Payload)>;
}

impl<T: Serialize + JsonSchema> IntoEvents for Vec<T> {
    type Payload = T;

    fn into_events(self) -> Vec<(Option<String>, T)> {
        self.into_iter().map(|payload| (None, payload)).collect()
    }
}

impl<T: Serialize + JsonSchema> IntoEvents for Option<T> {
    type Payload = T;

    fn into_events(self) -> Vec<(Option<String>, T)> {
        self.into_iter().map(|payload| (None, payload)).collect()
    }
}

/// Events of one delivery with keys that tell them apart, for a service that may put
/// the same thing into several deliveries. The host adds the delivery's own key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyed<T>(
    /// Dedupe keys and events.
    pub Vec<(String, T)>,
);

impl<T: Serialize + JsonSchema> IntoEvents for Keyed<T> {
    type Payload = T;

    fn into_events(self) -> Vec<(Option<String>, T)> {
        self.0.into_iter().map(|(key, payload)| (Some(key), payload)).collect()
    }
}
