//! Verification against the examples that services publish. Against mutations of genuine
//! deliveries it is tried in `tests/fuzzed`.

use model::{DeliveryKey, SignatureEncoding, SignatureHash, SignedTime, Verification, Webhook};

use super::*;

const NOW_MS: u64 = 1_700_000_000_000;
const NOW: &str = "1700000000";
const SECRET: &str = "s3cret of the flow";
/// Base64, as Standard Webhooks has them.
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn incoming(headers: &[(&str, &str)], body: &str) -> Incoming {
    Incoming {
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        query: String::new(),
        body: body.to_owned().into(),
    }
}

fn by(verification: Verification) -> Webhook {
    Webhook {
        verification,
        delivery_key: DeliveryKey::Fingerprint,
        headers: Vec::new(),
        tolerance_s: None,
        handshakes: Vec::new(),
    }
}

fn own(encoding: SignatureEncoding, hash: SignatureHash, time: Option<SignedTime>) -> Verification {
    Verification::Hmac { header: "x-sig".into(), prefix: "p=".into(), encoding, hash, time }
}

/// A scheme, a secret, and the headers that prove a delivery.
type Signed = (Verification, &'static str, Vec<(&'static str, String)>);

/// A genuine delivery of every scheme, with the secret it was made with.
fn genuine(body: &str) -> Vec<(Webhook, &'static str, Incoming)> {
    let bytes = body.as_bytes();
    let hex = |parts: &[&[u8]]| hex::encode(sign(SECRET.as_bytes(), parts));
    let timed = SignedTime { header: "x-time".into(), separator: ":".into() };
    let key = STANDARD.decode(&WHSEC["whsec_".len()..]).expect("base64");
    let standard = STANDARD.encode(sign(&key, &[b"msg_1.", NOW.as_bytes(), b".", bytes]));
    let long = STANDARD.encode(sign_long(SECRET.as_bytes(), &[NOW.as_bytes(), b":", bytes]));
    let slack = hex(&[b"v0:", NOW.as_bytes(), b":", bytes]);
    let stripe = hex(&[NOW.as_bytes(), b".", bytes]);
    let cases: Vec<Signed> = vec![
        (Verification::Github, SECRET, vec![("x-hub-signature-256", format!("sha256={}", hex(&[bytes])))]),
        (
            Verification::Slack,
            SECRET,
            vec![("x-slack-request-timestamp", NOW.into()), ("x-slack-signature", format!("v0={slack}"))],
        ),
        (Verification::Stripe, SECRET, vec![("stripe-signature", format!("t={NOW},v1=00,v1={stripe}"))]),
        (
            Verification::StandardWebhooks,
            WHSEC,
            vec![
                ("webhook-id", "msg_1".into()),
                ("webhook-timestamp", NOW.into()),
                ("webhook-signature", format!("v1,{standard}")),
            ],
        ),
        (Verification::Token { header: "x-token".into() }, SECRET, vec![("x-token", SECRET.into())]),
        (
            own(SignatureEncoding::Hex, SignatureHash::Sha256, None),
            SECRET,
            vec![("x-sig", format!("p={}", hex(&[bytes])))],
        ),
        (
            own(SignatureEncoding::Base64, SignatureHash::Sha512, Some(timed)),
            SECRET,
            vec![("x-time", NOW.into()), ("x-sig", format!("p={long}"))],
        ),
    ];
    let made = |(scheme, secret, headers): Signed| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        (by(scheme), secret, incoming(&headers, body))
    };
    cases.into_iter().map(made).collect()
}

/// The examples in the documentation of GitHub, Slack and Standard Webhooks. Stripe
/// publishes none with its secret.
#[test]
fn published_examples_verify() {
    let github = incoming(
        &[("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
        "Hello, World!",
    );
    assert_eq!(verify(&by(Verification::Github), "It's a Secret to Everybody", &github, NOW_MS), Ok(()));
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let slack = incoming(
        &[
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ],
        body,
    );
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    assert_eq!(verify(&by(Verification::Slack), secret, &slack, 1_531_420_618_000), Ok(()));
    let standard = incoming(
        &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        "{\"test\": 2432232314}",
    );
    assert_eq!(verify(&by(Verification::StandardWebhooks), WHSEC, &standard, 1_614_265_330_000), Ok(()));
    let late = verify(&by(Verification::StandardWebhooks), WHSEC, &standard, NOW_MS);
    assert_eq!(late, Err(Refusal::Time { tolerance_s: 300 }));
}

#[test]
fn every_scheme_refuses_another_body_secret_and_form() {
    for (webhook, secret, good) in genuine("{}") {
        let scheme = &webhook.verification;
        assert_eq!(verify(&webhook, secret, &good, NOW_MS), Ok(()), "{scheme:?}");
        assert!(verify(&webhook, "other", &good, NOW_MS).is_err(), "{scheme:?}");
        assert!(verify(&webhook, secret, &incoming(&[], "{}"), NOW_MS).is_err(), "{scheme:?}");
        let twice = Incoming { headers: good.headers.iter().chain(&good.headers).cloned().collect(), ..good.clone() };
        assert!(verify(&webhook, secret, &twice, NOW_MS).is_err(), "{scheme:?}");
        if !matches!(scheme, Verification::Token { .. }) {
            let longer = Incoming { body: "{} ".into(), ..good };
            assert!(verify(&webhook, secret, &longer, NOW_MS).is_err(), "{scheme:?}");
        }
    }
}

/// The tolerance is the trigger's, to both sides, and a second time does not help.
#[test]
fn a_delivery_is_fresh_within_the_tolerance() {
    let timed = genuine("{}").into_iter().filter(|(_, _, good)| format!("{:?}", good.headers).contains(NOW));
    let mut schemes = 0;
    for (mut webhook, secret, good) in timed {
        schemes += 1;
        for (tolerance_s, away_ms, fresh) in
            [(None, 300_999, true), (None, 301_000, false), (Some(30), 30_999, true), (Some(30), 31_000, false)]
        {
            webhook.tolerance_s = tolerance_s;
            for now_ms in [NOW_MS + away_ms, NOW_MS - away_ms] {
                assert_eq!(verify(&webhook, secret, &good, now_ms).is_ok(), fresh, "{:?}", webhook.verification);
            }
        }
    }
    assert_eq!(schemes, 4);
    let (webhook, secret, mut stripe) = genuine("{}").swap_remove(2);
    stripe.headers[0].1.push_str(&format!(",t={}", NOW_MS / 1_000 + 10_000));
    assert!(verify(&webhook, secret, &stripe, NOW_MS + 10_000_000).is_err());
}

/// The same bytes are signed; what they say is another delivery, and a fresh one.
#[test]
fn what_is_signed_cannot_be_divided_otherwise() {
    let (webhook, secret, _) = genuine("").swap_remove(3);
    let key = STANDARD.decode(&WHSEC["whsec_".len()..]).expect("base64");
    let signed = |id: &str, time: &str, body: &str| {
        let code = sign(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body.as_bytes()]);
        let signature = format!("v1,{}", STANDARD.encode(code));
        incoming(&[("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", &signature)], body)
    };
    for (id, time, body) in [("msg_1", NOW, "1.1700000100.x"), ("msg.a", NOW, "{}"), ("msg_1", NOW, "{}")] {
        assert_eq!(verify(&webhook, secret, &signed(id, time, body), NOW_MS), Ok(()), "{id} {body}");
    }
    for (id, body) in [("msg_1.1700000000", "x"), ("msg_1.1700000000.1", "x"), ("msg_1.1700000000.a", "x")] {
        assert!(verify(&webhook, secret, &signed(id, "1700000100", body), NOW_MS).is_err(), "{id}");
    }
}

#[test]
fn a_delivery_is_named_by_its_key_or_its_body() {
    let delivery = incoming(&[("x-id", "7")], "{\"id\":8}");
    let body = serde_json::json!({ "id": 8 });
    for (from, wanted) in
        [(DeliveryKey::Header { name: "x-id".into() }, "key:7"), (DeliveryKey::Body { pointer: "/id".into() }, "key:8")]
    {
        assert_eq!(delivery_key(&from, &delivery, Some(&body)), wanted);
    }
    let fallback = delivery_key(&DeliveryKey::Header { name: "none".into() }, &delivery, None);
    assert_eq!(fallback, delivery_key(&DeliveryKey::Fingerprint, &delivery, None));
    assert!(fallback.starts_with("body:"));
}
