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

use crate::{Connector, Delivery, Error};

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

pub use acts::sluicegate::connector::types;

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
