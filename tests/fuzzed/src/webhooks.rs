//! Webhook signatures: what was signed is accepted, and nothing else ever is.
//!
//! A delivery is signed here, by each scheme's own words, with random secret, body and
//! time. A change is known to be harmless only when it is one of those that cannot
//! change what is proved; every other one must be refused.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Incoming, verify};
use hmac::{Hmac, Mac as _};
use model::{DeliveryKey, SignatureEncoding, SignatureHash, SignedTime, Verification, Webhook};
use sha2::{Sha256, Sha512};

use crate::choices::Choices;
use crate::mutate;

const NOW_S: u64 = 1_700_000_000;
/// Changes of one delivery, each tried alone.
const CHANGES: usize = 8;

/// A scheme, and how one of its deliveries is made.
struct Signer {
    webhook: Webhook,
    secret: String,
}

/// A genuine delivery, then changed ones.
pub fn webhook(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    let signer = Signer::drawn(&mut choices);
    let tolerance_s = signer.webhook.tolerance_ms() / 1_000;
    let away = choices.below(2 * usize::try_from(tolerance_s).expect("small") + 1) as u64;
    let time = NOW_S - tolerance_s + away;
    let body = body(&mut choices);
    let good = signer.delivery(time, &body, &mut choices);
    let now_ms = NOW_S * 1_000;
    let check = |incoming: &Incoming| verify(&signer.webhook, &signer.secret, incoming, now_ms);
    assert_eq!(check(&good), Ok(()), "{:?} {good:?}", signer.webhook.verification);
    for _ in 0..CHANGES {
        let bad = changed(&good, &mut choices);
        if signer.proves_the_same(&good, &bad) {
            continue;
        }
        assert!(check(&bad).is_err(), "{:?}\n{good:?}\n{bad:?}", signer.webhook.verification);
    }
    refuses_other_secrets(&signer, &good, now_ms, &mut choices);
}

fn refuses_other_secrets(signer: &Signer, good: &Incoming, now_ms: u64, choices: &mut Choices<'_>) {
    let mut other = signer.secret.clone().into_bytes();
    mutate::bytes(&mut other, &[], choices);
    let other = String::from_utf8_lossy(&other).into_owned();
    if signer.key_of(&other) != signer.key_of(&signer.secret) {
        assert!(verify(&signer.webhook, &other, good, now_ms).is_err(), "{other:?} for {:?}", signer.secret);
    }
    let stale = now_ms + signer.webhook.tolerance_ms() * 2 + 2_000;
    let is_timed = !matches!(
        signer.webhook.verification,
        Verification::Github | Verification::Token { .. } | Verification::Hmac { time: None, .. }
    );
    assert_eq!(verify(&signer.webhook, &signer.secret, good, stale).is_err(), is_timed);
}

fn body(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(4) {
        0 => Vec::new(),
        1 => br#"{"id":"a","amount":100}"#.to_vec(),
        // A body that looks like the end of what stands before it.
        2 => format!("{NOW_S}.{NOW_S}:{}", choices.number()).into_bytes(),
        _ => {
            let len = choices.below(40);
            choices.bytes(len)
        }
    }
}

impl Signer {
    fn drawn(choices: &mut Choices<'_>) -> Self {
        let time = (!choices.one_in(3)).then(|| SignedTime {
            header: "x-time".to_owned(),
            separator: (*choices.pick(&[".", ":", "", "|"])).to_owned(),
        });
        let verification = match choices.below(6) {
            0 => Verification::Github,
            1 => Verification::Slack,
            2 => Verification::Stripe,
            3 => Verification::StandardWebhooks,
            4 => Verification::Token { header: "x-token".to_owned() },
            _ => Verification::Hmac {
                header: "x-sig".to_owned(),
                prefix: (*choices.pick(&["", "sha256=", "p="])).to_owned(),
                encoding: *choices.pick(&[SignatureEncoding::Hex, SignatureEncoding::Base64]),
                hash: *choices.pick(&[SignatureHash::Sha256, SignatureHash::Sha512]),
                time,
            },
        };
        let random: Vec<u8> = choices.bytes(24).into_iter().map(|byte| b'!' + byte % 94).collect();
        let secret = match &verification {
            Verification::StandardWebhooks => format!("whsec_{}", STANDARD.encode(&random)),
            _ => String::from_utf8(random).expect("visible ASCII"),
        };
        let tolerance_s = *choices.pick(&[None, Some(1), Some(30), Some(3_600)]);
        let (delivery_key, headers, handshakes) = (DeliveryKey::Fingerprint, Vec::new(), Vec::new());
        Self { webhook: Webhook { verification, delivery_key, headers, tolerance_s, handshakes }, secret }
    }

    /// The bytes that sign.
    fn key_of(&self, secret: &str) -> Option<Vec<u8>> {
        match self.webhook.verification {
            Verification::StandardWebhooks => STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok(),
            _ => Some(secret.as_bytes().to_vec()),
        }
        // HMAC fills keys up with zeros.
        .map(|mut key| {
            while key.last() == Some(&0) {
                key.pop();
            }
            key
        })
    }

    fn delivery(&self, time: u64, body: &[u8], choices: &mut Choices<'_>) -> Incoming {
        let time = time.to_string();
        let key = self.key_of(&self.secret).expect("a usable secret");
        let code = |parts: &[&[u8]]| sign(&key, parts);
        let id = format!("msg_{}", choices.below(1_000));
        let headers: Vec<(&str, String)> = match &self.webhook.verification {
            Verification::Github => vec![("x-hub-signature-256", format!("sha256={}", hex::encode(code(&[body]))))],
            Verification::Slack => {
                let signature = hex::encode(code(&[b"v0:", time.as_bytes(), b":", body]));
                vec![("x-slack-request-timestamp", time), ("x-slack-signature", format!("v0={signature}"))]
            }
            Verification::Stripe => {
                let signature = hex::encode(code(&[time.as_bytes(), b".", body]));
                let before = choices.pick(&["", "v1=00,", "v0=abcd,"]);
                vec![("stripe-signature", format!("t={time},{before}v1={signature}"))]
            }
            Verification::StandardWebhooks => {
                let signature = STANDARD.encode(code(&[id.as_bytes(), b".", time.as_bytes(), b".", body]));
                let before = choices.pick(&["", "v1,AAAA ", "v1a,x "]);
                let signatures = format!("{before}v1,{signature}");
                vec![("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signatures)]
            }
            Verification::Token { .. } => vec![("x-token", self.secret.clone())],
            Verification::Hmac { prefix, encoding, hash, time: signed, .. } => {
                let (time, separator) = signed.as_ref().map_or(("", ""), |signed| (&*time, &*signed.separator));
                let parts = [time.as_bytes(), separator.as_bytes(), body];
                let code = match hash {
                    SignatureHash::Sha256 => code(&parts),
                    SignatureHash::Sha512 => sign_long(&key, &parts),
                };
                let signature = match encoding {
                    SignatureEncoding::Hex => hex::encode(code),
                    SignatureEncoding::Base64 => STANDARD.encode(code),
                };
                let stamp = signed.iter().map(|_| ("x-time", time.to_owned()));
                stamp.chain([("x-sig", format!("{prefix}{signature}"))]).collect()
            }
        };
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        let headers = headers.chain([("content-type".to_owned(), "application/json".to_owned())]).collect();
        Incoming { headers, query: String::new(), body: body.to_vec().into() }
    }

    /// Whether a change is one that cannot change what is proved: nothing that counts is
    /// different, or hexadecimal digits are capitals.
    fn proves_the_same(&self, good: &Incoming, bad: &Incoming) -> bool {
        let body = matches!(self.webhook.verification, Verification::Token { .. }) || good.body == bad.body;
        body && self.proof(good, good) == self.proof(bad, good)
    }

    /// What counts of the headers; none when one is missing or there twice. In a list of
    /// signatures only those of the genuine delivery count, however often they are there.
    fn proof(&self, incoming: &Incoming, genuine: &Incoming) -> Option<Vec<String>> {
        let one = |name: &str| incoming.header(name).map(str::to_owned);
        match &self.webhook.verification {
            Verification::Github => Some(vec![digits(&one("x-hub-signature-256")?, "sha256=")]),
            Verification::Slack => {
                Some(vec![one("x-slack-request-timestamp")?, digits(&one("x-slack-signature")?, "v0=")])
            }
            Verification::Stripe => {
                let parts = |incoming: &Incoming| -> Option<BTreeSet<String>> {
                    let header = incoming.header("stripe-signature")?;
                    Some(header.split(',').map(|part| digits(part.trim(), "v1=")).collect())
                };
                let known = parts(genuine)?;
                let counts =
                    |part: &String| part.starts_with("t=") || (part.len() == "v1=".len() + 64 && known.contains(part));
                Some(parts(incoming)?.into_iter().filter(counts).collect())
            }
            Verification::StandardWebhooks => {
                let parts = |incoming: &Incoming| -> Option<BTreeSet<String>> {
                    Some(incoming.header("webhook-signature")?.split(' ').map(str::to_owned).collect())
                };
                let known = parts(genuine)?;
                let counts = |part: &String| part.len() == "v1,".len() + 44 && known.contains(part);
                let counting = parts(incoming)?.into_iter().filter(counts);
                Some([one("webhook-id")?, one("webhook-timestamp")?].into_iter().chain(counting).collect())
            }
            Verification::Token { .. } => Some(vec![one("x-token")?]),
            Verification::Hmac { prefix, encoding, time, .. } => {
                let signature = one("x-sig")?;
                let signature = match encoding {
                    SignatureEncoding::Hex => digits(&signature, prefix),
                    SignatureEncoding::Base64 => signature,
                };
                let stamp = time.as_ref().map(|_| one("x-time"));
                Some(vec![signature, stamp.map_or(Some(String::new()), |stamp| stamp)?])
            }
        }
    }
}

/// In small letters after the prefix, if that is there.
fn digits(text: &str, prefix: &str) -> String {
    match text.strip_prefix(prefix) {
        Some(digits) => format!("{prefix}{}", digits.to_ascii_lowercase()),
        None => text.to_owned(),
    }
}

fn sign(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn sign_long(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// One change: of the body, of a header, of the border between two parts, of how many.
fn changed(good: &Incoming, choices: &mut Choices<'_>) -> Incoming {
    let mut bad = good.clone();
    let at = choices.below(bad.headers.len());
    match choices.below(8) {
        0 | 1 => {
            let mut body = bad.body.to_vec();
            mutate::bytes(&mut body, b"{}", choices);
            bad.body = body.into();
        }
        2 => drop(bad.headers.remove(at)),
        3 => {
            let again = bad.headers[at].clone();
            bad.headers.push(again);
        }
        4 => shift(&mut bad, choices),
        5 => bad.headers[at].1 = bad.headers[at].1.to_ascii_uppercase(),
        _ => {
            let mut value = bad.headers[at].1.clone().into_bytes();
            mutate::bytes(&mut value, b"t=0,v1=,v1,+-. ", choices);
            bad.headers[at].1 = String::from_utf8_lossy(&value).into_owned();
        }
    }
    bad
}

/// Moves what is signed from one part to the next: the bytes that are signed may stay the
/// same.
fn shift(bad: &mut Incoming, choices: &mut Choices<'_>) {
    let body = String::from_utf8_lossy(&bad.body).into_owned();
    let stamp = bad.headers.iter().position(|(name, _)| name.ends_with("time") || name.ends_with("timestamp"));
    let Some(stamp) = stamp else { return };
    let before = stamp.checked_sub(1).filter(|at| bad.headers[*at].0 == "webhook-id");
    let separator = *choices.pick(&[".", ":", "", "|"]);
    let time = bad.headers[stamp].1.clone();
    match (before, body.split_once(separator).filter(|(head, _)| !head.is_empty())) {
        (Some(id), Some((head, tail))) => {
            bad.headers[id].1 = format!("{}{separator}{time}", bad.headers[id].1);
            head.clone_into(&mut bad.headers[stamp].1);
            bad.body = tail.to_owned().into();
        }
        (None, Some((head, tail))) => {
            bad.headers[stamp].1 = format!("{time}{separator}{head}");
            bad.body = tail.to_owned().into();
        }
        (_, None) => {
            let cut = choices.below(time.len() + 1);
            bad.headers[stamp].1 = time[..cut].to_owned();
            bad.body = format!("{}{body}", &time[cut..]).into();
        }
    }
}
