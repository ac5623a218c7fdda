//! The policy's reasons for one request, as if an operation were about to send it.

use std::sync::Arc;

use axum::extract::State;
use engine::{ApprovalRecord, ConnectionRecord, Engine, EngineError, PluginView};
use model::{Environment, Manifest, OperationId, Problem, Target, nearest, parse_base_url};
use policy::{ConnectionFacts, Explanation, Subject};

use crate::error::ApiError;
use crate::request::Json;
use crate::wire::{Explained, ExplainedStep, Question};

pub(crate) async fn explain(
    State(engine): State<Engine>,
    Json(question): Json<Question>,
) -> Result<Json<Explained>, ApiError> {
    let plugin = plugin(&engine, &question)?;
    let manifest = &plugin.record.manifest;
    let subject = subject(manifest, &question.operation)?;
    let target = Target::parse(&question.method, &question.url).map_err(|error| bad("url", error.to_string()))?;
    let connection = match &question.connection {
        Some(id) => Some(facts(engine.connections(), &question.environment, id.as_str())?),
        None => None,
    };
    let approval = in_force(&plugin, &question.environment).map(|record| Arc::new(record.approval.clone()));
    let explanation = policy::explain(
        engine.ceiling(),
        approval.as_ref(),
        &plugin.record.digest,
        &question.environment,
        manifest,
        subject,
        connection.as_ref(),
        &target,
    );
    Ok(Json(explained(explanation)))
}

fn bad(code: &str, what: String) -> ApiError {
    EngineError::Invalid(vec![Problem::new(code, what)]).into()
}

fn in_force<'a>(plugin: &'a PluginView, environment: &Environment) -> Option<&'a ApprovalRecord> {
    plugin.approvals.iter().find(|record| record.revoked.is_none() && record.approval.environment == *environment)
}

/// An id means the component approved last in the environment, as it does in flows;
/// if none is approved, the one installed last.
fn plugin(engine: &Engine, question: &Question) -> Result<PluginView, ApiError> {
    let of_name = |view: &PluginView| view.record.manifest.id.as_str() == question.plugin;
    let approved = engine.plugins().into_iter().filter(of_name).filter_map(|view| {
        let at_ms = in_force(&view, &question.environment)?.approval.approved_at_ms;
        Some((at_ms, view))
    });
    match approved.max_by_key(|(at_ms, view)| (*at_ms, view.record.digest)) {
        Some((_, view)) => Ok(view),
        None => Ok(engine.plugin(&question.plugin)?),
    }
}

fn subject<'a>(manifest: &'a Manifest, operation: &OperationId) -> Result<Subject<'a>, ApiError> {
    let check = || {
        let spec = manifest.connection.as_ref().filter(|_| operation.as_str() == "check")?;
        spec.check.as_ref().map(Subject::Check)
    };
    let action = manifest.action(operation).map(Subject::Action);
    let found = action.or_else(|| manifest.trigger(operation).map(Subject::Trigger)).or_else(check);
    found.ok_or_else(|| {
        let known = manifest.actions.iter().map(|action| action.id.as_str());
        let known = known.chain(manifest.triggers.iter().map(|trigger| trigger.id.as_str())).chain(["check"]);
        let problem = Problem::new("unknown-operation", format!("{} has no operation {operation}", manifest.id));
        let fix = match nearest(operation.as_str(), known) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("list its operations: sluice plugin show {}", manifest.id),
        };
        ApiError::not_found(problem.fix(fix))
    })
}

fn facts(all: Vec<ConnectionRecord>, environment: &Environment, id: &str) -> Result<ConnectionFacts, ApiError> {
    let found = all.into_iter().find(|record| record.environment == *environment && record.id.as_str() == id);
    let record = found.filter(|record| record.revoked.is_none()).ok_or_else(|| {
        ApiError::not_found(
            Problem::new("unknown-connection", format!("there is no connection {id} in {environment}"))
                .fix("list them: sluice connection list"),
        )
    })?;
    let base_url = record.base_url.as_deref().map(parse_base_url).transpose();
    Ok(ConnectionFacts {
        base_url: base_url.map_err(|error| bad("base-url", error))?,
        id: record.id,
        label: record.label,
        plugin: record.plugin,
        environment: record.environment,
        team: None,
        scopes: record.scopes,
    })
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
