//! How a trigger's deliveries are verified and named, declared, not programmed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the host receives a trigger's deliveries without running the connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// How a delivery proves where it comes from.
    pub verification: Verification,
    /// What is the same when the remote sends a delivery again.
    pub delivery_key: DeliveryKey,
    /// The headers kept with the delivery and shown to `receive`, in lower case.
    #[serde(default)]
    pub headers: Vec<String>,
    /// How far a delivery's time may be from the host's, in seconds, for schemes that
    /// sign one; 300 when left out, at most 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub tolerance_s: Option<u32>,
    /// What the service sends besides deliveries, to see whether anybody is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handshakes: Vec<Handshake>,
}

/// Something that a service sends to see whether it talks to who it thinks. It is
/// answered at once and starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Handshake {
    /// A verified delivery whose JSON body holds a text to send back: Slack's
    /// `url_verification`.
    Body {
        /// Where it says what it is, as a JSON Pointer (RFC 6901): `/type`.
        what: String,
        /// What stands there: `url_verification`.
        is: String,
        /// Where the text to send back is: `/challenge`.
        pointer: String,
    },
    /// A request without a body whose query holds a text to send back: WebSub's
    /// `hub.challenge`. It bears no signature.
    Query {
        /// The parameter that is sent back.
        parameter: String,
        /// The parameter that has to hold the webhook secret, for services that send it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
    /// A verified delivery that says nothing but that the service is there: GitHub's
    /// `ping`.
    Ping {
        /// The header that says so, in lower case.
        header: String,
        /// What it says.
        value: String,
    },
}

impl Webhook {
    /// How far a delivery's time may be from the host's. Five minutes: what Slack,
    /// Stripe and Standard Webhooks recommend.
    pub fn tolerance_ms(&self) -> u64 {
        u64::from(self.tolerance_s.unwrap_or(300).clamp(1, 3_600)) * 1_000
    }
}

/// How a delivery proves where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verification {
    /// `x-hub-signature-256: sha256=HEX` over the body, as GitHub signs.
    Github,
    /// `x-slack-signature: v0=HEX` over `v0:TIMESTAMP:BODY`, at most 5 minutes old.
    Slack,
    /// `stripe-signature: t=TIMESTAMP,v1=HEX` over `TIMESTAMP.BODY`, at most 5 minutes old.
    Stripe,
    /// `webhook-signature: v1,BASE64` over `ID.TIMESTAMP.BODY`, at most 5 minutes
    /// old; the secret is base64 after `whsec_`.
    StandardWebhooks,
    /// The secret itself in a header, compared in constant time. For senders that
    /// cannot sign.
    Token {
        /// The header, in lower case.
        header: String,
    },
    /// HMAC over the body, or over a time and the body, in a header of the service's
    /// own.
    Hmac {
        /// The header, in lower case.
        header: String,
        /// What stands before the signature: `sha256=`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// How the signature is written.
        encoding: SignatureEncoding,
        /// With which hash; SHA-256 when left out.
        #[serde(default, skip_serializing_if = "SignatureHash::is_default")]
        hash: SignatureHash,
        /// The time that is signed before the body; none: the body alone is signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time: Option<SignedTime>,
    },
}

/// With which hash an HMAC is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureHash {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl SignatureHash {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A time that is signed before the body: `TIME SEPARATOR BODY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedTime {
    /// The header with the time, in seconds since 1970, in lower case.
    pub header: String,
    /// What stands between time and body: `.` or `:`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub separator: String,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureEncoding {
    /// Hexadecimal digits.
    Hex,
    /// RFC 4648 with padding.
    Base64,
}

/// What is the same when the remote sends a delivery again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeliveryKey {
    /// A header, in lower case.
    Header {
        /// Its name.
        name: String,
    },
    /// A place in the JSON body.
    Body {
        /// JSON Pointer (RFC 6901).
        pointer: String,
    },
    /// The whole body.
    Fingerprint,
}
