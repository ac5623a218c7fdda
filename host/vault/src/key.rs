//! The master key: its file, and the keys derived from it.
//!
//! The file is one line of text, `sluicegate-vault-key-1:` and 64 hexadecimal
//! digits, readable by its owner alone. It appears whole or not at all: written
//! beside its place, synced, then linked into it, which fails when it exists.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac as _};
use rustix::fs::OFlags;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::VaultError;

const HEAD: &str = "sluicegate-vault-key-1:";
/// Head, 64 digits, line break.
const FILE_BYTES: usize = HEAD.len() + 64 + 1;

/// The key that all others come from. Wiped when dropped.
pub(crate) struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Reads the key, or makes it when there is no file.
    pub(crate) fn open(path: &Path) -> Result<Self, VaultError> {
        for _ in 0..2 {
            if let Some(key) = read(path)? {
                return Ok(key);
            }
            create(path)?;
        }
        read(path)?.ok_or_else(|| VaultError::KeyDamaged { path: path.to_owned() })
    }

    /// HKDF-Expand (RFC 5869) for one block, with the master key as the
    /// pseudo-random key: it is uniformly random already.
    pub(crate) fn derive(&self, label: &str, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(self.0.as_slice()).expect("any length is a key");
        for part in [label.as_bytes(), &[0], purpose.as_bytes(), &[1]] {
            mac.update(part);
        }
        let mut bytes = mac.finalize().into_bytes();
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&bytes);
        bytes.as_mut_slice().zeroize();
        key
    }
}

fn fail(what: &'static str, path: &Path) -> impl Fn(io::Error) -> VaultError {
    let path = path.to_owned();
    move |source| VaultError::KeyFile { what, path: path.clone(), source }
}

/// None when there is no file.
fn read(path: &Path) -> Result<Option<MasterKey>, VaultError> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::LOOP) => {
            return Err(VaultError::KeyNotAFile { path: path.to_owned() });
        }
        Err(error) => return Err(fail("read", path)(error)),
    };
    let metadata = file.metadata().map_err(fail("read", path))?;
    if !metadata.is_file() {
        return Err(VaultError::KeyNotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(VaultError::KeyOpenToOthers { path: path.to_owned(), mode });
    }
    parse(&mut file, path).map(Some)
}

fn parse(file: &mut File, path: &Path) -> Result<MasterKey, VaultError> {
    let damaged = || VaultError::KeyDamaged { path: path.to_owned() };
    // One byte more than a key has, so that a longer file is noticed.
    let mut text = Zeroizing::new(vec![0; FILE_BYTES + 1]);
    let mut filled = 0;
    loop {
        match file.read(&mut text[filled..]).map_err(fail("read", path))? {
            0 => break,
            read => filled += read,
        }
    }
    let digits = text[..filled].strip_prefix(HEAD.as_bytes()).and_then(|rest| rest.strip_suffix(b"\n"));
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits.ok_or_else(damaged)?, key.as_mut_slice()).map_err(|_| damaged())?;
    Ok(MasterKey(key))
}

/// Makes the file; fine when someone else has just made it.
fn create(path: &Path) -> Result<(), VaultError> {
    let mut key = Zeroizing::new([0; 32]);
    random(key.as_mut_slice())?;
    let mut suffix = [0; 8];
    random(&mut suffix)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", hex::encode(suffix)));
    let beside = path.with_file_name(name);
    let made = write(&beside, &key).map_err(fail("create", path)).and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(fail("create", path)(error)),
        _ => Ok(()),
    });
    // Whether or not it was made, nothing of it stays beside.
    let removed = fs::remove_file(&beside);
    made?;
    removed.map_err(fail("create", path))?;
    sync_folder(path).map_err(fail("create", path))
}

fn write(path: &PathBuf, key: &[u8; 32]) -> io::Result<()> {
    let digits = Zeroizing::new(hex::encode(key));
    let line = Zeroizing::new(format!("{HEAD}{}\n", digits.as_str()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Fills `bytes` from the operating system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), VaultError> {
    getrandom::fill(bytes).map_err(|error| VaultError::Randomness(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn derived(path: &Path) -> [u8; 32] {
        *MasterKey::open(path).expect("opens").derive("label", "purpose")
    }

    #[test]
    fn is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        let first = derived(&path);
        assert_eq!(derived(&path), first);
        assert_eq!(fs::metadata(&path).expect("made").permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1, "nothing is left beside it");
        assert_ne!(derived(&folder.path().join("other")), first);
    }

    #[test]
    fn many_first_starts_at_once_agree() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| derived(&path))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn labels_and_purposes_give_other_keys() {
        let folder = tempfile::tempdir().expect("folder");
        let key = MasterKey::open(&folder.path().join("key")).expect("opens");
        let all = [key.derive("a", "b"), key.derive("a", "c"), key.derive("b", "b"), key.derive("", "a\0b")];
        for (at, one) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other.as_slice() != one.as_slice()), "{at}");
        }
    }

    #[test]
    fn a_key_that_is_not_safe_or_not_whole_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let good = folder.path().join("good");
        derived(&good);
        let text = fs::read_to_string(&good).expect("text");
        let cases: [(&str, String, u32, &str); 8] = [
            ("group", text.clone(), 0o640, "vault-key-open"),
            ("others", text.clone(), 0o604, "vault-key-open"),
            ("writable", text.clone(), 0o602, "vault-key-open"),
            ("empty", String::new(), 0o600, "vault-key-damaged"),
            ("short", text[..text.len() - 2].to_owned() + "\n", 0o600, "vault-key-damaged"),
            ("long", text.clone() + "0", 0o600, "vault-key-damaged"),
            ("digit", text.replace(':', ":g"), 0o600, "vault-key-damaged"),
            ("version", text.replace("-1:", "-2:"), 0o600, "vault-key-damaged"),
        ];
        for (name, content, mode, code) in cases {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            let problem = MasterKey::open(&path).err().expect(name).to_problem();
            assert_eq!(problem.code, code, "{name}");
            assert!(problem.cause.is_some() && problem.fix.is_some(), "{name}");
        }
        let link = folder.path().join("link");
        symlink(&good, &link).expect("linked");
        assert_eq!(MasterKey::open(&link).err().expect("link").to_problem().code, "vault-key-not-a-file");
        assert_eq!(MasterKey::open(folder.path()).err().expect("folder").to_problem().code, "vault-key-not-a-file");
        let nowhere = folder.path().join("missing/key");
        assert_eq!(MasterKey::open(&nowhere).err().expect("nowhere").to_problem().code, "vault-key-file");
    }
}
