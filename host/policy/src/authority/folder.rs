//! The decision on folders: manifest, grant and ceiling must agree.

use model::FileAccess;

use super::{Authority, Inner, words};
use crate::denial::Denial;
use crate::grant::{FolderAccess, FolderGrant};
use crate::permit::FilePermit;
use crate::print::{key, quoted};

impl Authority {
    /// Decides one access to a folder, by the name that the connector calls it.
    ///
    /// # Errors
    /// The denial, with the lines that would allow it.
    pub fn decide_file(&self, folder: &str, write: bool) -> Result<FilePermit, Denial> {
        let inner = &self.0;
        inner.check_asked(folder, write)?;
        let granted = inner.granted_folder(folder, write)?;
        inner.check_root(folder, granted)?;
        let rule = format!("grant {}: folder {folder}, {}", inner.plugin, granted.access);
        Ok(FilePermit { path: granted.path.as_path().to_owned(), write, rule })
    }

    /// The folders that the grant opens, by name. Each access is decided all the same.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.grant.folders.keys().map(model::FolderName::as_str)
    }
}

fn word(write: bool) -> &'static str {
    if write { "write to" } else { "read from" }
}

impl Inner {
    fn refused(&self, folder: &str, write: bool) -> String {
        let folder: String = folder.chars().take(80).collect();
        format!("{}/{} may not {} the folder {folder:?}", self.plugin, self.operation, word(write))
    }

    fn check_asked(&self, folder: &str, write: bool) -> Result<(), Denial> {
        let wanted = if write { FileAccess::Write } else { FileAccess::Read };
        if self.files >= wanted {
            return Ok(());
        }
        let rule =
            format!("the manifest of {}/{} does not ask to {} folders", self.plugin, self.operation, word(write));
        let fix = "no grant can help: ask the publisher for a version whose manifest declares it";
        Err(Denial::new("manifest-missing-files", self.refused(folder, write), rule, fix))
    }

    fn granted_folder(&self, folder: &str, write: bool) -> Result<&FolderGrant, Denial> {
        let wanted = if write { FolderAccess::Write } else { FolderAccess::Read };
        let found = self.grant.folders.iter().find(|(name, _)| name.as_str() == folder).map(|(_, granted)| granted);
        let approve = words::approve_command(&self.digest, &self.environment);
        let (rule, lines) = match found {
            Some(granted) if granted.access >= wanted => return Ok(granted),
            Some(granted) => (
                format!("grant {}: folder {folder}, {}", self.plugin, granted.access),
                format!(
                    "in the grant of {}, under [folders.{}], write:\naccess = \"{wanted}\"",
                    self.plugin,
                    key(folder)
                ),
            ),
            None => (
                format!("no folder {} in grant {}", quoted(&folder.chars().take(80).collect::<String>()), self.plugin),
                self.folder_lines(folder),
            ),
        };
        let fix = format!("{lines}\nthen: {approve}");
        Err(Denial::new("grant-missing-folder", self.refused(folder, write), rule, fix))
    }

    /// The lines that open a folder for all that the operation asks to do: one that
    /// writes may read first, and would be denied again with less.
    fn folder_lines(&self, folder: &str) -> String {
        if folder.parse::<model::FolderName>().is_err() {
            let known: Vec<&str> = self.grant.folders.keys().map(model::FolderName::as_str).collect();
            return format!("this is not the name of a folder; the grant opens: {}", known.join(", "));
        }
        let root =
            self.ceiling.document().folders.first().map_or_else(|| "/srv/sluicegate".to_owned(), ToString::to_string);
        let asked = match self.files {
            FileAccess::Write => FolderAccess::Write,
            FileAccess::Read | FileAccess::None => FolderAccess::Read,
        };
        format!(
            "in the grant of {}, add:\n[folders.{}]\npath = {}\naccess = \"{asked}\"",
            self.plugin,
            key(folder),
            quoted(&format!("{root}/{folder}")),
        )
    }

    fn check_root(&self, folder: &str, granted: &FolderGrant) -> Result<(), Denial> {
        if self.ceiling.folder_root(&granted.path).is_some() {
            return Ok(());
        }
        let rule = format!("no folder of the ceiling contains {}", granted.path);
        let fix = format!("{}\n    {},", self.ceiling.add_to("folders"), quoted(&granted.path.to_string()));
        let what = format!("{}/{} may not open the folder {folder:?}", self.plugin, self.operation);
        Err(Denial::new("ceiling-missing-folder", what, rule, fix))
    }
}
