//! Webhooks that a connector sets up at the service itself.

use serde_json::Value;

use crate::error::Result;

/// Where deliveries shall go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The address of the flow's webhook.
    pub url: String,
    /// Stands for the secret that the host made. Put it into the body of a request to
    /// the service: the host writes the secret in its place. None: there is none.
    pub secret: Option<String>,
}

/// A webhook at the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// What finds it again: its id at the service, with what is needed beside.
    pub handle: String,
    /// When the service ends it by itself, in milliseconds since 1970; None: never.
    pub expires_ms: Option<u64>,
}

/// Setting up, prolonging and taking away a trigger's webhook; `#[subscription]` stands
/// at its implementation.
pub trait Subscription {
    /// Its members in the manifest, as JSON text without braces.
    #[doc(hidden)]
    const FACTS: &'static str;

    /// Sets it up. After a crash this is called again: it finds what is there already,
    /// by its address.
    ///
    /// # Errors
    /// Those of the service.
    fn subscribe(trigger: &str, config: &Value, callback: &Callback) -> Result<Subscribed>;

    /// Prolongs it, or mends what has changed.
    ///
    /// # Errors
    /// `not-found` when it is gone: the host subscribes anew. Others are the service's.
    fn renew(trigger: &str, config: &Value, callback: &Callback, handle: &str) -> Result<Subscribed>;

    /// Takes it away; one that is gone already is no error.
    ///
    /// # Errors
    /// Those of the service.
    fn unsubscribe(trigger: &str, config: &Value, handle: &str) -> Result<()>;
}
