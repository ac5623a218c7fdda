//! Webhooks in: deliveries to flows, and whether the host is alive.
//!
//! Hands a delivery to the engine byte for byte and answers with what became of
//! it. Decides nothing about signatures: the engine does, before it keeps anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::{Accepted, Engine, EngineError, Incoming, RunResult, RunStatus};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::{Environment, FlowId, Problem, RunId};

use crate::body::read;
use crate::error::ApiError;
use crate::request::{Json, Path};
use crate::watch::watched;
use crate::wire::{Alive, RunAnswer, RunRefused};

/// The largest delivery. 8 MiB: GitHub sends up to 25 MB in rare cases and drops
/// those itself; every other service that we know stays below 1.
pub const DELIVERY_BYTES_MAX: usize = 8 << 20;
/// Names the run of a synchronous answer, whose body is the flow's own.
const RUN_HEADER: HeaderName = HeaderName::from_static("sluice-run");

#[derive(Clone)]
struct Hooks {
    engine: Engine,
    default_environment: Arc<Environment>,
}

/// What the outside may reach: deliveries and `/healthz`.
pub fn hooks_router(engine: Engine, default_environment: Environment) -> Router {
    let hooks = Hooks { engine, default_environment: Arc::new(default_environment) };
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/hooks/{flow}", post(deliver_by_default))
        .route("/hooks/{environment}/{flow}", post(deliver))
        .with_state(hooks);
    watched(router)
}

/// The process answers; that is all it says.
pub(crate) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

async fn deliver_by_default(
    State(hooks): State<Hooks>,
    Path(flow): Path<FlowId>,
    request: Request,
) -> Result<Response, ApiError> {
    accept(&hooks.engine, &hooks.default_environment, &flow, request).await
}

async fn deliver(
    State(hooks): State<Hooks>,
    Path((environment, flow)): Path<(Environment, FlowId)>,
    request: Request,
) -> Result<Response, ApiError> {
    accept(&hooks.engine, &environment, &flow, request).await
}

async fn accept(
    engine: &Engine,
    environment: &Environment,
    flow: &FlowId,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = texts(request.headers());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = read(request, "the delivery", DELIVERY_BYTES_MAX).await?;
    let accepted = engine.accept(environment, flow, Incoming { headers, query, body }).await;
    accepted.map(answer).map_err(|error| match error {
        EngineError::NotFound(_) => unknown_flow(environment, flow),
        other => other.into(),
    })
}

/// The engine's own words would name other flows to somebody unknown.
fn unknown_flow(environment: &Environment, flow: &FlowId) -> ApiError {
    ApiError::not_found(
        Problem::new("unknown-flow", format!("there is no flow {flow} in {environment}"))
            .fix("compare the address with the one that the flow's administrator was given"),
    )
}

/// Names in lower case, as `http` keeps them; a value that is no text is left out,
/// so that nothing can match it.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn answer(accepted: Accepted) -> Response {
    match accepted {
        Accepted::Queued { run } => queued(run),
        Accepted::Duplicate { run } => Json(RunAnswer { run, duplicate: true }).into_response(),
        Accepted::Completed(result) => completed(result),
    }
}

fn queued(run: RunId) -> Response {
    (StatusCode::ACCEPTED, Json(RunAnswer { run, duplicate: false })).into_response()
}

fn completed(result: RunResult) -> Response {
    match result.status {
        RunStatus::Succeeded => ([(RUN_HEADER, result.run.as_str())], Json(&*result.output)).into_response(),
        RunStatus::Failed => {
            let problems = result.problem.into_iter().collect();
            (StatusCode::BAD_GATEWAY, Json(RunRefused { run: result.run, problems })).into_response()
        }
        RunStatus::Ignored | RunStatus::Received | RunStatus::Running => queued(result.run),
    }
}
