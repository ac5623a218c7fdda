//! Questions to people, and events that runs wait for.

use axum::extract::State;
use engine::{Decision, Engine};
use model::Environment;
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Json, Path, Query};
use crate::wire::{NewDecision, NewSignal, Signalled};

/// A page when nobody says how long.
const LIMIT: usize = 50;
/// The longest page.
const LIMIT_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalQuery {
    /// Those that are answered or closed too.
    #[serde(default)]
    all: bool,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct ApprovalList {
    approvals: Vec<Decision>,
    /// The `after` of the next page; none: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(crate) async fn list(
    State(engine): State<Engine>,
    Query(query): Query<ApprovalQuery>,
) -> Result<Json<ApprovalList>, ApiError> {
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let approvals = engine.approvals(query.all, query.after.as_deref(), limit)?;
    let next = (approvals.len() == limit).then(|| approvals.last().map(|last| last.id.clone())).flatten();
    Ok(Json(ApprovalList { approvals, next }))
}

pub(crate) async fn show(State(engine): State<Engine>, Path(id): Path<String>) -> Result<Json<Decision>, ApiError> {
    Ok(Json(engine.approval(&id)?))
}

pub(crate) async fn decide(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path(id): Path<String>,
    Json(new): Json<NewDecision>,
) -> Result<Json<Decision>, ApiError> {
    Ok(Json(engine.decide(&id, &new.outcome, &by, new.comment).await?))
}

pub(crate) async fn signal(
    State(engine): State<Engine>,
    Path((environment, name)): Path<(Environment, String)>,
    Json(new): Json<NewSignal>,
) -> Result<Json<Signalled>, ApiError> {
    Ok(Json(Signalled { runs: engine.signal(&environment, &name, &new.key, new.payload).await? }))
}
