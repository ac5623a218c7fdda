//! What people ask a connector outside any flow: choices for a form, fields of an
//! account, a poll on trial, and configuration of an earlier version.

use std::sync::Arc;

use model::{ConnectionId, Environment, FieldId, OperationId, Problem};
use sandbox::Position;
use serde_json::Value;

use crate::call::{CallTarget, CallView};
use crate::engine::Engine;
use crate::error::EngineError;

/// Which connector is asked, where, and as which account.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The plugin: id, digest or the start of one.
    pub plugin: &'a str,
    /// Where.
    pub environment: &'a Environment,
    /// As which account.
    pub connection: Option<&'a ConnectionId>,
}

impl Engine {
    /// Values for a field of a form.
    ///
    /// # Errors
    /// When plugin, connection or field do not exist. A call that was made and failed is
    /// a view with a failure.
    pub async fn choices(
        &self,
        asked: Asked<'_>,
        field: &FieldId,
        config: Value,
        query: &str,
        page: Option<&str>,
    ) -> Result<CallView, EngineError> {
        let installed = self.installed_for(asked.plugin, asked.environment)?;
        let known = installed.manifest().discovery.iter().flat_map(|discovery| &discovery.choices);
        let known: Vec<&str> = known.map(|choices| choices.field.as_str()).collect();
        if !known.contains(&field.as_str()) {
            let what = format!("{} knows no choices for {field}", installed.manifest().id);
            return Err(EngineError::NotFound(unknown("unknown-field", what, field.as_str(), &known)));
        }
        let (query, page) = (query.to_owned(), page.map(str::to_owned));
        let target = CallTarget::Choices { field: field.clone(), config: Arc::new(config), query, page };
        self.ask_connector(asked, target).await
    }

    /// The fields of an object that the account has beyond the usual ones.
    ///
    /// # Errors
    /// As [`Self::choices`].
    pub async fn fields(&self, asked: Asked<'_>, object: &FieldId, config: Value) -> Result<CallView, EngineError> {
        let installed = self.installed_for(asked.plugin, asked.environment)?;
        let known = installed.manifest().discovery.iter().flat_map(|discovery| &discovery.objects);
        let known: Vec<&str> = known.map(|custom| custom.object.as_str()).collect();
        if !known.contains(&object.as_str()) {
            let what = format!("{} knows no fields of {object}", installed.manifest().id);
            return Err(EngineError::NotFound(unknown("unknown-object", what, object.as_str(), &known)));
        }
        self.ask_connector(asked, CallTarget::Fields { object: object.clone(), config: Arc::new(config) }).await
    }

    /// Asks a trigger what happened, on trial: nothing is kept, and no flow runs.
    ///
    /// # Errors
    /// As [`Self::choices`].
    pub async fn try_poll(
        &self,
        asked: Asked<'_>,
        trigger: &OperationId,
        config: Value,
        from: Position,
    ) -> Result<CallView, EngineError> {
        self.ask_connector(asked, CallTarget::Poll { trigger: trigger.clone(), config: Arc::new(config), from }).await
    }

    /// Carries configuration of an operation, as an earlier version of the connector took
    /// it, to the approved one. What comes back fits its schema.
    ///
    /// # Errors
    /// As [`Self::choices`].
    pub async fn migrate(
        &self,
        asked: Asked<'_>,
        operation: &OperationId,
        config: Value,
        from_version: &str,
    ) -> Result<CallView, EngineError> {
        let from_version = from_version.to_owned();
        let target = CallTarget::Migrate { operation: operation.clone(), config: Arc::new(config), from_version };
        self.ask_connector(Asked { connection: None, ..asked }, target).await
    }

    async fn ask_connector(&self, asked: Asked<'_>, target: CallTarget) -> Result<CallView, EngineError> {
        let installed = self.installed_for(asked.plugin, asked.environment)?;
        let connection = asked.connection.map(|id| self.live_connection(asked.environment, id)).transpose()?;
        self.call_once(target, &installed, asked.environment, connection.as_deref()).await
    }
}

fn unknown(code: &str, what: String, name: &str, known: &[&str]) -> Problem {
    let problem = Problem::new(code, what);
    match model::nearest(name, known.iter().copied()) {
        Some(near) => problem.fix(format!("did you mean {near}?")),
        None if known.is_empty() => problem.fix("write the value by hand: this connector offers none"),
        None => problem.fix(format!("it knows: {}", known.join(", "))),
    }
}
