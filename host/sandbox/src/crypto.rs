//! The host's side of `crypto`: who may use which key, and how much; computing is the
//! key ring's.
//!
//! Invariants: no key enters a guest; the webhook secret never signs, since whoever
//! could sign with it could forge deliveries.

use std::sync::Arc;

use model::{Failure, KeyName};

use crate::bindings::crypto;
use crate::host::DESCRIBING;
use crate::services::{KeyRing, MacAlgorithm};
use crate::state::State;

/// Codes of one call. 1,000: a code for each item of a full page.
const CALLS_MAX: u64 = 1_000;
/// Bytes of all messages of one call. 16 MiB: twice the largest body, some 30 ms.
const BYTES_MAX: u64 = 16 << 20;

/// What one call has computed.
#[derive(Debug, Default)]
pub(crate) struct CryptoUse {
    calls: u64,
    bytes: u64,
}

impl crypto::Host for State {
    fn sign(
        &mut self,
        key: crypto::Key,
        algorithm: crypto::Algorithm,
        message: Vec<u8>,
    ) -> Result<Vec<u8>, crypto::CryptoError> {
        let name = to_name(key);
        if name == KeyName::WebhookSecret {
            return Err(self.deny(
                "the webhook secret checks signatures and makes none: with it deliveries could be forged",
                "sign with the credential",
            ));
        }
        let keys = self.key_ring(name, message.len())?;
        keys.mac(name, to_algorithm(algorithm), &message).ok_or_else(|| no_key(name))
    }

    fn verify(
        &mut self,
        key: crypto::Key,
        algorithm: crypto::Algorithm,
        message: Vec<u8>,
        code: Vec<u8>,
    ) -> Result<bool, crypto::CryptoError> {
        let name = to_name(key);
        let keys = self.key_ring(name, message.len())?;
        keys.verify(name, to_algorithm(algorithm), &message, &code).ok_or_else(|| no_key(name))
    }
}

impl State {
    fn key_ring(&mut self, name: KeyName, bytes: usize) -> Result<Arc<dyn KeyRing>, crypto::CryptoError> {
        if self.session.is_none() {
            let (rule, fix) = DESCRIBING;
            return Err(denied(rule, fix));
        }
        let Some(keys) = self.services.keys.clone() else { return Err(no_key(name)) };
        if !keys.allows(name) {
            let rule = format!("the manifest does not ask for the key {}", name.as_str());
            return Err(self.deny(&rule, "declare it under connection.keys, with the reason that administrators read"));
        }
        self.crypto_use.calls += 1;
        self.crypto_use.bytes = self.crypto_use.bytes.saturating_add(bytes as u64);
        for (which, used, limit) in
            [("crypto_calls", self.crypto_use.calls, CALLS_MAX), ("crypto_bytes", self.crypto_use.bytes, BYTES_MAX)]
        {
            if used > limit {
                self.refuse(which, limit);
                return Err(crypto::CryptoError::LimitExceeded(crypto::CryptoLimit { which: which.to_owned(), limit }));
            }
        }
        Ok(keys)
    }

    /// A denial counts for the verdict: what the connector claims afterwards is moot.
    fn deny(&mut self, rule: &str, fix: &str) -> crypto::CryptoError {
        let failure = Failure::PolicyDenied { rule: rule.to_owned(), fix: fix.to_owned() };
        self.refused.get_or_insert(failure);
        denied(rule, fix)
    }
}

fn denied(rule: &str, fix: &str) -> crypto::CryptoError {
    crypto::CryptoError::Denied(crypto::CryptoDenial { rule: rule.to_owned(), fix: fix.to_owned() })
}

fn no_key(name: KeyName) -> crypto::CryptoError {
    crypto::CryptoError::NoKey(format!("the call has no connection with a {}", name.as_str()))
}

fn to_name(key: crypto::Key) -> KeyName {
    match key {
        crypto::Key::Credential => KeyName::Credential,
        crypto::Key::WebhookSecret => KeyName::WebhookSecret,
    }
}

fn to_algorithm(algorithm: crypto::Algorithm) -> MacAlgorithm {
    match algorithm {
        crypto::Algorithm::HmacSha256 => MacAlgorithm::HmacSha256,
        crypto::Algorithm::HmacSha1 => MacAlgorithm::HmacSha1,
        crypto::Algorithm::HmacSha512 => MacAlgorithm::HmacSha512,
    }
}
