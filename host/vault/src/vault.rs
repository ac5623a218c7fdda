//! The vault itself: sealed rows in the store, opened with the key file's key.

use std::fmt;
use std::path::Path;

use model::{ConnectionId, Environment};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Batch, Store, Table};

use crate::error::VaultError;
use crate::key::MasterKey;
use crate::seal::{Place, Sealer};
use crate::secrets::{self, Secrets};

/// Rows are (environment, connection, field); values are sealed bytes, not JSON.
const TABLE: Table<()> = Table::new("vault");
const CREDENTIAL: &str = "credential";
const WEBHOOK_SECRET: &str = "webhook-secret";

/// Seals and opens the secrets of connections. Share it in an `Arc`.
pub struct Vault {
    master: MasterKey,
    sealer: Sealer,
}

impl Vault {
    /// Opens the vault with the key in `key_file`; makes the file at first start.
    ///
    /// # Errors
    /// When the file is a link, open to others, or does not hold a key.
    pub fn open(key_file: &Path) -> Result<Self, VaultError> {
        let master = MasterKey::open(key_file)?;
        let sealer = Sealer::new(&master);
        Ok(Self { master, sealer })
    }

    /// Seals the secrets of a connection into `batch`, replacing those it had.
    ///
    /// # Errors
    /// When a secret is too short to be scrubbed, or unusable in a request.
    pub fn put(
        &self,
        batch: &mut Batch,
        environment: &Environment,
        connection: &ConnectionId,
        secrets: &Secrets,
    ) -> Result<(), VaultError> {
        secrets.check()?;
        let place = |field| Place { environment, connection, field };
        let credential = self.sealer.seal(place(CREDENTIAL), &secrets::write(&secrets.credential))?;
        let webhook = match &secrets.webhook_secret {
            Some(secret) => Some(self.sealer.seal(place(WEBHOOK_SECRET), secret.expose_secret().as_bytes())?),
            None => None,
        };
        batch.put(key(place(CREDENTIAL)), credential);
        match webhook {
            Some(sealed) => batch.put(key(place(WEBHOOK_SECRET)), sealed),
            None => batch.delete(key(place(WEBHOOK_SECRET))),
        }
        Ok(())
    }

    /// Opens the secrets of a connection; None when it has none.
    ///
    /// # Errors
    /// When the store cannot read, the key is another one, or a value was changed.
    pub fn get(
        &self,
        store: &dyn Store,
        environment: &Environment,
        connection: &ConnectionId,
    ) -> Result<Option<Secrets>, VaultError> {
        let place = |field| Place { environment, connection, field };
        let Some(plain) = self.open_row(store, place(CREDENTIAL))? else { return Ok(None) };
        let credential = secrets::read(&plain).ok_or_else(|| damaged(place(CREDENTIAL)))?;
        let webhook_secret = match self.open_row(store, place(WEBHOOK_SECRET))? {
            Some(plain) => {
                let text = std::str::from_utf8(&plain).map_err(|_| damaged(place(WEBHOOK_SECRET)))?;
                Some(SecretString::from(text))
            }
            None => None,
        };
        Ok(Some(Secrets { credential, webhook_secret }))
    }

    /// Removes the secrets of a connection.
    pub fn remove(&self, batch: &mut Batch, environment: &Environment, connection: &ConnectionId) {
        for field in [CREDENTIAL, WEBHOOK_SECRET] {
            batch.delete(key(Place { environment, connection, field }));
        }
    }

    /// A key for another purpose of the host, the same as long as the key file is:
    /// `sandbox code cache`, ... Says nothing about the keys that seal.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        *self.master.derive("sluicegate derived", purpose)
    }

    fn open_row(&self, store: &dyn Store, place: Place<'_>) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, VaultError> {
        let sealed = store.get(&key(place)).map_err(|source| VaultError::Read {
            environment: place.environment.to_string(),
            connection: place.connection.to_string(),
            source,
        })?;
        sealed.map(|sealed| self.sealer.open(place, &sealed)).transpose()
    }
}

fn damaged(place: Place<'_>) -> VaultError {
    let (environment, connection) = (place.environment.to_string(), place.connection.to_string());
    VaultError::Damaged { environment, connection, field: place.field }
}

fn key(place: Place<'_>) -> Vec<u8> {
    TABLE.key(&[place.environment.as_str().as_bytes(), place.connection.as_str().as_bytes(), place.field.as_bytes()])
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests;
