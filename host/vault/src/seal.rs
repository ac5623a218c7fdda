//! Sealed values: XChaCha20-Poly1305 with a fresh random nonce each.
//!
//! `version (1) | key id (8) | nonce (24) | ciphertext and tag`. The header and the
//! value's place (environment, connection, field) are associated data, so a value
//! that was changed or moved does not open. 24 random bytes never meet twice.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use model::{ConnectionId, Environment};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::key::{MasterKey, random};

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Where a sealed value belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) connection: &'a ConnectionId,
    pub(crate) field: &'static str,
}

impl Place<'_> {
    /// Different for different places and headers: the parts are joined as keys are.
    fn associated(&self, header: &[u8]) -> Vec<u8> {
        let parts: [&[u8]; 5] = [
            b"sluicegate sealed value",
            header,
            self.environment.as_str().as_bytes(),
            self.connection.as_str().as_bytes(),
            self.field.as_bytes(),
        ];
        store::key::join(&parts)
    }

    fn wrong_key(&self) -> VaultError {
        let (environment, connection) = (self.environment.to_string(), self.connection.to_string());
        VaultError::WrongKey { environment, connection, field: self.field }
    }

    fn damaged(&self) -> VaultError {
        let (environment, connection) = (self.environment.to_string(), self.connection.to_string());
        VaultError::Damaged { environment, connection, field: self.field }
    }
}

/// Seals and opens with one key.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
}

impl Sealer {
    pub(crate) fn new(master: &MasterKey) -> Self {
        let key = master.derive("sluicegate vault", "seal");
        let cipher = XChaCha20Poly1305::new(&Key::from(*key));
        let id = master.derive("sluicegate vault", "key id");
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&id[..KEY_ID_BYTES]);
        Self { cipher, key_id }
    }

    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        let associated = place.associated(&sealed);
        let payload = Payload { msg: plain, aad: &associated };
        let body = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| place.damaged())?;
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (header, body) = sealed.split_at_checked(HEADER_BYTES).ok_or_else(|| place.damaged())?;
        let (key_id, nonce) = header[1..].split_at(KEY_ID_BYTES);
        if header[0] != VERSION {
            return Err(place.damaged());
        }
        if key_id != self.key_id {
            return Err(place.wrong_key());
        }
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| place.damaged())?;
        let payload = Payload { msg: body, aad: &place.associated(header) };
        let plain = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| place.damaged())?;
        Ok(Zeroizing::new(plain))
    }
}
