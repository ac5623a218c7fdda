//! `sluice backup` and `sluice restore`: the data folder, out and back in.
//!
//! A backup is written by whoever holds the folder, the running host included,
//! and goes on beside its work. A restore needs a folder that nobody uses.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::wire::{BackupMade, NewBackup};
use clap::Args;
use model::Problem;
use serde_json::json;
use store::JournalStore;

use crate::cli::Global;
use crate::client::{Client, Reply};
use crate::exit::{Answer, Outcome, Stop};
use crate::folder::Folder;
use crate::show;

/// Copy everything that is kept, while the host runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sluice backup /backups/monday\n  sluice backup /backups/monday --with-key\n\nThe key file opens every credential in the backup. Without --with-key it is not in\nit: keep a copy of vault.key somewhere else, or the credentials cannot be opened\nafter a restore."
)]
pub(crate) struct Backup {
    /// A folder that is empty, or does not exist yet
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Put the vault's key file into the backup too
    #[arg(long)]
    with_key: bool,
}

/// Fill an empty data folder from a backup.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sluice restore /backups/monday --data /srv/sluice\n  sluice restore /backups/monday --check"
)]
pub(crate) struct Restore {
    /// The backup's folder
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Read and check the backup, and change nothing
    #[arg(long)]
    check: bool,
}

/// How often the terminal is told how far a copy is.
const TELL_EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn backup(global: &Global, command: &Backup) -> Outcome {
    let to = std::path::absolute(&command.to).map_err(anyhow::Error::new)?;
    let new = NewBackup { to: to.display().to_string(), with_key: command.with_key };
    Client::with(global, async |client| {
        let asked = client.post("/api/v1/backup", &new);
        tokio::pin!(asked);
        let reply = loop {
            tokio::select! {
                reply = &mut asked => break reply,
                () = tokio::time::sleep(TELL_EVERY) => tell("written", folder_bytes(&to)),
            }
        };
        forget_line();
        reply.map(made)
    })
    .await
}

pub(crate) fn restore(global: &Global, command: &Restore) -> Outcome {
    let mut seen = 0;
    let mut progress = |bytes| {
        seen += bytes;
        tell("read", seen);
    };
    if command.check {
        let outcome = store::check_backup(&command.from, &mut progress);
        forget_line();
        let backup = outcome.map_err(|error| Stop::failed(error.problem()))?;
        let text = format!("The backup is whole: {} in {} files.", show::bytes(backup.bytes()), backup.files.len());
        return Ok(Answer::done(
            json!({ "files": backup.files.len(), "bytes": backup.bytes(), "without": backup.without }),
            text,
        ));
    }
    let folder = Folder::new(global.folder());
    let outcome = store::restore_backup(&command.from, folder.path(), &mut progress);
    forget_line();
    let backup = outcome.map_err(|error| Stop::failed(error.problem()))?;
    folder.prepare()?;
    reopen(&folder)?;
    let mut text = format!(
        "Restored {} in {} files to {}, and opened it once: it is sound.",
        show::bytes(backup.bytes()),
        backup.files.len(),
        folder.path().display()
    );
    let has_key = folder.key().exists();
    if !has_key {
        text.push_str(&format!(
            "\nThe key file is not in the backup: put the original one to {} before the host starts,\nor its credentials cannot be opened.",
            folder.key().display()
        ));
    }
    Ok(Answer::done(
        json!({ "files": backup.files.len(), "bytes": backup.bytes(), "without": backup.without, "has_key": has_key }),
        text,
    ))
}

/// Reads the journal as a start would, and builds the rows behind it.
fn reopen(folder: &Folder) -> Result<(), Stop> {
    let store = JournalStore::open(&folder.store(), store::Options::default());
    let store = store.map_err(|error| Stop::failed(error.problem()))?;
    store.close().map_err(|error| Stop::failed(Problem::new("store", error.to_string())))
}

fn made(reply: Reply<BackupMade>) -> Answer {
    let made = &reply.value;
    let mut text = format!("Backed up {} in {} files to {}.", show::bytes(made.bytes), made.files, made.to);
    for missing in &made.without {
        text.push_str(&format!("\n  not in it: {missing}"));
    }
    text.push_str(&format!("\n  check it: sluice restore {} --check", made.to));
    Answer::done(reply.json, text)
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => folder_bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn tell(what: &str, bytes: u64) {
    if std::io::stderr().is_terminal() {
        // Nobody is left to be told when standard error is closed.
        let _ = write!(std::io::stderr(), "\r\x1b[K{} {what}", show::bytes(bytes));
    }
}

fn forget_line() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}
