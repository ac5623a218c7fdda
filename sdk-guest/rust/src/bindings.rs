//! The contract's bindings, generated from the WIT package two folders up.
//!
//! Owns the only place where the guest's side of the boundary is named. One world
//! offers the imports; one world per capability gives an export macro, so that a
//! connector's crate exports what it declares and nothing else. Wherever this crate
//! is copied to, the `wit` folder goes to `../../wit` from it.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    reason = "generated bindings cross the component boundary through raw memory"
)]

use std::marker::PhantomData;

use crate::poll::Position;
use crate::{Callback, Connector, Delivery, Error, Subscribed};

pub mod offers {
    wit_bindgen::generate!({ path: "../../wit", world: "offers" });
}

pub mod describes {
    wit_bindgen::generate!({ path: "../../wit", world: "describes", pub_export_macro: true });
}

pub mod acts {
    wit_bindgen::generate!({ path: "../../wit", world: "acts", pub_export_macro: true });
}

pub mod receives {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "receives",
        pub_export_macro: true,
        with: { "sluicegate:connector/types@0.1.0": crate::bindings::types },
    });
}

pub mod checks {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "checks",
        pub_export_macro: true,
        with: { "sluicegate:connector/types@0.1.0": crate::bindings::types },
    });
}

pub mod polls {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "polls",
        pub_export_macro: true,
        with: { "sluicegate:connector/types@0.1.0": crate::bindings::types },
    });
}

pub mod subscribes {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "subscribes",
        pub_export_macro: true,
        with: { "sluicegate:connector/types@0.1.0": crate::bindings::types },
    });
}

pub mod discovers {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "discovers",
        pub_export_macro: true,
        with: { "sluicegate:connector/types@0.1.0": crate::bindings::types },
    });
}

pub mod migrates {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "migrates",
        pub_export_macro: true,
        with: { "sluicegate:connector/types@0.1.0": crate::bindings::types },
    });
}

pub use acts::sluicegate::connector::types;
use discovers::exports::sluicegate::connector::discovery;
use polls::exports::sluicegate::connector::polling;
use subscribes::exports::sluicegate::connector::subscriptions;

/// A connector, as its component exports it.
pub struct Exported<C>(PhantomData<C>);

impl<C: Connector> describes::exports::sluicegate::connector::manifest::Guest for Exported<C> {
    fn describe() -> String {
        C::describe()
    }
}

impl<C: Connector> acts::exports::sluicegate::connector::actions::Guest for Exported<C> {
    fn invoke(operation: String, input: String) -> Result<String, types::Error> {
        C::invoke(&operation, &input).map_err(Into::into)
    }
}

impl<C: Connector> receives::exports::sluicegate::connector::webhooks::Guest for Exported<C> {
    fn receive(
        trigger: String,
        config: String,
        delivery: receives::exports::sluicegate::connector::webhooks::Delivery,
    ) -> Result<Vec<receives::exports::sluicegate::connector::webhooks::Event>, types::Error> {
        let delivery = Delivery { headers: delivery.headers, query: delivery.query, body: delivery.body };
        let events = C::receive(&trigger, &config, &delivery)?;
        Ok(events
            .into_iter()
            .map(|event| receives::exports::sluicegate::connector::webhooks::Event {
                dedupe_key: event.dedupe_key,
                payload: event.payload,
            })
            .collect())
    }
}

impl<C: Connector> checks::exports::sluicegate::connector::account::Guest for Exported<C> {
    fn check() -> Result<String, types::Error> {
        C::check().map_err(Into::into)
    }
}

impl<C: Connector> polling::Guest for Exported<C> {
    fn poll(trigger: String, config: String, from: polling::Position) -> Result<polling::Page, types::Error> {
        let from = match from {
            polling::Position::Now => Position::Now,
            polling::Position::Beginning => Position::Beginning,
            polling::Position::After(cursor) => Position::After(cursor),
        };
        let page = C::poll(&trigger, &config, &from)?;
        let items = page.items.into_iter().map(|item| polling::Item {
            dedupe_key: item.dedupe_key,
            order_key: item.order_key,
            payload: item.payload,
        });
        Ok(polling::Page { items: items.collect(), cursor: page.cursor, more: page.more })
    }
}

impl<C: Connector> subscriptions::Guest for Exported<C> {
    fn subscribe(
        trigger: String,
        config: String,
        callback: subscriptions::Callback,
    ) -> Result<subscriptions::Subscription, types::Error> {
        Ok(to_subscription(C::subscribe(&trigger, &config, &to_callback(callback))?))
    }

    fn renew(
        trigger: String,
        config: String,
        callback: subscriptions::Callback,
        handle: String,
    ) -> Result<subscriptions::Subscription, types::Error> {
        Ok(to_subscription(C::renew(&trigger, &config, &to_callback(callback), &handle)?))
    }

    fn unsubscribe(trigger: String, config: String, handle: String) -> Result<(), types::Error> {
        C::unsubscribe(&trigger, &config, &handle).map_err(Into::into)
    }
}

fn to_callback(callback: subscriptions::Callback) -> Callback {
    Callback { url: callback.url, secret: callback.secret }
}

fn to_subscription(made: Subscribed) -> subscriptions::Subscription {
    subscriptions::Subscription { handle: made.handle, expires_ms: made.expires_ms }
}

impl<C: Connector> discovery::Guest for Exported<C> {
    fn choices(
        field: String,
        config: String,
        query: String,
        page: Option<String>,
    ) -> Result<discovery::ChoicePage, types::Error> {
        let offers = C::choices(&field, &config, &query, page.as_deref())?;
        let choices = offers.choices.into_iter().map(|choice| discovery::Choice {
            value: choice.value,
            label: choice.label,
            help: choice.help,
        });
        Ok(discovery::ChoicePage { choices: choices.collect(), next: offers.next })
    }

    fn fields(object: String, config: String) -> Result<String, types::Error> {
        C::fields(&object, &config).map_err(Into::into)
    }
}

impl<C: Connector> migrates::exports::sluicegate::connector::migration::Guest for Exported<C> {
    fn migrate(operation: String, config: String, from_version: String) -> Result<String, types::Error> {
        C::migrate(&operation, &config, &from_version).map_err(Into::into)
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::AuthExpired => Self::AuthExpired,
            Error::AuthRevoked => Self::AuthRevoked,
            Error::MissingScopes(scopes) => Self::MissingScopes(scopes),
            Error::RateLimited(wait_ms) => Self::RateLimited(wait_ms),
            Error::Transient(message) => Self::Transient(message),
            Error::InvalidInput(fields) => Self::InvalidInput(
                fields
                    .into_iter()
                    .map(|field| types::FieldProblem { path: field.path, expected: field.expected, got: field.got })
                    .collect(),
            ),
            Error::NotFound(message) => Self::NotFound(message),
            Error::Conflict(message) => Self::Conflict(message),
            Error::Remote { status, message } => Self::Remote(types::RemoteAnswer { status, message }),
            Error::Permanent(message) => Self::Permanent(message),
            Error::Other { code, details } => Self::Other(types::OtherFailure { code, details: details.to_string() }),
        }
    }
}
