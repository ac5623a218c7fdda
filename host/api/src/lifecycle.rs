//! A flow's life: save, publish, pause, resume, roll back, retire, compare.

use axum::extract::State;
use engine::{Engine, FlowView, VersionView, Which};
use http::StatusCode;
use model::{Environment, FlowId, Problem};
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::flows::{file, format};
use crate::request::{Json, Path, Query};
use crate::wire::{FlowDiff, NewFlow, NewRollback};

type Named = Path<(Environment, FlowId)>;
type View = Result<Json<FlowView>, ApiError>;

#[derive(Serialize)]
pub(crate) struct VersionList {
    versions: Vec<VersionView>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffQuery {
    from: Option<String>,
    to: Option<String>,
}

pub(crate) async fn save(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Json(new): Json<NewFlow>,
) -> Result<(StatusCode, Json<FlowView>), ApiError> {
    let view = engine.save_flow(&new.document, format(new.format), file(&new), &new.environment, &by).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

pub(crate) async fn publish(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path((environment, id)): Named,
) -> Result<(StatusCode, Json<FlowView>), ApiError> {
    Ok((StatusCode::CREATED, Json(engine.publish_flow(&environment, &id, &by).await?)))
}

pub(crate) async fn pause(State(engine): State<Engine>, Caller(by): Caller, Path((environment, id)): Named) -> View {
    Ok(Json(engine.pause_flow(&environment, &id, &by).await?))
}

pub(crate) async fn resume(State(engine): State<Engine>, Path((environment, id)): Named) -> View {
    Ok(Json(engine.resume_flow(&environment, &id).await?))
}

pub(crate) async fn retire(State(engine): State<Engine>, Caller(by): Caller, Path((environment, id)): Named) -> View {
    Ok(Json(engine.retire_flow(&environment, &id, &by).await?))
}

pub(crate) async fn rollback(
    State(engine): State<Engine>,
    Path((environment, id)): Named,
    Json(new): Json<NewRollback>,
) -> View {
    Ok(Json(engine.rollback_flow(&environment, &id, new.version).await?))
}

pub(crate) async fn versions(
    State(engine): State<Engine>,
    Path((environment, id)): Named,
) -> Result<Json<VersionList>, ApiError> {
    Ok(Json(VersionList { versions: engine.flow_versions(&environment, &id)? }))
}

/// From the published version to the draft, unless others are named.
pub(crate) async fn diff(
    State(engine): State<Engine>,
    Path((environment, id)): Named,
    Query(query): Query<DiffQuery>,
) -> Result<Json<FlowDiff>, ApiError> {
    let from = which(query.from.as_deref(), Which::Published)?;
    let to = which(query.to.as_deref(), Which::Draft)?;
    Ok(Json(FlowDiff { diff: engine.diff_flow(&environment, &id, from, to)? }))
}

fn which(text: Option<&str>, otherwise: Which) -> Result<Which, ApiError> {
    match text {
        None => Ok(otherwise),
        Some("draft") => Ok(Which::Draft),
        Some("published") => Ok(Which::Published),
        Some(number) => number.parse().map(Which::Version).map_err(|_| {
            ApiError::bad_request(
                Problem::new("query", format!("{number:?} is no version of a flow"))
                    .fix("write a number such as 3, or published, or draft"),
            )
        }),
    }
}
