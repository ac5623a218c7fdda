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
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
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
        .route("/hooks/{flow}", post(deliver_by_default).get(greet_by_default))
        .route("/hooks/{environment}/{flow}", post(deliver).get(greet))
        .route("/hooks/{environment}/{flow}/{token}", post(deliver_at).get(greet_at))
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
    let environment = hooks.default_environment.clone();
    Address { engine: &hooks.engine, environment: &environment, flow: &flow, token: None }.accept(request).await
}

async fn deliver(
    State(hooks): State<Hooks>,
    Path((environment, flow)): Path<(Environment, FlowId)>,
    request: Request,
) -> Result<Response, ApiError> {
    Address { engine: &hooks.engine, environment: &environment, flow: &flow, token: None }.accept(request).await
}

async fn deliver_at(
    State(hooks): State<Hooks>,
    Path((environment, flow, token)): Path<(Environment, FlowId, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let token = Some(token.as_str());
    Address { engine: &hooks.engine, environment: &environment, flow: &flow, token }.accept(request).await
}

async fn greet_by_default(
    State(hooks): State<Hooks>,
    Path(flow): Path<FlowId>,
    request: Request,
) -> Result<Response, ApiError> {
    let environment = hooks.default_environment.clone();
    Address { engine: &hooks.engine, environment: &environment, flow: &flow, token: None }.greet(&request)
}

async fn greet(
    State(hooks): State<Hooks>,
    Path((environment, flow)): Path<(Environment, FlowId)>,
    request: Request,
) -> Result<Response, ApiError> {
    Address { engine: &hooks.engine, environment: &environment, flow: &flow, token: None }.greet(&request)
}

async fn greet_at(
    State(hooks): State<Hooks>,
    Path((environment, flow, token)): Path<(Environment, FlowId, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let token = Some(token.as_str());
    Address { engine: &hooks.engine, environment: &environment, flow: &flow, token }.greet(&request)
}

/// Where something was sent to.
struct Address<'a> {
    engine: &'a Engine,
    environment: &'a Environment,
    flow: &'a FlowId,
    token: Option<&'a str>,
}

impl Address<'_> {
    async fn accept(&self, request: Request) -> Result<Response, ApiError> {
        let headers = texts(request.headers());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = read(request, "the delivery", DELIVERY_BYTES_MAX).await?;
        let incoming = Incoming { headers, query, body };
        if let Some(text) = self.answered(&incoming)? {
            return Ok(text);
        }
        let accepted = self.engine.accept_at(self.environment, self.flow, self.token, incoming).await;
        accepted.map(answer).map_err(|error| self.refused(error))
    }

    /// Without a body there can be a handshake only. That a flow is there is told to those
    /// whom a delivery to the same address would tell it.
    fn greet(&self, request: &Request) -> Result<Response, ApiError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let incoming = Incoming { headers: texts(request.headers()), query, body: bytes::Bytes::new() };
        self.answered(&incoming)?.ok_or_else(|| only_post(self.flow))
    }

    /// The answer to a handshake. Never a page: what comes from outside goes back as
    /// text that no browser takes for anything else.
    fn answered(&self, incoming: &Incoming) -> Result<Option<Response>, ApiError> {
        let greeted = self.engine.greet(self.environment, self.flow, self.token, incoming);
        let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        let text = greeted.map_err(|error| self.refused(error))?;
        Ok(text.map(|text| (plain, text).into_response()))
    }

    fn refused(&self, error: EngineError) -> ApiError {
        match error {
            EngineError::NotFound(_) => unknown_flow(self.environment, self.flow),
            other => other.into(),
        }
    }
}

fn only_post(flow: &FlowId) -> ApiError {
    let what = format!("flow {flow} takes deliveries by POST, and this is none of the handshakes it answers");
    let problem = Problem::new("method", what).fix("send the event as the body of a POST");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, problem).allow("POST")
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
        RunStatus::Ignored
        | RunStatus::Received
        | RunStatus::Running
        | RunStatus::Waiting
        | RunStatus::NeedsReauthorisation
        | RunStatus::Cancelled => queued(result.run),
    }
}
