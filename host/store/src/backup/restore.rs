//! Back from a backup: checked whole before the first file is put in place.

use super::{Backup, BackupError, CHUNK_BYTES, LIST, VERSION, copy, expect_empty, is_inside, make_folder};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Reads a backup's list and checks every file against it. `progress` hears
/// how many bytes were read.
///
/// # Errors
/// When the backup is incomplete, damaged, or of a newer form.
pub fn check(from: &Path, progress: &mut dyn FnMut(u64)) -> Result<Backup, BackupError> {
    let backup = read_list(from)?;
    for file in &backup.files {
        let damaged = |why| BackupError::Damaged { path: file.path.clone(), why };
        if !is_inside(&file.path) {
            return Err(damaged("its place is outside the backup"));
        }
        let path = from.join(&file.path);
        let (bytes, crc) = match sum(&path, progress) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("it is missing")),
            other => other.map_err(|source| BackupError::Io { path, source })?,
        };
        if bytes != file.bytes {
            return Err(damaged("its length is not what was written"));
        }
        if crc != file.crc32c {
            return Err(damaged("its content is not what was written"));
        }
    }
    Ok(backup)
}

/// Puts a backup into an empty data folder, having checked all of it; the
/// copies are checked as well.
///
/// # Errors
/// As `check`; and when the folder holds something, or cannot be written.
pub fn restore(from: &Path, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<Backup, BackupError> {
    expect_empty(to)?;
    let backup = check(from, progress)?;
    make_folder(to)?;
    for file in &backup.files {
        let path = from.join(&file.path);
        let source = File::open(&path).map_err(|source| BackupError::Io { path, source })?;
        if copy(source, &to.join(&file.path))? != (file.bytes, file.crc32c) {
            return Err(BackupError::Damaged { path: file.path.clone(), why: "it changed while it was copied" });
        }
        progress(file.bytes);
    }
    Ok(backup)
}

fn read_list(from: &Path) -> Result<Backup, BackupError> {
    let path = from.join(LIST);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BackupError::Incomplete(from.to_owned())),
        other => other.map_err(|source| BackupError::Io { path, source })?,
    };
    let damaged = || BackupError::Damaged { path: LIST.to_owned(), why: "it is not the list of a backup" };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|_| damaged())?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => serde_json::from_value(value).map_err(|_| damaged()),
        Some(version) => Err(BackupError::Version { found: u32::try_from(version).unwrap_or(u32::MAX) }),
        None => Err(damaged()),
    }
}

fn sum(path: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let (mut bytes, mut crc) = (0, 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let len = file.read(&mut chunk)?;
        if len == 0 {
            return Ok((bytes, crc));
        }
        crc = crc32c::crc32c_append(crc, &chunk[..len]);
        bytes += len as u64;
        progress(len as u64);
    }
}
