//! Administration: everything below `/api/v1`, behind the caller's proof.

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use engine::{Engine, Health};
use http::StatusCode;

use crate::auth::{Auth, require};
use crate::hooks::alive;
use crate::request::Json;
use crate::watch::watched;
use crate::wire::Alive;
use crate::{approvals, backups, connections, dead, flows, lifecycle, plugins, policies, runs};

/// What administrators may reach.
pub fn admin_router(engine: Engine, auth: Auth) -> Router {
    let api = plugin_routes()
        .merge(connection_routes())
        .merge(flow_routes())
        .route("/policy/explain", post(policies::explain))
        .route("/backup", post(backups::make))
        .route("/health", get(health))
        .fallback(crate::watch::unknown_place)
        .method_not_allowed_fallback(crate::watch::wrong_method)
        .layer(from_fn_with_state(auth, require));
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .nest("/api/v1", api)
        .with_state(engine);
    watched(router)
}

fn plugin_routes() -> Router<Engine> {
    Router::new()
        .route("/plugins", post(plugins::install).get(plugins::list))
        .route("/plugins/{name}", get(plugins::show))
        .route("/plugins/{name}/approvals", post(plugins::approve))
        .route("/plugins/{name}/approvals/{environment}", delete(plugins::revoke))
        .route("/plugins/{name}/call", post(plugins::call))
        .route("/plugins/{name}/ask", post(plugins::ask))
}

fn connection_routes() -> Router<Engine> {
    Router::new()
        .route("/connections", post(connections::add).get(connections::list))
        .route("/connections/{environment}/{id}", get(connections::show).delete(connections::revoke))
        .route("/connections/{environment}/{id}/check", post(connections::check))
        .route("/connections/{environment}/{id}/update", post(connections::update))
}

fn flow_routes() -> Router<Engine> {
    Router::new()
        .route("/flows", post(flows::apply).get(flows::list))
        .route("/flows/check", post(flows::check))
        .route("/flows/test", post(flows::test))
        .route("/flows/{environment}/{id}", get(flows::show))
        .route("/flows/{environment}/{id}/runs", post(flows::run))
        .route("/flows/{environment}/{id}/hook/rotate", post(flows::rotate_hook))
        .merge(lifecycle_routes())
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::show))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/runs/{id}/replay", post(dead::replay))
        .merge(dead_letter_routes())
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}", get(approvals::show).post(approvals::decide))
        .route("/events/{environment}/{name}", post(approvals::signal))
}

fn dead_letter_routes() -> Router<Engine> {
    Router::new()
        .route("/dead-letters", get(dead::list))
        .route("/dead-letters/replay", post(dead::replay_many))
        .route("/dead-letters/discard", post(dead::discard_many))
        .route("/dead-letters/{id}", get(dead::show))
        .route("/dead-letters/{id}/discard", post(dead::discard))
}

fn lifecycle_routes() -> Router<Engine> {
    Router::new()
        .route("/flows/drafts", post(lifecycle::save))
        .route("/flows/{environment}/{id}/publish", post(lifecycle::publish))
        .route("/flows/{environment}/{id}/pause", post(lifecycle::pause))
        .route("/flows/{environment}/{id}/resume", post(lifecycle::resume))
        .route("/flows/{environment}/{id}/retire", post(lifecycle::retire))
        .route("/flows/{environment}/{id}/rollback", post(lifecycle::rollback))
        .route("/flows/{environment}/{id}/versions", get(lifecycle::versions))
        .route("/flows/{environment}/{id}/diff", get(lifecycle::diff))
}

async fn health(State(engine): State<Engine>) -> Json<Health> {
    Json(engine.health())
}

/// Not ready: going down, so that nothing new should be sent here. The figures are
/// for those who may ask for `/api/v1/health`.
async fn ready(State(engine): State<Engine>) -> (StatusCode, Json<Alive>) {
    match engine.health().draining {
        true => (StatusCode::SERVICE_UNAVAILABLE, Json(Alive { status: "draining" })),
        false => (StatusCode::OK, Json(Alive { status: "ready" })),
    }
}
