//! The vault itself: sealed rows in the store, opened with the key file's key.

use std::fmt;
use std::path::Path;

use model::{ConnectionId, Environment, FlowId};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Batch, Store, Table};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::key::{MasterKey, random};
use crate::seal::{Place, Sealer};
use crate::secrets::{self, Secrets};

/// Rows are (environment, connection, field); values are sealed bytes, not JSON.
const TABLE: Table<()> = Table::new("vault");
const CREDENTIAL: &str = "credential";
const WEBHOOK_SECRET: &str = "webhook-secret";
/// What the host made for a flow's webhook; the row's name is then the flow's.
const FLOW_HOOK: &str = "flow-hook";
/// 256 random bits.
const NEW_SECRET_BYTES: usize = 32;

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

    /// Seals what the host made for a flow's webhook, replacing what it had.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn put_hook(
        &self,
        batch: &mut Batch,
        environment: &Environment,
        flow: &FlowId,
        text: &SecretString,
    ) -> Result<(), VaultError> {
        let owner = owner(flow);
        let place = Place { environment, connection: &owner, field: FLOW_HOOK };
        batch.put(key(place), self.sealer.seal(place, text.expose_secret().as_bytes())?);
        Ok(())
    }

    /// Opens what the host made for a flow's webhook; None when it made nothing.
    ///
    /// # Errors
    /// When the store cannot read, the key is another one, or the value was changed.
    pub fn get_hook(
        &self,
        store: &dyn Store,
        environment: &Environment,
        flow: &FlowId,
    ) -> Result<Option<SecretString>, VaultError> {
        let owner = owner(flow);
        let place = Place { environment, connection: &owner, field: FLOW_HOOK };
        let Some(plain) = self.open_row(store, place)? else { return Ok(None) };
        let text = std::str::from_utf8(&plain).map_err(|_| damaged(place))?;
        Ok(Some(SecretString::from(text)))
    }

    /// A new secret that nobody can guess, in hexadecimal digits.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new_secret() -> Result<SecretString, VaultError> {
        let mut bytes = Zeroizing::new([0; NEW_SECRET_BYTES]);
        random(&mut *bytes)?;
        Ok(SecretString::from(hex::encode(*bytes)))
    }

    /// A key for another purpose of the host, the same as long as the key file is:
    /// `sandbox code cache`, ... Says nothing about the keys that seal.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        *self.master.derive("sluicegate derived", purpose)
    }

    fn open_row(&self, store: &dyn Store, place: Place<'_>) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let sealed = store.get(&key(place)).map_err(|source| VaultError::Read {
            environment: place.environment.to_string(),
            connection: place.connection.to_string(),
            source,
        })?;
        sealed.map(|sealed| self.sealer.open(place, &sealed)).transpose()
    }
}

/// Names of flows and of connections have one grammar; the field keeps them apart.
fn owner(flow: &FlowId) -> ConnectionId {
    flow.as_str().parse().expect("a flow's name is of the grammar of a connection's")
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
