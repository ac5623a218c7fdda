//! What can go wrong with the key file and with sealed values, in words for the
//! person who can mend it. No variant holds a secret.

use std::io;
use std::path::PathBuf;

use model::Problem;

/// Why the vault could not open, seal or unseal.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The operating system refused something about the key file.
    #[error("cannot {what} the key file {}", path.display())]
    KeyFile {
        /// `read`, `create`, ...
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The path is a symbolic link, a folder or another thing than a file.
    #[error("the key file {} is not a regular file", path.display())]
    KeyNotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may read or write the key.
    #[error("the key file {} is open to others than its owner (mode {mode:04o})", path.display())]
    KeyOpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key of this format.
    #[error("the key file {} does not hold a key", path.display())]
    KeyDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(String),
    /// The value was sealed with another key.
    #[error("the {field} of connection {connection} ({environment}) was sealed with another key")]
    WrongKey {
        /// Which environment.
        environment: String,
        /// Which connection.
        connection: String,
        /// Which part of its secrets.
        field: &'static str,
    },
    /// The value is not what was sealed here.
    #[error("the sealed {field} of connection {connection} ({environment}) is damaged")]
    Damaged {
        /// Which environment.
        environment: String,
        /// Which connection.
        connection: String,
        /// Which part of its secrets.
        field: &'static str,
    },
    /// A secret that could not be found again in what comes back.
    #[error("the {what} is shorter than {} bytes", crate::SECRET_BYTES_MIN)]
    Short {
        /// `token`, `password`, ...
        what: &'static str,
    },
    /// A secret that no request can carry.
    #[error("the {what} {why}")]
    Unusable {
        /// `token`, `header name`, ...
        what: &'static str,
        /// As the end of a sentence.
        why: &'static str,
        /// The likely cause.
        cause: &'static str,
        /// How to give it instead.
        fix: &'static str,
    },
    /// The store could not read.
    #[error("the secrets of connection {connection} ({environment}) cannot be read from the store")]
    Read {
        /// Which environment.
        environment: String,
        /// Which connection.
        connection: String,
        /// Why.
        source: store::ReadError,
    },
}

impl VaultError {
    /// What a person reads: what happened, the likely cause, the fix.
    pub fn to_problem(&self) -> Problem {
        let (code, cause, fix) = self.advice();
        let mut what = self.to_string();
        if let Some(source) = std::error::Error::source(self) {
            what = format!("{what}: {source}");
        }
        Problem::new(code, what).cause(cause).fix(fix)
    }

    fn advice(&self) -> (&'static str, String, String) {
        let text = |code, cause: &str, fix: &str| (code, cause.to_owned(), fix.to_owned());
        match self {
            Self::KeyFile { path, .. } => (
                "vault-key-file",
                "the folder is missing, full, or not writable by this user".to_owned(),
                format!("make sure that {} belongs to the user that runs the host", path.display()),
            ),
            Self::KeyNotAFile { path } => (
                "vault-key-not-a-file",
                "a link could be turned to another key while the host runs".to_owned(),
                format!("put the key itself at {}", path.display()),
            ),
            Self::KeyOpenToOthers { path, .. } => (
                "vault-key-open",
                "the file was copied or restored without its permissions".to_owned(),
                format!("run: chmod 600 {}", path.display()),
            ),
            Self::KeyDamaged { path } => (
                "vault-key-damaged",
                "the file was cut short, edited, or is another file".to_owned(),
                format!("restore {} from your backup of the key", path.display()),
            ),
            Self::Randomness(_) => {
                text("no-randomness", "the system is starting, or too confined", "try again, or allow getrandom(2)")
            }
            Self::WrongKey { .. } => text(
                "vault-wrong-key",
                "the store was restored or moved without the key file that belongs to it",
                "restore the key file that belongs to this store, or add the connection again",
            ),
            Self::Damaged { .. } => text(
                "vault-damaged",
                "the stored bytes were changed, or copied from another connection",
                "add the connection again; restore the store from a backup if others are damaged too",
            ),
            Self::Short { .. } => text(
                "secret-too-short",
                "a secret this short can be guessed, and is found by chance in what services answer, so it cannot be \
                 scrubbed",
                "give one of at least 8 bytes; if yours is longer, look whether all of it was given",
            ),
            Self::Unusable { cause, fix, .. } => text("secret-unusable", cause, fix),
            Self::Read { .. } => text(
                "store-read",
                "the store is damaged or its disk fails",
                "look at the host's log, then restore a backup",
            ),
        }
    }
}
