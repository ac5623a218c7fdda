//! Whether a delivery comes from where it claims, decided before anything is kept.
//!
//! Owns the signature schemes of `model::Verification`. Compares in constant time;
//! a secret that is missing refuses everything.
//! Sources: GitHub "Validating webhook deliveries", Slack "Verifying requests",
//! Stripe "Verify webhook signatures manually", standardwebhooks.com.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use model::{DeliveryKey, SignatureEncoding, SignatureHash, SignedTime, Verification, Webhook};
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

/// A delivery as it came in. Header names are in lower case.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    /// In the order received.
    pub headers: Vec<(String, String)>,
    /// Without its question mark.
    pub query: String,
    /// Byte for byte.
    pub body: bytes::Bytes,
}

impl Incoming {
    /// The header of this name, if there is exactly one.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }
}

/// Why a delivery was refused; never tells what a right one would look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header that proves the origin is absent, or there several times.
    #[error("the header {0} is missing or repeated")]
    Missing(String),
    /// The header is not of the scheme's form.
    #[error("the header {0} is malformed")]
    Malformed(String),
    /// The delivery is too old, or from the future.
    #[error("the delivery's time is more than {tolerance_s} s away from the host's")]
    Time {
        /// How far it may be.
        tolerance_s: u64,
    },
    /// It does not match.
    #[error("the signature does not match the configured secret")]
    Mismatch,
    /// The secret cannot be used with the scheme.
    #[error("the configured secret is not usable with this scheme")]
    Secret,
}

/// Checks the delivery against the secret, as the trigger declares.
///
/// # Errors
/// Says which part of the proof is missing or wrong.
pub fn verify(webhook: &Webhook, secret: &str, incoming: &Incoming, now_ms: u64) -> Result<(), Refusal> {
    let body = &incoming.body[..];
    let times = Times { now_ms, tolerance_ms: webhook.tolerance_ms() };
    match &webhook.verification {
        Verification::Github => {
            let given = prefixed(incoming, "x-hub-signature-256", "sha256=")?;
            hex_matches(given, "x-hub-signature-256", secret.as_bytes(), &[body])
        }
        Verification::Hmac { header, prefix, encoding, hash, time } => {
            let own = OwnScheme { header, prefix, encoding: *encoding, hash: *hash, time: time.as_ref() };
            own.verify(secret, incoming, times)
        }
        Verification::Slack => {
            let time = times.fresh(one(incoming, "x-slack-request-timestamp")?, "x-slack-request-timestamp")?;
            let given = prefixed(incoming, "x-slack-signature", "v0=")?;
            hex_matches(given, "x-slack-signature", secret.as_bytes(), &[b"v0:", time.as_bytes(), b":", body])
        }
        Verification::Stripe => stripe(secret, incoming, times),
        Verification::StandardWebhooks => standard_webhooks(secret, incoming, times),
        Verification::Token { header } => equal_texts(one(incoming, header)?, secret),
    }
}

/// Compares two texts without telling how far they are the same.
pub(crate) fn equal_texts(given: &str, wanted: &str) -> Result<(), Refusal> {
    equal(Sha256::digest(given).as_slice(), Sha256::digest(wanted).as_slice())
}

/// The header of a scheme of a service's own, and what it signs.
struct OwnScheme<'a> {
    header: &'a str,
    prefix: &'a str,
    encoding: SignatureEncoding,
    hash: SignatureHash,
    time: Option<&'a SignedTime>,
}

impl OwnScheme<'_> {
    fn verify(&self, secret: &str, incoming: &Incoming, times: Times) -> Result<(), Refusal> {
        let given = prefixed(incoming, self.header, self.prefix)?;
        let given = match self.encoding {
            SignatureEncoding::Hex => hex::decode(given).ok(),
            SignatureEncoding::Base64 => STANDARD.decode(given).ok(),
        };
        let given = given.ok_or_else(|| Refusal::Malformed(self.header.to_owned()))?;
        let time =
            self.time.map(|time| Ok((times.fresh(one(incoming, &time.header)?, &time.header)?, &time.separator)));
        let (time, separator) = time.transpose()?.map_or(("", ""), |(time, separator)| (time, separator.as_str()));
        let parts: [&[u8]; 3] = [time.as_bytes(), separator.as_bytes(), &incoming.body];
        match self.hash {
            SignatureHash::Sha256 => equal(&given, &sign(secret.as_bytes(), &parts)),
            SignatureHash::Sha512 => equal(&given, &sign_long(secret.as_bytes(), &parts)),
        }
    }
}

fn stripe(secret: &str, incoming: &Incoming, times: Times) -> Result<(), Refusal> {
    const HEADER: &str = "stripe-signature";
    let mut time = None;
    let mut signatures = Vec::new();
    for part in one(incoming, HEADER)?.split(',') {
        match part.trim().split_once('=') {
            // A second time is one that was not signed.
            Some(("t", _)) if time.is_some() => return Err(Refusal::Malformed(HEADER.to_owned())),
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) => signatures.push(value),
            Some(_) => {}
            None => return Err(Refusal::Malformed(HEADER.to_owned())),
        }
    }
    let time = times.fresh(time.ok_or_else(|| Refusal::Malformed(HEADER.to_owned()))?, HEADER)?;
    any(signatures, |given| hex_matches(given, HEADER, secret.as_bytes(), &[time.as_bytes(), b".", &incoming.body]))
}

fn standard_webhooks(secret: &str, incoming: &Incoming, times: Times) -> Result<(), Refusal> {
    const HEADER: &str = "webhook-signature";
    let key = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(key).map_err(|_| Refusal::Secret)?;
    let id = one(incoming, "webhook-id")?;
    // What is signed is read in one way only: else a body that begins with a time could be
    // sent on as another delivery, its first words as the end of the id.
    let may_hold_a_time = id.split('.').skip(1).any(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if may_hold_a_time {
        return Err(Refusal::Malformed("webhook-id".to_owned()));
    }
    let time = times.fresh(one(incoming, "webhook-timestamp")?, "webhook-timestamp")?;
    let signed: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", &incoming.body];
    let signatures = one(incoming, HEADER)?.split(' ').filter_map(|part| part.strip_prefix("v1,"));
    any(signatures, |given| base64_matches(given, HEADER, &key, &signed))
}

/// Services send several signatures while a secret is rotated: one is enough.
fn any<'a>(
    given: impl IntoIterator<Item = &'a str>,
    check: impl Fn(&str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut last = Err(Refusal::Mismatch);
    for signature in given {
        last = check(signature);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn one<'a>(incoming: &'a Incoming, header: &str) -> Result<&'a str, Refusal> {
    incoming.header(header).ok_or_else(|| Refusal::Missing(header.to_owned()))
}

fn prefixed<'a>(incoming: &'a Incoming, header: &str, prefix: &str) -> Result<&'a str, Refusal> {
    one(incoming, header)?.strip_prefix(prefix).ok_or_else(|| Refusal::Malformed(header.to_owned()))
}

/// When it is, and how far from that a delivery's time may be.
#[derive(Clone, Copy)]
struct Times {
    now_ms: u64,
    tolerance_ms: u64,
}

impl Times {
    fn fresh<'a>(&self, time: &'a str, header: &str) -> Result<&'a str, Refusal> {
        let malformed = || Refusal::Malformed(header.to_owned());
        // A sign before the number is a number to the parser, and another text to the signer.
        let digits = time.bytes().all(|b| b.is_ascii_digit());
        let time_ms = time.parse::<u64>().ok().filter(|_| digits).and_then(|seconds| seconds.checked_mul(1_000));
        if time_ms.ok_or_else(malformed)?.abs_diff(self.now_ms) > self.tolerance_ms + 999 {
            return Err(Refusal::Time { tolerance_s: self.tolerance_ms / 1_000 });
        }
        Ok(time)
    }
}

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn sign_long(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn hex_matches(given: &str, header: &str, key: &[u8], parts: &[&[u8]]) -> Result<(), Refusal> {
    let given = hex::decode(given).map_err(|_| Refusal::Malformed(header.to_owned()))?;
    equal(&given, &sign(key, parts))
}

fn base64_matches(given: &str, header: &str, key: &[u8], parts: &[&[u8]]) -> Result<(), Refusal> {
    let given = STANDARD.decode(given).map_err(|_| Refusal::Malformed(header.to_owned()))?;
    equal(&given, &sign(key, parts))
}

fn equal(given: &[u8], wanted: &[u8]) -> Result<(), Refusal> {
    if bool::from(given.ct_eq(wanted)) { Ok(()) } else { Err(Refusal::Mismatch) }
}

/// What is the same when the remote sends the delivery again. A key that the
/// delivery does not carry falls back to the fingerprint of its body.
pub(crate) fn delivery_key(from: &DeliveryKey, incoming: &Incoming, body: Option<&Value>) -> String {
    let found = match from {
        DeliveryKey::Header { name } => incoming.header(name).map(str::to_owned),
        DeliveryKey::Body { pointer } => body.and_then(|body| body.pointer(pointer)).and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            // A number past 64 bits has lost digits: two ids could become one.
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            _ => None,
        }),
        DeliveryKey::Fingerprint => None,
    };
    match found {
        Some(key) if !key.is_empty() => format!("key:{key}"),
        _ => format!("body:{}", hex::encode(Sha256::digest(&incoming.body))),
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
