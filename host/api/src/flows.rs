//! Flows: check, apply, look at, start.

use axum::extract::State;
use engine::{Engine, FlowView, NewSecret, Rotation, TriggerView};
use flow::{Format, Plan, Trigger};
use http::StatusCode;
use model::{Environment, FlowId, Problem};
use serde::Serialize;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Json, Path};
use crate::wire::{
    AppliedFlow, CheckedFlow, DocumentFormat, FlowPage, HookSecret, NewFlow, NewRun, NewTest, RotateHook, RotatedHook,
    RunAnswer, Secret, TestedFlow,
};

#[derive(Serialize)]
pub(crate) struct FlowList {
    flows: Vec<FlowView>,
}

pub(crate) async fn check(
    State(engine): State<Engine>,
    Json(new): Json<NewFlow>,
) -> Result<Json<CheckedFlow>, ApiError> {
    let plan = engine.check_flow(&new.document, format(new.format), file(&new), &new.environment)?;
    Ok(Json(checked(&engine, &plan, &new.environment)))
}

pub(crate) async fn test(State(engine): State<Engine>, Json(new): Json<NewTest>) -> Result<Json<TestedFlow>, ApiError> {
    let (document, file) = match (&new.document, &new.flow) {
        (Some(document), None) => (document.clone(), new.file.clone().unwrap_or_else(|| "flow".to_owned())),
        (None, Some(flow)) => (engine.newest_document(&new.environment, flow)?, flow.to_string()),
        (Some(_), Some(_)) | (None, None) => {
            let problem = Problem::new("wrong-document", "a test has a document or the name of a flow");
            return Err(ApiError::bad_request(problem.fix("give one of document and flow")));
        }
    };
    let (id, tests) = engine.test_flow(document, format(new.format), file, new.environment, new.name).await?;
    Ok(Json(TestedFlow { id, tests }))
}

pub(crate) async fn apply(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Json(new): Json<NewFlow>,
) -> Result<(StatusCode, Json<AppliedFlow>), ApiError> {
    let (form, name, environment) = (format(new.format), file(&new), &new.environment);
    let flow = engine.apply_flow(&new.document, form, name, environment, &by).await?;
    // What was published just now is right, unless a grant was taken back meanwhile.
    let read = || engine.check_flow(&new.document, form, name, environment).ok();
    let plan = matches!(flow.trigger, TriggerView::Webhook(_)).then(read).flatten();
    let warnings = plan.map(|plan| unverified(&engine, &plan, environment)).unwrap_or_default();
    Ok((StatusCode::CREATED, Json(AppliedFlow { flow, warnings })))
}

pub(crate) async fn list(State(engine): State<Engine>) -> Result<Json<FlowList>, ApiError> {
    Ok(Json(FlowList { flows: engine.flows()? }))
}

pub(crate) async fn show(
    State(engine): State<Engine>,
    Path((environment, id)): Path<(Environment, FlowId)>,
) -> Result<Json<FlowPage>, ApiError> {
    let flow = engine.flow(&environment, &id)?;
    Ok(Json(FlowPage { standing: engine.flow_standing(&environment, &id)?, flow }))
}

pub(crate) async fn run(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path((environment, id)): Path<(Environment, FlowId)>,
    Json(new): Json<NewRun>,
) -> Result<(StatusCode, Json<RunAnswer>), ApiError> {
    let run = engine.start(&environment, &id, new.input, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(RunAnswer { run, duplicate: false })))
}

pub(crate) async fn rotate_hook(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path((environment, id)): Path<(Environment, FlowId)>,
    Json(rotation): Json<RotateHook>,
) -> Result<Json<RotatedHook>, ApiError> {
    let secret = match rotation.secret {
        HookSecret::Made => NewSecret::Made,
        HookSecret::Kept => NewSecret::Kept,
        HookSecret::Given { secret } => NewSecret::Given(secret.0),
    };
    let rotation = Rotation { overlap_ms: rotation.overlap_ms, secret };
    let rotated = engine.rotate_hook(&environment, &id, rotation, &by).await?;
    let secret = rotated.secret.map(Secret);
    Ok(Json(RotatedHook { hook: rotated.hook, secret, before_until_ms: rotated.before_until_ms }))
}

pub(crate) fn format(format: Option<DocumentFormat>) -> Format {
    match format {
        None => Format::Auto,
        Some(DocumentFormat::Yaml) => Format::Yaml,
        Some(DocumentFormat::Json) => Format::Json,
    }
}

pub(crate) fn file(new: &NewFlow) -> &str {
    new.file.as_deref().unwrap_or("flow")
}

fn checked(engine: &Engine, plan: &Plan, environment: &Environment) -> CheckedFlow {
    CheckedFlow {
        id: plan.id().to_string(),
        name: plan.name().to_owned(),
        steps: plan.steps().len(),
        operations: plan.operations().iter().map(|uses| uses.operation.to_string()).collect(),
        connections: plan.connections().into_iter().cloned().collect(),
        next: engine.next_times(plan),
        warnings: unverified(engine, plan, environment),
    }
}

/// Says when no delivery could be verified: neither the connection nor the flow has a
/// secret for them. A webhook that the connector sets up gets one then.
fn unverified(engine: &Engine, plan: &Plan, environment: &Environment) -> Vec<Problem> {
    let connection = match plan.trigger() {
        Trigger::Connector { connection, subscribe: None, .. } | Trigger::Webhook { connection, .. } => connection,
        Trigger::Connector { .. }
        | Trigger::Poll(_)
        | Trigger::Schedule(_)
        | Trigger::Manual { .. }
        | Trigger::Call { .. } => return Vec::new(),
    };
    let of_connection = || {
        let view = engine.show_connection(environment, connection);
        view.is_ok_and(|view| view.record.verifies_webhooks)
    };
    let of_flow = || {
        let view = engine.flow(environment, plan.id());
        view.is_ok_and(|view| matches!(&view.trigger, TriggerView::Webhook(hook) if hook.own_secret))
    };
    if of_connection() || of_flow() {
        return Vec::new();
    }
    let what = format!("connection {connection} has no webhook secret, so every delivery would be refused");
    let update = format!("sluice connection update {connection} --environment {environment}");
    let fix = format!("give it the sender's: {update} --webhook-secret-file FILE");
    vec![Problem::new("no-webhook-secret", what).field("trigger.connection").fix(fix)]
}
