//! File systems of our own on loop devices and in memory, where root may have them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::{empty_folder, has, short};

/// A mounted file system; unmounted when dropped.
pub(super) struct Mounted {
    folder: PathBuf,
}

impl Mounted {
    /// Mounts an ext4 image.
    pub(super) fn image(image: &Path, folder: &Path) -> Result<Self> {
        must(Command::new("mount").args(["-o", "loop"]).arg(image).arg(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Mounts a file system in memory, of so many MiB.
    pub(super) fn memory(folder: &Path, mib: u64) -> Result<Self> {
        leave(folder)?;
        let size = format!("size={mib}m");
        must(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts it now; fails while something holds a file in it.
    pub(super) fn unmount(self) -> Result<()> {
        must(Command::new("umount").arg(&self.folder))?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: whatever still holds it ends with the process that failed.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).output();
    }
}

/// An empty folder where an earlier attempt may have left something mounted.
pub(super) fn leave(folder: &Path) -> Result<()> {
    let _ = Command::new("umount").arg("-l").arg(folder).output();
    empty_folder(folder)
}

/// Makes an ext4 image of so many MiB.
pub(super) fn make_image(image: &Path, mib: u64) -> Result<()> {
    let file = fs::File::create(image).with_context(|| short(image))?;
    file.set_len(mib << 20)?;
    must(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image))
}

/// Compiles the program that shuts a file system down.
pub(super) fn build_godown(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("godown.c");
    fs::write(&source, include_str!("godown.c"))?;
    let binary = folder.join("godown");
    must(Command::new("gcc").arg("-o").arg(&binary).arg(&source))?;
    Ok(binary)
}

/// Why file systems cannot be lost here, if they cannot.
pub(super) fn missing() -> Option<String> {
    if !super::strace::is_root() {
        return Some("only root may mount file systems".to_owned());
    }
    let tools = [("mkfs.ext4", "-V"), ("mount", "-V"), ("umount", "-V"), ("gcc", "--version")];
    let missing = tools.iter().find(|(tool, version)| !has(tool, version)).map(|(tool, _)| *tool);
    missing.map(|tool| format!("{tool} is missing"))
}

/// Runs a tool that has to succeed.
pub(super) fn must(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
