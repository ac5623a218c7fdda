//! Plugins: install, look at, approve, revoke, try.

use axum::extract::{Request, State};
use engine::{Asked, CallView, Engine, PluginView, PollPosition};
use http::StatusCode;
use model::{Environment, Problem};
use policy::{Capability, Grant, beyond, capabilities, uncovered};
use serde::Serialize;

use crate::auth::Caller;
use crate::body::read;
use crate::error::ApiError;
use crate::request::{Json, Path};
use crate::wire::{Ask, NewApproval, NewCall, NewQuestion, PollFrom};

/// The largest component taken: what the sandbox compiles at most.
pub const PLUGIN_BYTES_MAX: usize = 32 << 20;

/// A plugin and what it would do if it were approved.
#[derive(Serialize)]
pub(crate) struct PluginPage {
    #[serde(flatten)]
    view: PluginView,
    /// What it asks for, in plain words.
    capabilities: Vec<Capability>,
}

/// A plugin with a new grant, and what the grant does not give or gives in vain.
#[derive(Serialize)]
pub(crate) struct ApprovedPlugin {
    #[serde(flatten)]
    view: PluginView,
    warnings: Vec<Problem>,
}

#[derive(Serialize)]
pub(crate) struct PluginList {
    plugins: Vec<PluginView>,
}

pub(crate) async fn install(
    State(engine): State<Engine>,
    Caller(by): Caller,
    request: Request,
) -> Result<(StatusCode, Json<PluginPage>), ApiError> {
    let wasm = read(request, "the component", PLUGIN_BYTES_MAX).await?;
    let view = engine.install_plugin(wasm.to_vec(), &by).await?;
    Ok((StatusCode::CREATED, Json(page(view))))
}

pub(crate) async fn list(State(engine): State<Engine>) -> Json<PluginList> {
    Json(PluginList { plugins: engine.plugins() })
}

pub(crate) async fn show(State(engine): State<Engine>, Path(name): Path<String>) -> Result<Json<PluginPage>, ApiError> {
    Ok(Json(page(engine.plugin(&name)?)))
}

pub(crate) async fn approve(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path(name): Path<String>,
    Json(new): Json<NewApproval>,
) -> Result<(StatusCode, Json<ApprovedPlugin>), ApiError> {
    let file = new.file.as_deref().unwrap_or("grant");
    let grant = Grant::parse(&new.grant, file).map_err(engine::EngineError::Invalid)?;
    let mut warnings = uncovered(&engine.plugin(&name)?.record.manifest, &grant);
    warnings.extend(beyond(engine.ceiling(), &grant));
    let view = engine.approve_plugin(&name, grant, new.environment, &by, new.note).await?;
    Ok((StatusCode::CREATED, Json(ApprovedPlugin { view, warnings })))
}

pub(crate) async fn revoke(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path((name, environment)): Path<(String, Environment)>,
) -> Result<Json<PluginView>, ApiError> {
    Ok(Json(engine.revoke_plugin(&name, &environment, &by).await?))
}

pub(crate) async fn call(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Json(new): Json<NewCall>,
) -> Result<Json<CallView>, ApiError> {
    let view = engine.call_action(&name, &new.operation, &new.environment, new.connection.as_ref(), new.input).await?;
    Ok(Json(view))
}

pub(crate) async fn ask(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Json(new): Json<NewQuestion>,
) -> Result<Json<CallView>, ApiError> {
    let asked = Asked { plugin: &name, environment: &new.environment, connection: new.connection.as_ref() };
    let view = match new.ask {
        Ask::Choices { field, query, page } => {
            engine.choices(asked, &field, new.config, &query, page.as_deref()).await?
        }
        Ask::Fields { object } => engine.fields(asked, &object, new.config).await?,
        Ask::Poll { trigger, from } => engine.try_poll(asked, &trigger, new.config, position(from)).await?,
        Ask::Migrate { operation, from_version } => {
            engine.migrate(asked, &operation, new.config, &from_version).await?
        }
    };
    Ok(Json(view))
}

fn position(from: PollFrom) -> PollPosition {
    match from {
        PollFrom::Now => PollPosition::Now,
        PollFrom::Beginning => PollPosition::Beginning,
        PollFrom::After(cursor) => PollPosition::After(cursor),
    }
}

fn page(view: PluginView) -> PluginPage {
    PluginPage { capabilities: capabilities(&view.record.manifest), view }
}
