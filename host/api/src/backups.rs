//! Backups: made by the host beside its work, into a folder of its machine.

use axum::extract::State;
use engine::Engine;
use http::StatusCode;
use model::Problem;

use crate::error::ApiError;
use crate::request::Json;
use crate::wire::{BackupMade, NewBackup};

pub(crate) async fn make(
    State(engine): State<Engine>,
    Json(new): Json<NewBackup>,
) -> Result<(StatusCode, Json<BackupMade>), ApiError> {
    let to = std::path::PathBuf::from(&new.to);
    if !to.is_absolute() {
        return Err(ApiError::bad_request(
            Problem::new("not-absolute", format!("{:?} is not an absolute path on the host's machine", new.to))
                .fix("name the folder from the root: /backups/monday"),
        ));
    }
    let backup = engine.back_up(to, new.with_key).await?;
    let (files, bytes) = (backup.files.len(), backup.bytes());
    Ok((StatusCode::CREATED, Json(BackupMade { to: new.to, files, bytes, without: backup.without })))
}
