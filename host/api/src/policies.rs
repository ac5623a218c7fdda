//! The policy's reasons for one request, as if an operation were about to send it.

use axum::extract::State;
use engine::Engine;
use policy::Explanation;

use crate::error::ApiError;
use crate::request::Json;
use crate::wire::{Explained, ExplainedStep, Question};

pub(crate) async fn explain(
    State(engine): State<Engine>,
    Json(question): Json<Question>,
) -> Result<Json<Explained>, ApiError> {
    let explanation = engine.explain(&engine::Question {
        plugin: &question.plugin,
        operation: &question.operation,
        environment: &question.environment,
        connection: question.connection.as_ref(),
        method: &question.method,
        url: &question.url,
    })?;
    Ok(Json(explained(explanation)))
}

fn explained(explanation: Explanation) -> Explained {
    let step = |step: policy::Step| ExplainedStep {
        party: step.layer.as_str().to_owned(),
        passes: step.passes,
        rule: step.rule,
    };
    Explained {
        question: explanation.question,
        allowed: explanation.allowed,
        carries_credential: explanation.carries_credential,
        steps: explanation.steps.into_iter().map(step).collect(),
        problem: explanation.denial.map(|denial| denial.to_problem()),
    }
}
