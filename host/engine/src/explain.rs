//! May this operation send this request? Asked by people, answered by the policy.

use std::sync::Arc;

use model::{ConnectionId, Environment, OperationId, Problem, Target};
use policy::Explanation;

use crate::catalogue::unknown_operation;
use crate::engine::Engine;
use crate::error::EngineError;

/// A request that an operation might send.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The plugin: id, digest or the start of one.
    pub plugin: &'a str,
    /// An action, a trigger, or `check`.
    pub operation: &'a OperationId,
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
        let installed = self.installed_for(question.plugin, question.environment)?;
        let manifest = installed.manifest();
        let connection = question.connection.map(|id| self.live_connection(question.environment, id)).transpose()?;
        let target = Target::parse(question.method, question.url)
            .map_err(|error| EngineError::invalid(Problem::new("url", error.to_string())))?;
        let record = self.0.catalogue.approval(question.environment, &installed.record.digest);
        let approval = record.filter(|record| record.revoked.is_none()).map(|record| Arc::new(record.approval));
        let explain = |subject| {
            policy::explain(
                &self.0.catalogue.ceiling,
                approval.as_ref(),
                &installed.record.digest,
                question.environment,
                manifest,
                subject,
                connection.as_ref().map(|connection| &connection.facts),
                &target,
            )
        };
        // A trigger has parts, each with destinations of its own: the last one speaks
        // for them all, unless another is allowed.
        let parts = policy::subjects(manifest).into_iter();
        let answers = parts.filter(|subject| subject.name() == question.operation.as_str()).map(explain);
        let better = |best: Explanation, next: Explanation| if best.allowed { best } else { next };
        let unknown = || EngineError::NotFound(unknown_operation(manifest, question.operation.as_str()));
        answers.reduce(better).ok_or_else(unknown)
    }
}
