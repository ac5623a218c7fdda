//! The data folder: its names, its permissions, and the files written whole.
//!
//! Everything in it is the user's alone: folder 0700, files 0600.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use model::Problem;
use rustix::fs::Mode;

use crate::exit::Stop;

/// The places in a data folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Names the places, without looking.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("vault.key")
    }

    pub(crate) fn token(&self) -> PathBuf {
        self.0.join("admin.token")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("sluice.sock")
    }

    pub(crate) fn listen(&self) -> PathBuf {
        self.0.join("listen.json")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    pub(crate) fn ceiling(&self) -> PathBuf {
        self.0.join("ceiling.toml")
    }

    pub(crate) fn roots(&self) -> PathBuf {
        self.0.join("trusted-roots.pem")
    }

    /// Makes the folder, or closes it to others. A folder that holds other things
    /// is left as it is and refused: a slip of the pen must not lock `/tmp` up.
    pub(crate) fn prepare(&self) -> Result<(), Stop> {
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let refused = |error: io::Error| {
            Stop::failed(
                Problem::new(
                    "data-folder-unusable",
                    format!("the data folder {} cannot be used: {error}", self.0.display()),
                )
                .fix("choose another with --data DIR, or mend its permissions"),
            )
        };
        match fs::metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(refused)
            }
            Err(error) => Err(refused(error)),
            Ok(found) if !self.is_ours().map_err(refused)? => Err(foreign(&self.0, found.is_dir())),
            Ok(found) if found.mode() & 0o077 != 0 => {
                tracing::warn!(folder = %self.0.display(), "the data folder was open to other users; it is closed now");
                fs::set_permissions(&self.0, Permissions::from_mode(0o700)).map_err(refused)
            }
            Ok(_) => Ok(()),
        }
    }

    /// With a store in it, or empty but for what an administrator may write first.
    fn is_ours(&self) -> io::Result<bool> {
        if self.store().exists() {
            return Ok(true);
        }
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let named = [self.ceiling(), self.roots()].contains(&entry.path());
            if !named || !is_own_file(&entry.metadata()?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A plain file of this user that not everybody may write to.
fn is_own_file(found: &Metadata) -> bool {
    found.is_file() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o002 == 0
}

fn foreign(path: &Path, is_folder: bool) -> Stop {
    let what = if is_folder { "holds other things and no store" } else { "is not a folder" };
    Stop::failed(
        Problem::new("not-a-data-folder", format!("{} {what}", path.display()))
            .fix("choose an empty folder, or one that does not exist yet: --data DIR"),
    )
}

/// Writes a file whole or not at all, readable by its owner alone.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("part");
    // One that is left over from a crash may have any permissions.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
