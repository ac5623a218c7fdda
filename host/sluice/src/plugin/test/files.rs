//! Granted folders of a sample: made anew on disk, looked at afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use model::{FileAccess, FolderName};
use policy::Subject;
use serde_json::Value;

use super::sample::Sample;
use crate::exit::Stop;

/// Makes the folders that the sample speaks of, with its files in them.
pub(super) fn set_up(
    root: &Path,
    subject: Subject<'_>,
    sample: &Sample,
    input: &Value,
) -> Result<Vec<(FolderName, PathBuf)>, Stop> {
    if subject.files() == FileAccess::None {
        return Ok(Vec::new());
    }
    let mut names = BTreeSet::new();
    sample.files.keys().chain(sample.files_after.keys()).for_each(|path| names.extend(folder_of(path)));
    named_in(input, &mut names);
    let folders: Vec<(FolderName, PathBuf)> =
        names.into_iter().map(|name| (name.clone(), root.join(name.as_str()))).collect();
    for (_, folder) in &folders {
        fs::create_dir_all(folder).map_err(anyhow::Error::new)?;
    }
    for (name, content) in &sample.files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap_or(root)).map_err(anyhow::Error::new)?;
        fs::write(&path, content).map_err(anyhow::Error::new)?;
        // A file is as old as time itself, unless the sample says otherwise.
        let modified_ms = sample.modified_ms.get(name).copied().unwrap_or_default();
        let file = fs::File::options().write(true).open(&path).map_err(anyhow::Error::new)?;
        file.set_modified(UNIX_EPOCH + Duration::from_millis(modified_ms)).map_err(anyhow::Error::new)?;
    }
    Ok(folders)
}

/// The folder that a path begins with: `reports/today.csv` lies in `reports`.
fn folder_of(path: &str) -> Option<FolderName> {
    path.split('/').next()?.parse().ok()
}

/// Paths in the input open their folders too: an empty folder is there, and a
/// missing file in it is a failure of the connector's, not the policy's.
fn named_in(value: &Value, names: &mut BTreeSet<FolderName>) {
    match value {
        Value::String(text) => names.extend(folder_of(text)),
        Value::Array(items) => items.iter().for_each(|item| named_in(item, names)),
        Value::Object(fields) => fields.values().for_each(|field| named_in(field, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What the files hold that should hold something else.
pub(super) fn differences(root: &Path, sample: &Sample) -> Vec<String> {
    let differs = |(path, wanted): (&String, &Option<String>)| {
        let found = fs::read(root.join(path)).ok().map(|content| String::from_utf8_lossy(&content).into_owned());
        let words = |content: &Option<String>| {
            content.as_ref().map_or_else(|| "not to be there".to_owned(), |text| format!("{text:?}"))
        };
        (found != *wanted).then(|| format!("file {path}: expected {}, got {}", words(wanted), words(&found)))
    };
    sample.files_after.iter().filter_map(differs).collect()
}
