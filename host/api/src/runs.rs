//! Runs: list by page, look at, end.

use axum::extract::State;
use axum::http::StatusCode;
use engine::{Engine, ListedRun, RunFilter, RunPage, RunStatus, RunView};
use model::{Environment, FlowId, Problem, RunId};
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Json, Path, Query};
use crate::wire::NewCancel;

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
    /// Accepted at this time or later, in milliseconds since 1970-01-01 UTC.
    since_ms: Option<u64>,
    /// Accepted before this time.
    until_ms: Option<u64>,
    before: Option<RunId>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct RunList {
    runs: Vec<ListedRun>,
    /// The `before` of the next page; none: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RunId>,
}

pub(crate) async fn list(
    State(engine): State<Engine>,
    Query(query): Query<RunQuery>,
) -> Result<Json<RunList>, ApiError> {
    let limit = page_limit(query.limit);
    let of = match (query.environment, query.flow) {
        (Some(environment), Some(flow)) => Some((environment, flow)),
        (None, None) => None,
        (None, Some(_)) | (Some(_), None) => {
            return Err(ApiError::bad_request(
                Problem::new("query", "flow and environment belong together").fix("give both, or neither for all runs"),
            ));
        }
    };
    let RunQuery { status, since_ms, until_ms, before, .. } = query;
    let page = engine.list_runs(&RunFilter { of, status, since_ms, until_ms }, before.as_ref(), limit)?;
    let RunPage { runs, next } = page;
    Ok(Json(RunList { runs, next }))
}

pub(crate) async fn show(State(engine): State<Engine>, Path(id): Path<RunId>) -> Result<Json<RunView>, ApiError> {
    Ok(Json(engine.show_run(&id)?))
}

/// Asks a run to end. It does once the calls that it has under way have answered.
pub(crate) async fn cancel(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path(id): Path<RunId>,
    Json(new): Json<NewCancel>,
) -> Result<(StatusCode, Json<RunView>), ApiError> {
    let reason = new.reason.as_deref().unwrap_or("cancelled by hand");
    engine.cancel(&id, &by, reason).await?;
    Ok((StatusCode::ACCEPTED, Json(engine.show_run(&id)?)))
}

pub(crate) fn page_limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
}
