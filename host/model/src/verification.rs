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
    /// HMAC-SHA256 over the body in a header of the service's own.
    Hmac {
        /// The header, in lower case.
        header: String,
        /// What stands before the signature: `sha256=`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// How the signature is written.
        encoding: SignatureEncoding,
    },
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
