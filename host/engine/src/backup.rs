//! Backups of a data folder: the store by its own means, and the files beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Problem;
use store::{Backup, BackupError, BackupWriter, Store};

use crate::engine::Engine;
use crate::error::EngineError;

/// The vault's key file, relative to the data folder.
const KEY: &str = "vault.key";
/// What administrators have put beside the store; not each is there.
const BESIDE: [&str; 2] = ["ceiling.toml", "trusted-roots.pem"];
/// Installed components.
const COMPONENTS: &str = "plugins";

impl Engine {
    /// Copies everything that is kept into a folder that is empty or not there
    /// yet, while runs go on; with the vault's key file only when asked.
    ///
    /// # Errors
    /// When the folder holds something, or a file cannot be read or written.
    pub async fn back_up(&self, to: PathBuf, with_key: bool) -> Result<Backup, EngineError> {
        let (store, folder, now_ms) = (Arc::clone(&self.0.store), self.0.folder.clone(), self.now_ms());
        let made = tokio::task::spawn_blocking(move || write(&*store, &folder, &to, with_key, now_ms)).await;
        let made = made.map_err(|panic| EngineError::Internal(Box::new(panic)))?;
        made.map_err(|error| refusal(&error))
    }
}

fn write(store: &dyn Store, folder: &Path, to: &Path, with_key: bool, now_ms: u64) -> Result<Backup, BackupError> {
    let mut writer = BackupWriter::begin(to)?;
    store.back_up(&mut writer)?;
    // After the store: a plugin's component is durable before its row is.
    for path in components(folder)? {
        writer.add_file(&path, &folder.join(&path))?;
    }
    for name in BESIDE.into_iter().chain(with_key.then_some(KEY)) {
        let path = folder.join(name);
        if path.exists() {
            writer.add_file(name, &path)?;
        }
    }
    writer.finish(now_ms, without(with_key))
}

fn components(folder: &Path) -> Result<Vec<String>, BackupError> {
    let path = folder.join(COMPONENTS);
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| BackupError::Io { path, source })?,
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".wasm")).collect();
    names.sort_unstable();
    Ok(names.into_iter().map(|name| format!("{COMPONENTS}/{name}")).collect())
}

fn without(with_key: bool) -> Vec<String> {
    let mut without = Vec::new();
    if !with_key {
        without.push(format!("{KEY}: without it the credentials in the backup cannot be opened"));
    }
    without.push("the administrator's token: the host makes a new one".to_owned());
    without.push("compiled components, and rows that are made again from the journal".to_owned());
    without
}

fn refusal(error: &BackupError) -> EngineError {
    let problem: Problem = error.problem();
    match error {
        BackupError::NotEmpty(_) => EngineError::Conflict(problem),
        BackupError::Unsupported => EngineError::Refused(problem),
        BackupError::Incomplete(_)
        | BackupError::Damaged { .. }
        | BackupError::Version { .. }
        | BackupError::Io { .. }
        | BackupError::Store(_) => EngineError::Unavailable(problem),
    }
}
