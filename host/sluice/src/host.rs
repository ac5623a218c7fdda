//! The host's parts, assembled from a data folder.
//!
//! The store's lock comes first: whoever holds it owns the folder. Nothing runs
//! before the caller says so.

use std::io;
use std::path::Path;
use std::sync::Arc;

use egress::{Egress, EgressOptions};
use engine::{Engine, EngineError, Options, Parts, SystemClock};
use model::Problem;
use policy::Ceiling;
use sandbox::Sandbox;
use store::{JournalStore, OpenError, Order, Store as _};
use vault::Vault;

use crate::compile::{self, CompileLimits};
use crate::exit::{Exit, Stop};
use crate::folder::{Folder, write_whole};
use crate::input;

/// The ceiling that a new data folder gets.
const CEILING: &str = include_str!("../../../policies/ceiling.toml");

/// An opened data folder.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    store: Arc<JournalStore>,
}

impl Host {
    /// Opens the folder; `ceiling` replaces the folder's own.
    pub(crate) fn open(
        folder: &Folder,
        ceiling: Option<&Path>,
        options: Options,
        compile: CompileLimits,
    ) -> Result<Self, Stop> {
        folder.prepare()?;
        let store = JournalStore::open(&folder.store(), store::Options::default())
            .map_err(|error| not_opened(folder, &error))?;
        let store = Arc::new(store);
        let vault = open_vault(&folder.key(), &store)?;
        let sandbox = open_sandbox(folder, &vault, compile)?;
        let engine = Engine::open(Parts {
            folder: folder.path().to_owned(),
            store: store.clone(),
            vault,
            connectors: Arc::new(sandbox),
            egress: open_egress(folder)?,
            ceiling: Arc::new(read_ceiling(folder, ceiling)?),
            clock: Arc::new(SystemClock),
            options,
        });
        Ok(Self { engine: engine.map_err(engine_stop)?, store })
    }

    /// Brings the store's files up to date and lets go of them.
    pub(crate) fn close(&self) {
        if let Err(error) = self.store.close() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store was not brought up to date; the next start does it"
            );
        }
    }
}

/// A refusal of the engine's, with its chain in the log.
pub(crate) fn engine_stop(error: EngineError) -> Stop {
    if let EngineError::Internal(source) = &error {
        tracing::error!(error = source.as_ref() as &dyn std::error::Error, "a fault of the host's own");
    }
    Stop::of(error.problems())
}

fn not_opened(folder: &Folder, error: &OpenError) -> Stop {
    let problem = error.problem();
    match error {
        OpenError::InUse { pid, .. } => Stop::new(Exit::Unreachable, in_use(folder, *pid)),
        _ => Stop::failed(problem),
    }
}

fn in_use(folder: &Folder, pid: Option<u32>) -> Problem {
    let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    Problem::new("data-folder-in-use", format!("the data folder {} is in use by {holder}", folder.path().display()))
        .cause("another sluice is running on it")
        .fix(match pid {
            Some(pid) => format!("stop it (kill {pid}), or choose another folder with --data DIR"),
            None => "stop it, or choose another folder with --data DIR".to_owned(),
        })
}

/// A key is made only beside a store that holds nothing yet, as at the first start or
/// after one that broke off: it would open nothing of what another one has sealed.
fn open_vault(key: &Path, store: &JournalStore) -> Result<Vault, Stop> {
    let is_missing = matches!(std::fs::symlink_metadata(key), Err(error) if error.kind() == io::ErrorKind::NotFound);
    if is_missing && !is_empty(store)? {
        return Err(no_key(key));
    }
    Vault::open(key).map_err(|error| Stop::failed(error.to_problem()))
}

fn is_empty(store: &JournalStore) -> Result<bool, Stop> {
    let rows = store.scan(&[], None, 1, Order::Ascending);
    rows.map(|rows| rows.is_empty()).map_err(|error| Stop::failed(Problem::new("store", error.to_string())))
}

fn no_key(key: &Path) -> Stop {
    let key = key.display();
    Stop::failed(
        Problem::new("vault-key-missing", format!("the key file {key} is missing, and the store beside it is in use"))
            .cause("the folder was restored from a backup without its key, or the key was moved away")
            .fix(format!("put the original vault.key to {key}, readable by its owner alone: chmod 600 {key}")),
    )
}

fn open_sandbox(folder: &Folder, vault: &Vault, compile: CompileLimits) -> Result<Sandbox, Stop> {
    let mut options = sandbox::Options::new(folder.cache(), vault.derive_key("code-cache"));
    options.compiler = Some(compile::in_child(compile));
    Sandbox::open(options).map_err(|error| Stop::failed(Problem::new("sandbox", error.to_string())))
}

fn open_egress(folder: &Folder) -> Result<Arc<Egress>, Stop> {
    let extra_roots_pem = match std::fs::read(folder.roots()) {
        Ok(pem) => pem,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(unusable(&folder.roots(), &error)),
    };
    let egress = Egress::new(EgressOptions { extra_roots_pem, ..EgressOptions::default() });
    egress.map(Arc::new).map_err(|error| {
        Stop::failed(
            Problem::new("egress", error.to_string()).fix(format!("mend or remove {}", folder.roots().display())),
        )
    })
}

fn read_ceiling(folder: &Folder, given: Option<&Path>) -> Result<Ceiling, Stop> {
    let own = folder.ceiling();
    // A link that leads nowhere is there: it is never replaced by what allows more.
    let is_missing = matches!(std::fs::symlink_metadata(&own), Err(error) if error.kind() == io::ErrorKind::NotFound);
    if given.is_none() && is_missing {
        write_whole(&own, CEILING.as_bytes()).map_err(|error| unusable(&own, &error))?;
    }
    let path = given.unwrap_or(&own);
    let text = input::read(path)?;
    Ceiling::parse(&text, &path.display().to_string()).map_err(Stop::of)
}

fn unusable(path: &Path, error: &io::Error) -> Stop {
    Stop::failed(
        Problem::new("file", format!("{} cannot be used: {error}", path.display()))
            .fix("look at its permissions and at the disk"),
    )
}
