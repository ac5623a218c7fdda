//! Keys that connectors compute with and never see: those of one connection.
//!
//! Owns the algorithms. Which keys may be used is the manifest's to ask for and the
//! administrator's to approve.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use model::{Credential, KeyName};
use sandbox::{KeyRing, MacAlgorithm};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// The keys of one connection.
pub(crate) struct ConnectionKeys {
    credential: Credential,
    webhook_secret: Option<SecretString>,
    asked: Vec<KeyName>,
}

impl ConnectionKeys {
    pub(crate) fn new(secrets: &vault::Secrets, asked: Vec<KeyName>) -> Self {
        Self { credential: secrets.credential.clone(), webhook_secret: secrets.webhook_secret.clone(), asked }
    }

    fn key(&self, name: KeyName) -> Option<&str> {
        match name {
            KeyName::Credential => self.credential.secret(),
            KeyName::WebhookSecret => self.webhook_secret.as_ref().map(|secret| secret.expose_secret()),
        }
    }
}

impl std::fmt::Debug for ConnectionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionKeys").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl KeyRing for ConnectionKeys {
    fn mac(&self, key: KeyName, algorithm: MacAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        let key = self.key(key)?.as_bytes();
        Some(match algorithm {
            MacAlgorithm::HmacSha256 => code::<Hmac<Sha256>>(key, message),
            MacAlgorithm::HmacSha1 => code::<Hmac<Sha1>>(key, message),
            MacAlgorithm::HmacSha512 => code::<Hmac<Sha512>>(key, message),
        })
    }

    fn verify(&self, key: KeyName, algorithm: MacAlgorithm, message: &[u8], code: &[u8]) -> Option<bool> {
        let key = self.key(key)?.as_bytes();
        Some(match algorithm {
            MacAlgorithm::HmacSha256 => matches::<Hmac<Sha256>>(key, message, code),
            MacAlgorithm::HmacSha1 => matches::<Hmac<Sha1>>(key, message, code),
            MacAlgorithm::HmacSha512 => matches::<Hmac<Sha512>>(key, message, code),
        })
    }

    fn allows(&self, key: KeyName) -> bool {
        self.asked.contains(&key)
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    let mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message)
}

fn code<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    keyed::<M>(key, message).finalize().into_bytes().to_vec()
}

/// In constant time; a shortened code does not match.
fn matches<M: Mac + KeyInit>(key: &[u8], message: &[u8], code: &[u8]) -> bool {
    keyed::<M>(key, message).verify_slice(code).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, 4.3 and RFC 2202, 3: test case 2 of both, with the key "Jefe".
    #[test]
    fn codes_are_those_of_the_standards() {
        let secrets = vault::Secrets {
            credential: Credential::Bearer { token: "Jefe".into() },
            webhook_secret: Some("another".into()),
        };
        let keys = ConnectionKeys::new(&secrets, vec![KeyName::Credential]);
        let message = b"what do ya want for nothing?";
        for (algorithm, wanted) in [
            (MacAlgorithm::HmacSha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (MacAlgorithm::HmacSha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                MacAlgorithm::HmacSha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
                 caeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let code = keys.mac(KeyName::Credential, algorithm, message).expect("a key");
            assert_eq!(hex::encode(&code), wanted);
            let verify = |code: &[u8]| keys.verify(KeyName::Credential, algorithm, message, code).expect("a key");
            assert!(verify(&code));
            assert!(!verify(&code[..code.len() - 1]) && !verify(&[]), "a shortened code proves nothing");
            assert_eq!(keys.verify(KeyName::WebhookSecret, algorithm, message, &code), Some(false));
        }
        assert!(keys.allows(KeyName::Credential) && !keys.allows(KeyName::WebhookSecret));
        assert!(!format!("{keys:?}").contains("Jefe"));
        let none = vault::Secrets { credential: Credential::None, webhook_secret: None };
        let none = ConnectionKeys::new(&none, vec![KeyName::Credential]);
        assert_eq!(none.mac(KeyName::Credential, MacAlgorithm::HmacSha256, message), None);
    }
}
