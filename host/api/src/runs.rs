//! Runs and dead letters: list by page, look at, ask for once more.

use axum::extract::State;
use engine::{DeadLetter, Engine, ReplayVersion, RunRecord, RunStatus, RunView};
use http::StatusCode;
use model::{Environment, FlowId, Problem, RunId};
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Json, Path, Query};
use crate::wire::{NewReplay, RunAnswer, Version};

/// A page when nobody says how long.
const LIMIT: usize = 50;
/// The longest page: some 200 KB of JSON.
const LIMIT_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunQuery {
    flow: Option<FlowId>,
    environment: Option<Environment>,
    status: Option<RunStatus>,
    before: Option<RunId>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct RunList {
    runs: Vec<RunRecord>,
    /// The `before` of the next page; none: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RunId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    before: Option<RunId>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct DeadLetterList {
    dead_letters: Vec<DeadLetter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RunId>,
}

pub(crate) async fn list(
    State(engine): State<Engine>,
    Query(query): Query<RunQuery>,
) -> Result<Json<RunList>, ApiError> {
    let limit = page_limit(query.limit);
    let of = match (&query.environment, &query.flow) {
        (Some(environment), Some(flow)) => Some((environment, flow)),
        (None, None) => None,
        (None, Some(_)) | (Some(_), None) => {
            return Err(ApiError::bad_request(
                Problem::new("query", "flow and environment belong together").fix("give both, or neither for all runs"),
            ));
        }
    };
    let runs = engine.runs(of, query.status, query.before.as_ref(), limit)?;
    let next = (runs.len() == limit).then(|| runs.last().map(|run| run.id.clone())).flatten();
    Ok(Json(RunList { runs, next }))
}

pub(crate) async fn show(State(engine): State<Engine>, Path(id): Path<RunId>) -> Result<Json<RunView>, ApiError> {
    Ok(Json(engine.show_run(&id)?))
}

pub(crate) async fn replay(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path(id): Path<RunId>,
    Json(new): Json<NewReplay>,
) -> Result<(StatusCode, Json<RunAnswer>), ApiError> {
    let version = match new.version {
        Version::Original => ReplayVersion::Original,
        Version::Newest => ReplayVersion::Newest,
    };
    let run = engine.replay(&id, version, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(RunAnswer { run, duplicate: false })))
}

pub(crate) async fn dead_letters(
    State(engine): State<Engine>,
    Query(query): Query<PageQuery>,
) -> Result<Json<DeadLetterList>, ApiError> {
    let limit = page_limit(query.limit);
    let dead_letters = engine.dead_letters(query.before.as_ref(), limit)?;
    let next = (dead_letters.len() == limit).then(|| dead_letters.last().map(|letter| letter.run.clone())).flatten();
    Ok(Json(DeadLetterList { dead_letters, next }))
}

fn page_limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
}
