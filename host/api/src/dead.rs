//! Dead letters: list, look at, replay, edit, discard; one or many.

use axum::extract::State;
use engine::{DeadFilter, DeadLetter, Engine, Preview, Replay, ReplayFrom, ReplayVersion, Settlement, Treatment};
use http::StatusCode;
use model::{Environment, FlowId, Problem, RunId};
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Json, Path, Query};
use crate::runs::page_limit;
use crate::wire::{DeadSelection, NewDiscard, NewReplay, RunAnswer, Version};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadQuery {
    environment: Option<Environment>,
    flow: Option<FlowId>,
    code: Option<String>,
    #[serde(default)]
    settled: bool,
    before: Option<RunId>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct DeadLetterList {
    dead_letters: Vec<DeadLetter>,
    /// The `before` of the next page; none: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RunId>,
}

/// What a replay did, or would do.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Replayed {
    Run(RunAnswer),
    Preview(Preview),
}

pub(crate) async fn list(
    State(engine): State<Engine>,
    Query(query): Query<DeadQuery>,
) -> Result<Json<DeadLetterList>, ApiError> {
    let DeadQuery { environment, flow, code, settled, before, limit } = query;
    let filter = DeadFilter { environment, flow, code, settled };
    let page = engine.list_dead(&filter, before.as_ref(), page_limit(limit))?;
    Ok(Json(DeadLetterList { dead_letters: page.letters, next: page.next }))
}

pub(crate) async fn show(State(engine): State<Engine>, Path(id): Path<RunId>) -> Result<Json<DeadLetter>, ApiError> {
    Ok(Json(engine.dead_letter(&id)?))
}

pub(crate) async fn discard(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path(id): Path<RunId>,
    Json(new): Json<NewDiscard>,
) -> Result<Json<DeadLetter>, ApiError> {
    Ok(Json(engine.discard(&id, new.note, &by).await?))
}

/// A run once more; with `dry`, only what that would do.
pub(crate) async fn replay(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path(id): Path<RunId>,
    Json(new): Json<NewReplay>,
) -> Result<(StatusCode, Json<Replayed>), ApiError> {
    let dry = new.dry;
    let replay = to_replay(new)?;
    if dry {
        return Ok((StatusCode::OK, Json(Replayed::Preview(engine.preview(&id, &replay, &by)?))));
    }
    let run = engine.replay_as(&id, &replay, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed::Run(RunAnswer { run, duplicate: false }))))
}

pub(crate) async fn replay_many(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Json(selection): Json<DeadSelection>,
) -> Result<Json<Settlement>, ApiError> {
    let filter = filter(&selection);
    let replay = Replay { version: version(selection.version), repeat: selection.repeat, ..Replay::default() };
    Ok(Json(engine.settle_many(&filter, &Treatment::Replay(Box::new(replay)), &by).await?))
}

pub(crate) async fn discard_many(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Json(selection): Json<DeadSelection>,
) -> Result<Json<Settlement>, ApiError> {
    let filter = filter(&selection);
    Ok(Json(engine.settle_many(&filter, &Treatment::Discard { note: selection.note }, &by).await?))
}

fn filter(selection: &DeadSelection) -> DeadFilter {
    DeadFilter {
        environment: selection.environment.clone(),
        flow: selection.flow.clone(),
        code: selection.code.clone(),
        settled: false,
    }
}

fn to_replay(new: NewReplay) -> Result<Replay, ApiError> {
    let from = match (new.from, new.event, new.input, new.happened) {
        (None, event, None, None) => ReplayFrom::Start { event },
        (Some(step), None, input, None) => ReplayFrom::Step { step, input },
        (None, None, None, Some(output)) => ReplayFrom::Behind { output },
        (Some(_), _, _, _) | (None, _, _, _) => {
            return Err(ApiError::bad_request(
                Problem::new("replay", "these do not go together: from, event, input, happened")
                    .fix("give an event, or a step with its input, or what the step's call returned"),
            ));
        }
    };
    Ok(Replay { version: version(new.version), from, repeat: new.repeat, note: new.note })
}

fn version(version: Version) -> ReplayVersion {
    match version {
        Version::Original => ReplayVersion::Original,
        Version::Newest => ReplayVersion::Newest,
    }
}
