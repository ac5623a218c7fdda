//! Connections: add, update, list, show, check, revoke. A secret goes in and never comes out.

use axum::extract::State;
use engine::{CallView, ConnectionRecord, ConnectionView, Engine, EngineError, ListedConnection, Renewal};
use http::StatusCode;
use model::{ConnectionId, Credential, Environment, Problem};
use serde::Serialize;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::request::{Json, Path};
use crate::wire::{ConnectionUpdate, NewAuth, NewConnection};

#[derive(Serialize)]
pub(crate) struct ConnectionList {
    connections: Vec<ListedConnection>,
}

pub(crate) async fn add(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Json(new): Json<NewConnection>,
) -> Result<(StatusCode, Json<ConnectionRecord>), ApiError> {
    let new = engine::NewConnection {
        id: new.id,
        environment: new.environment,
        plugin: new.plugin,
        team: new.team,
        label: new.label,
        base_url: new.base_url,
        credential: credential(new.auth),
        webhook_secret: new.webhook_secret.map(|secret| secret.0),
        scopes: new.scopes,
    };
    Ok((StatusCode::CREATED, Json(engine.add_connection(new, &by).await?)))
}

/// Gives a connection another credential; runs that waited for it go on.
pub(crate) async fn update(
    State(engine): State<Engine>,
    Path((environment, id)): Path<(Environment, ConnectionId)>,
    Json(new): Json<ConnectionUpdate>,
) -> Result<Json<ConnectionRecord>, ApiError> {
    let renewal = Renewal {
        secret: new.secret.map(|secret| secret.0),
        user: new.user,
        webhook_secret: new.webhook_secret.map(|secret| secret.0),
        scopes: new.scopes,
    };
    Ok(Json(engine.update_connection(&environment, &id, renewal).await?))
}

fn credential(auth: NewAuth) -> Credential {
    match auth {
        NewAuth::Bearer { secret } => Credential::Bearer { token: secret.0 },
        NewAuth::Basic { user, secret } => Credential::Basic { user, password: secret.0 },
        NewAuth::Header { name, prefix, secret } => {
            Credential::Header { name: name.to_ascii_lowercase(), prefix, value: secret.0 }
        }
        NewAuth::Query { name, secret } => Credential::Query { name, value: secret.0 },
        NewAuth::None => Credential::None,
    }
}

pub(crate) async fn list(State(engine): State<Engine>) -> Json<ConnectionList> {
    Json(ConnectionList { connections: engine.connections() })
}

pub(crate) async fn show(
    State(engine): State<Engine>,
    Path((environment, id)): Path<(Environment, ConnectionId)>,
) -> Result<Json<ConnectionView>, ApiError> {
    Ok(Json(engine.show_connection(&environment, &id)?))
}

pub(crate) async fn check(
    State(engine): State<Engine>,
    Path((environment, id)): Path<(Environment, ConnectionId)>,
) -> Result<Json<CallView>, ApiError> {
    Ok(Json(engine.check_connection(&environment, &id).await?))
}

pub(crate) async fn revoke(
    State(engine): State<Engine>,
    Caller(by): Caller,
    Path((environment, id)): Path<(Environment, ConnectionId)>,
) -> Result<Json<ConnectionRecord>, ApiError> {
    let revoked = engine.revoke_connection(&environment, &id, &by).await;
    Ok(Json(revoked.map_err(|error| revoked_before(&engine, &environment, &id).unwrap_or(error))?))
}

/// One that was revoked is still listed; to say that there is none would confuse.
fn revoked_before(engine: &Engine, environment: &Environment, id: &ConnectionId) -> Option<EngineError> {
    engine.show_connection(environment, id).ok()?.record.revoked?;
    let what = format!("connection {id} in {environment} is revoked already; its credential is gone");
    let fix = "for another credential, add it again under the same name: sluice connection add";
    Some(EngineError::NotFound(Problem::new("unknown-connection", what).fix(fix)))
}
