//! Folders, and files as a whole.

use sluicegate_sdk::{Result, action, files, object};

/// Which folder.
#[object]
pub struct Folder {
    /// The name of an opened folder, or a folder below it.
    #[field(placeholder = "reports/2026")]
    pub path: String,
}

/// What a folder holds.
#[object]
pub struct Entries {
    /// Its files and folders, sorted by name.
    pub entries: Vec<Entry>,
}

/// A file or a folder.
#[object]
pub struct Entry {
    /// Its name, without the folder's.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its size; 0 for a folder.
    pub bytes: u64,
    /// When it was last changed, in milliseconds since 1970.
    #[field(label = "Changed at")]
    pub modified_ms: u64,
}

/// List a folder
///
/// Names the files and folders in a folder.
#[action(
    effect = read,
    idempotency = natural,
    files = read,
    sample = {
        input: { path: "reports" },
        output: { entries: [{ name: "today.csv", folder: false, bytes: 18, modified_ms: 0 }] },
    },
)]
pub fn list(input: Folder) -> Result<Entries> {
    let entries = files::list(&input.path)?.into_iter().map(|entry| Entry {
        name: entry.name,
        folder: entry.folder,
        bytes: entry.bytes,
        modified_ms: entry.modified_ms,
    });
    Ok(Entries { entries: entries.collect() })
}

/// A text to write.
#[object]
pub struct Text {
    /// The file: an opened folder, then its name.
    #[field(label = "File", placeholder = "reports/today.txt", order = 1)]
    pub path: String,
    /// What the file shall hold.
    #[field(widget = "textarea", order = 2)]
    pub text: String,
}

/// A file that was written.
#[object]
pub struct Written {
    /// The file.
    #[field(label = "File")]
    pub path: String,
    /// How many bytes were written.
    pub bytes: usize,
}

/// Write a text
///
/// Makes a file, or replaces all it held. Whoever reads it meanwhile sees the old text
/// or the new one, never a part.
#[action(
    effect = update,
    idempotency = natural,
    files = write,
    sample = {
        input: { path: "reports/today.txt", text: "All is well.\n" },
        output: { path: "reports/today.txt", bytes: 13 },
    },
)]
pub fn write_text(input: Text) -> Result<Written> {
    files::write(&input.path, &input.text)?;
    Ok(Written { path: input.path, bytes: input.text.len() })
}
