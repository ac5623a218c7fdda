//! Compiled code on disk, authenticated.
//!
//! A file is a header, a MAC over the key and the code, and the code. The key names
//! the component, the wasmtime version and the engine's settings. What is read is
//! verified in memory, and that very buffer is what is loaded: nobody can change it
//! in between. A file that fails is set aside as `.bad` and compiled again. What another
//! version of the compiler has made is never read: opening the folder removes it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac as _};
use model::Digest;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

/// Names the format; the last byte is its version.
const MAGIC: &[u8; 8] = b"SGCODE\0\x01";
const MAC_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + MAC_BYTES;
/// A file larger than this was not written here: code is 3 to 5 times its wasm.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// The compiler's version as the root manifest pins it; wasmtime checks it again.
const COMPILER: &str = "wasmtime 48.0.8";

/// The folder of compiled code.
pub(crate) struct CodeCache {
    folder: PathBuf,
    key: [u8; 32],
    engine: [u8; 32],
}

/// Machine code that may be loaded: verified, or compiled a moment ago.
pub(crate) struct TrustedCode {
    buffer: Vec<u8>,
    start: usize,
}

impl TrustedCode {
    /// Code that this process, or its own child, has just compiled.
    pub(crate) fn compiled_now(code: Vec<u8>) -> Self {
        Self { buffer: code, start: 0 }
    }

    /// The code.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

impl CodeCache {
    /// Opens the folder: mode 0700, not a link.
    pub(crate) fn open(folder: &Path, key: [u8; 32], engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let meta = fs::symlink_metadata(folder)?;
        if !meta.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is a link or a file"));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        let cache = Self { folder: folder.to_owned(), key, engine: fingerprint(engine) };
        cache.sweep();
        Ok(cache)
    }

    /// Removes what other compilers have made, and what was never finished. A file that
    /// cannot be removed takes up room, and nothing else.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let own = self.suffix();
        let is_old = |name: &str| match name.rsplit_once('.') {
            Some((stem, "code" | "bad")) => is_made_here(stem) && !stem.ends_with(&own),
            Some((stem, "tmp")) => stem.len() == 16 && is_hex(stem),
            _ => false,
        };
        for entry in entries.flatten() {
            if !entry.file_name().to_str().is_some_and(is_old) {
                continue;
            }
            match fs::remove_file(entry.path()) {
                Ok(()) => tracing::info!(path = %entry.path().display(), "removed code of another version"),
                Err(error) => tracing::warn!(path = %entry.path().display(), %error, "old code could not be removed"),
            }
        }
    }

    /// The code of this component, if it is here and authentic.
    pub(crate) fn load(&self, digest: &Digest) -> Option<TrustedCode> {
        let path = self.path(digest);
        match self.read(&path, digest) {
            Ok(code) => Some(code),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(%digest, %error, "compiled code is not authentic: set aside, compiling again");
                self.quarantine(digest);
                None
            }
        }
    }

    /// Sets the file of this component aside.
    pub(crate) fn quarantine(&self, digest: &Digest) {
        let path = self.path(digest);
        if let Err(error) = fs::rename(&path, path.with_extension("bad")) {
            tracing::error!(path = %path.display(), %error, "damaged code could not be set aside");
        }
    }

    /// Keeps the code of this component; on disk when this returns.
    pub(crate) fn store(&self, digest: &Digest, code: &TrustedCode) -> io::Result<()> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let temp = self.folder.join(format!("{}.tmp", hex::encode(nonce)));
        let written = self.write(&temp, digest, code.as_bytes()).and_then(|()| fs::rename(&temp, self.path(digest)));
        if written.is_err() {
            let _gone = fs::remove_file(&temp);
        }
        written?;
        File::open(&self.folder)?.sync_all()
    }

    fn write(&self, path: &Path, digest: &Digest, code: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(MAGIC)?;
        file.write_all(&self.mac(digest, code).finalize().into_bytes())?;
        file.write_all(code)?;
        file.sync_all()
    }

    fn read(&self, path: &Path, digest: &Digest) -> io::Result<TrustedCode> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.nlink() != 1 || meta.len() > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a plain file of its own"));
        }
        let mut buffer = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
        file.read_to_end(&mut buffer)?;
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let head = buffer.get(..HEADER_BYTES).ok_or_else(|| bad("too short"))?;
        let mac = head.strip_prefix(MAGIC).ok_or_else(|| bad("another format"))?;
        // Compares in constant time.
        self.mac(digest, &buffer[HEADER_BYTES..]).verify_slice(mac).map_err(|_| bad("wrong MAC"))?;
        Ok(TrustedCode { buffer, start: HEADER_BYTES })
    }

    fn mac(&self, digest: &Digest, code: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.key)
            .expect("HMAC takes keys of every length")
            .chain_update(MAGIC)
            .chain_update(digest.as_bytes())
            .chain_update(self.engine)
            .chain_update(code)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}{}.code", digest.to_hex(), self.suffix()))
    }

    /// What this compiler's files have at the end of their names.
    fn suffix(&self) -> String {
        format!("-{}", hex::encode(&self.engine[..8]))
    }
}

/// `DIGEST-ENGINE`, as [`CodeCache::path`] names files.
fn is_made_here(stem: &str) -> bool {
    stem.split_once('-')
        .is_some_and(|(digest, engine)| (digest.len(), engine.len()) == (64, 16) && is_hex(digest) && is_hex(engine))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The compiler's version and every setting that code depends on.
fn fingerprint(engine: &Engine) -> [u8; 32] {
    struct Feed(Sha256);
    impl Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }
    let mut feed = Feed(Sha256::new_with_prefix(COMPILER));
    engine.precompile_compatibility_hash().hash(&mut feed);
    feed.0.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &Path) -> CodeCache {
        let engine = Engine::new(&crate::engine::base()).expect("an engine");
        CodeCache::open(folder, [7; 32], &engine).expect("a cache")
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn gives_back_what_was_stored_and_nothing_else() {
        let home = tempfile::tempdir().expect("a folder");
        let cache = cache(&home.path().join("code"));
        let digest = Digest::of(b"wasm");
        assert!(cache.load(&digest).is_none());
        cache.store(&digest, &TrustedCode::compiled_now(b"machine code".to_vec())).expect("stored");
        assert_eq!(cache.load(&digest).expect("there").as_bytes(), b"machine code");
        let other = Digest::of(b"other");
        fs::copy(cache.path(&digest), cache.path(&other)).expect("copied");
        assert!(cache.load(&other).is_none(), "code of one component under the name of another");
    }

    #[test]
    fn every_damage_is_set_aside() {
        type Damage = fn(&Path);
        let damages: [(&str, Damage); 6] = [
            ("flipped code bit", |path| flip(path, HEADER_BYTES + 3)),
            ("flipped MAC bit", |path| flip(path, MAGIC.len() + 1)),
            ("flipped magic", |path| flip(path, 0)),
            ("truncated", |path| fs::write(path, b"SGC").expect("written")),
            ("appended", |path| {
                let mut file = OpenOptions::new().append(true).open(path).expect("opened");
                file.write_all(b"x").expect("written");
            }),
            ("hard link", |path| fs::hard_link(path, path.with_extension("twin")).expect("linked")),
        ];
        for (name, damage) in damages {
            let home = tempfile::tempdir().expect("a folder");
            let cache = cache(home.path());
            let digest = Digest::of(b"wasm");
            cache.store(&digest, &TrustedCode::compiled_now(b"machine code".to_vec())).expect("stored");
            damage(&cache.path(&digest));
            assert!(cache.load(&digest).is_none(), "{name}");
            assert!(files(home.path()).iter().any(|file| file.ends_with(".bad")), "{name}: not set aside");
            assert!(!cache.path(&digest).exists(), "{name}");
        }
    }

    #[test]
    fn code_of_another_version_is_neither_loaded_nor_kept() {
        let home = tempfile::tempdir().expect("a folder");
        let (digest, code) = (Digest::of(b"wasm"), TrustedCode::compiled_now(b"machine code".to_vec()));
        let older = CodeCache { engine: [9; 32], ..cache(home.path()) };
        older.store(&digest, &code).expect("stored");
        fs::write(home.path().join("0123456789abcdef.tmp"), "half").expect("written");
        fs::write(home.path().join("notes.txt"), "mine").expect("written");
        let old_file = older.path(&digest);
        let newer = CodeCache { engine: [8; 32], ..cache(&home.path().join("elsewhere")) };
        let newer = CodeCache { folder: home.path().to_owned(), ..newer };
        assert!(newer.load(&digest).is_none(), "another name");
        fs::copy(&old_file, newer.path(&digest)).expect("copied");
        assert!(newer.load(&digest).is_none(), "the version is authenticated too");
        assert!(newer.path(&digest).with_extension("bad").exists());

        fs::copy(&old_file, home.path().join(format!("{}-old.code", digest.to_hex()))).expect("copied");
        older.store(&digest, &code).expect("stored");
        newer.store(&digest, &code).expect("stored");
        newer.sweep();
        let own = newer.path(&digest);
        let own = |extension| own.with_extension(extension).file_name().map(|name| name.to_string_lossy().into_owned());
        let kept = [own("bad").expect("a name"), own("code").expect("a name")];
        let strangers = [format!("{}-old.code", digest.to_hex()), "elsewhere".to_owned(), "notes.txt".to_owned()];
        let mut wanted: Vec<String> = kept.into_iter().chain(strangers).collect();
        wanted.sort();
        assert_eq!(files(home.path()), wanted);
        assert_eq!(newer.load(&digest).expect("still there").as_bytes(), b"machine code");
    }

    #[test]
    fn the_compiler_is_the_one_that_is_locked() {
        let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).expect("read");
        let version = COMPILER.strip_prefix("wasmtime ").expect("a name and a version");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{version}\"")), "COMPILER is out of date");
    }

    #[test]
    fn links_are_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let cache = cache(&home.path().join("code"));
        let digest = Digest::of(b"wasm");
        cache.store(&digest, &TrustedCode::compiled_now(b"machine code".to_vec())).expect("stored");
        let moved = home.path().join("elsewhere");
        fs::rename(cache.path(&digest), &moved).expect("moved");
        std::os::unix::fs::symlink(&moved, cache.path(&digest)).expect("linked");
        assert!(cache.load(&digest).is_none());

        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path().join("code"), &link).expect("linked");
        let engine = Engine::new(&crate::engine::base()).expect("an engine");
        assert!(CodeCache::open(&link, [7; 32], &engine).is_err());
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = fs::read(path).expect("read");
        bytes[at] ^= 1;
        fs::write(path, bytes).expect("written");
    }
}
