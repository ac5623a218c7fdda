//! May this operation send this request? Asked by people, answered by the policy.

use std::sync::Arc;

use model::{ConnectionId, Environment, OperationId, Problem, Target};
use policy::Explanation;

use crate::catalogue::subject;
use crate::engine::Engine;
use crate::error::EngineError;

/// A request that an operation might send.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The plugin: id, digest or the start of one.
    pub plugin: &'a str,
    /// The operation, or `check`.
    pub operation: &'a str,
    /// Where.
    pub environment: &'a Environment,
    /// As which account.
    pub connection: Option<&'a ConnectionId>,
    /// The method, in upper case.
    pub method: &'a str,
    /// The absolute URL.
    pub url: &'a str,
}

impl Engine {
    /// The answer of every party that must agree, in order.
    ///
    /// # Errors
    /// When plugin, operation or connection do not exist, or the URL is none.
    pub fn explain(&self, question: &Question<'_>) -> Result<Explanation, EngineError> {
        let installed = self.installed(question.plugin)?;
        let connection = question.connection.map(|id| self.live_connection(question.environment, id)).transpose()?;
        let target = Target::parse(question.method, question.url)
            .map_err(|error| EngineError::invalid(Problem::new("target", error.to_string())))?;
        let operation = match question.operation {
            "check" => None,
            name => Some(
                name.parse::<OperationId>()
                    .map_err(|error| EngineError::invalid(Problem::new("operation", error.to_string())))?,
            ),
        };
        let subject = subject(installed.manifest(), operation.as_ref()).ok_or_else(|| {
            EngineError::NotFound(
                Problem::new(
                    "unknown-operation",
                    format!("{} has no operation {}", installed.manifest().id, question.operation),
                )
                .fix(format!("list its operations: sluice plugin show {}", question.plugin)),
            )
        })?;
        let record = self.0.catalogue.approval(question.environment, &installed.record.digest);
        let approval = record.filter(|record| record.revoked.is_none()).map(|record| Arc::new(record.approval));
        Ok(policy::explain(
            &self.0.catalogue.ceiling,
            approval.as_ref(),
            &installed.record.digest,
            question.environment,
            installed.manifest(),
            subject,
            connection.as_ref().map(|connection| &connection.facts),
            &target,
        ))
    }
}
