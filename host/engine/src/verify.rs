//! Whether a delivery comes from where it claims, decided before anything is kept.
//!
//! Owns the signature schemes of `model::Verification`. Compares in constant time;
//! a secret that is missing refuses everything.
//! Sources: GitHub "Validating webhook deliveries", Slack "Verifying requests",
//! Stripe "Verify webhook signatures manually", standardwebhooks.com.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use model::{DeliveryKey, SignatureEncoding, Verification};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
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
    #[error("the delivery's time is more than {TOLERANCE_S} s away from the host's")]
    Time,
    /// It does not match.
    #[error("the signature does not match the configured secret")]
    Mismatch,
    /// The secret cannot be used with the scheme.
    #[error("the configured secret is not usable with this scheme")]
    Secret,
}

/// Five minutes: what Slack, Stripe and Standard Webhooks recommend.
const TOLERANCE_S: u64 = 300;

/// Checks the delivery against the secret.
///
/// # Errors
/// Says which part of the proof is missing or wrong.
pub fn verify(scheme: &Verification, secret: &str, incoming: &Incoming, now_ms: u64) -> Result<(), Refusal> {
    let body = &incoming.body[..];
    match scheme {
        Verification::Github => {
            let given = prefixed(incoming, "x-hub-signature-256", "sha256=")?;
            hex_matches(given, "x-hub-signature-256", secret.as_bytes(), &[body])
        }
        Verification::Hmac { header, prefix, encoding } => {
            let given = prefixed(incoming, header, prefix)?;
            match encoding {
                SignatureEncoding::Hex => hex_matches(given, header, secret.as_bytes(), &[body]),
                SignatureEncoding::Base64 => base64_matches(given, header, secret.as_bytes(), &[body]),
            }
        }
        Verification::Slack => {
            let time = fresh(one(incoming, "x-slack-request-timestamp")?, "x-slack-request-timestamp", now_ms)?;
            let given = prefixed(incoming, "x-slack-signature", "v0=")?;
            hex_matches(given, "x-slack-signature", secret.as_bytes(), &[b"v0:", time.as_bytes(), b":", body])
        }
        Verification::Stripe => stripe(secret, incoming, now_ms),
        Verification::StandardWebhooks => standard_webhooks(secret, incoming, now_ms),
        Verification::Token { header } => {
            let given = one(incoming, header)?;
            equal(Sha256::digest(given).as_slice(), Sha256::digest(secret).as_slice())
        }
    }
}

fn stripe(secret: &str, incoming: &Incoming, now_ms: u64) -> Result<(), Refusal> {
    const HEADER: &str = "stripe-signature";
    let mut time = None;
    let mut signatures = Vec::new();
    for part in one(incoming, HEADER)?.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) => signatures.push(value),
            Some(_) => {}
            None => return Err(Refusal::Malformed(HEADER.to_owned())),
        }
    }
    let time = fresh(time.ok_or_else(|| Refusal::Malformed(HEADER.to_owned()))?, HEADER, now_ms)?;
    any(signatures, |given| hex_matches(given, HEADER, secret.as_bytes(), &[time.as_bytes(), b".", &incoming.body]))
}

fn standard_webhooks(secret: &str, incoming: &Incoming, now_ms: u64) -> Result<(), Refusal> {
    const HEADER: &str = "webhook-signature";
    let key = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(key).map_err(|_| Refusal::Secret)?;
    let id = one(incoming, "webhook-id")?;
    let time = fresh(one(incoming, "webhook-timestamp")?, "webhook-timestamp", now_ms)?;
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

fn fresh<'a>(time: &'a str, header: &str, now_ms: u64) -> Result<&'a str, Refusal> {
    let seconds: u64 = time.parse().map_err(|_| Refusal::Malformed(header.to_owned()))?;
    if seconds.abs_diff(now_ms / 1_000) > TOLERANCE_S {
        return Err(Refusal::Time);
    }
    Ok(time)
}

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
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
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn incoming(headers: &[(&str, &str)], body: &str) -> Incoming {
        Incoming {
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            query: String::new(),
            body: body.to_owned().into(),
        }
    }

    /// The examples that GitHub and Standard Webhooks publish in their documentation.
    #[test]
    fn published_examples_verify() {
        let github = incoming(
            &[("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
            "Hello, World!",
        );
        assert_eq!(verify(&Verification::Github, "It's a Secret to Everybody", &github, NOW_MS), Ok(()));
        let standard = incoming(
            &[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ],
            "{\"test\": 2432232314}",
        );
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(verify(&Verification::StandardWebhooks, secret, &standard, 1_614_265_330_000), Ok(()));
        assert_eq!(verify(&Verification::StandardWebhooks, secret, &standard, NOW_MS), Err(Refusal::Time));
    }

    #[test]
    fn every_scheme_refuses_another_body_secret_and_form() {
        let time = "1700000000";
        let slack = format!("v0={}", hex::encode(sign(b"s3cret", &[b"v0:1700000000:", b"{}"])));
        let stripe = format!("t={time},v1=00,v1={}", hex::encode(sign(b"s3cret", &[b"1700000000.", b"{}"])));
        let plain = hex::encode(sign(b"s3cret", &[b"{}"]));
        let encoded = STANDARD.encode(sign(b"s3cret", &[b"{}"]));
        let hmac = |encoding| Verification::Hmac { header: "x-sig".into(), prefix: "p=".into(), encoding };
        let cases: Vec<(Verification, Vec<(&str, String)>)> = vec![
            (Verification::Slack, vec![("x-slack-request-timestamp", time.into()), ("x-slack-signature", slack)]),
            (Verification::Stripe, vec![("stripe-signature", stripe)]),
            (hmac(SignatureEncoding::Hex), vec![("x-sig", format!("p={plain}"))]),
            (hmac(SignatureEncoding::Base64), vec![("x-sig", format!("p={encoded}"))]),
            (Verification::Token { header: "x-token".into() }, vec![("x-token", "s3cret".into())]),
        ];
        for (scheme, headers) in cases {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let good = incoming(&headers, "{}");
            assert_eq!(verify(&scheme, "s3cret", &good, NOW_MS), Ok(()), "{scheme:?}");
            assert!(verify(&scheme, "other", &good, NOW_MS).is_err(), "{scheme:?}");
            assert!(verify(&scheme, "s3cret", &incoming(&[], "{}"), NOW_MS).is_err(), "{scheme:?}");
            let twice: Vec<_> = headers.iter().chain(&headers).copied().collect();
            assert!(verify(&scheme, "s3cret", &incoming(&twice, "{}"), NOW_MS).is_err(), "{scheme:?}");
            if !matches!(scheme, Verification::Token { .. }) {
                assert!(verify(&scheme, "s3cret", &incoming(&headers, "{} "), NOW_MS).is_err(), "{scheme:?}");
            }
        }
    }

    #[test]
    fn a_delivery_is_named_by_its_key_or_its_body() {
        let delivery = incoming(&[("x-id", "7")], "{\"id\":8}");
        let body = serde_json::json!({ "id": 8 });
        for (from, wanted) in [
            (DeliveryKey::Header { name: "x-id".into() }, "key:7"),
            (DeliveryKey::Body { pointer: "/id".into() }, "key:8"),
        ] {
            assert_eq!(delivery_key(&from, &delivery, Some(&body)), wanted);
        }
        let fallback = delivery_key(&DeliveryKey::Header { name: "none".into() }, &delivery, None);
        assert_eq!(fallback, delivery_key(&DeliveryKey::Fingerprint, &delivery, None));
        assert!(fallback.starts_with("body:"));
    }
}
