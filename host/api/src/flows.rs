//! Flows: check, apply, look at, start.

use axum::extract::State;
use engine::{Engine, FlowView, NewSecret, Rotation};
use flow::{Format, Plan};
use http::StatusCode;
use model::{Environment, FlowId, Problem};
use serde::Serialize;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Json, Path};
use crate::wire::{
    CheckedFlow, DocumentFormat, FlowPage, HookSecret, NewFlow, NewRun, NewTest, RotateHook, RotatedHook, RunAnswer,
    Secret, TestedFlow,
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
    Ok(Json(checked(&engine, &plan)))
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
) -> Result<(StatusCode, Json<FlowView>), ApiError> {
    let view = engine.apply_flow(&new.document, format(new.format), file(&new), &new.environment, &by).await?;
    Ok((StatusCode::CREATED, Json(view)))
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

fn checked(engine: &Engine, plan: &Plan) -> CheckedFlow {
    CheckedFlow {
        id: plan.id().to_string(),
        name: plan.name().to_owned(),
        steps: plan.steps().len(),
        operations: plan.operations().iter().map(|uses| uses.operation.to_string()).collect(),
        connections: plan.connections().into_iter().cloned().collect(),
        next: engine.next_times(plan),
    }
}
