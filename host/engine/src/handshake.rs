//! Handshakes: what services send to see whether anybody is there, answered at once.
//!
//! Nothing is kept and nothing starts. What comes with a delivery's signature is
//! answered only when that holds.

use model::{Environment, FlowId, Handshake, Problem};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::form_urlencoded;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::hooks::webhook_of;
use crate::verify::{Incoming, Refusal, equal_texts};

/// The longest text sent back. Challenges are random words; nothing longer is echoed to
/// somebody unknown.
const CHALLENGE_BYTES_MAX: usize = 512;

impl Engine {
    /// The answer to a handshake, as plain text. None: it is none, but a delivery.
    ///
    /// # Errors
    /// Unknown flow, wrong signature or secret, a text that is not to be sent back.
    pub fn greet(
        &self,
        environment: &Environment,
        flow: &FlowId,
        token: Option<&str>,
        incoming: &Incoming,
    ) -> Result<Option<String>, EngineError> {
        self.check_open()?;
        let published = self.published_for_event(environment, flow)?;
        let webhook = webhook_of(&published)?;
        self.check_token(&published, token)?;
        let body = || serde_json::from_slice::<Value>(&incoming.body).ok();
        for handshake in &webhook.handshakes {
            match handshake {
                Handshake::Query { parameter, secret } => {
                    if let Some(text) = value(incoming, parameter).filter(|_| incoming.body.is_empty()) {
                        self.check_named(&published, secret.as_deref(), incoming)?;
                        return sent_back(&text).map(Some);
                    }
                }
                Handshake::Body { what, is, pointer } => {
                    let body = body().filter(|body| text(body, what) == Some(is));
                    if let Some(challenge) = body.as_ref().and_then(|body| text(body, pointer)) {
                        self.verify_delivery(&published, incoming)?;
                        return sent_back(challenge).map(Some);
                    }
                }
                Handshake::Ping { header, value } => {
                    if incoming.header(header) == Some(value.as_str()) {
                        self.verify_delivery(&published, incoming)?;
                        return Ok(Some(String::new()));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether the query names the webhook's secret, when it has to.
    fn check_named(
        &self,
        published: &Published,
        parameter: Option<&str>,
        incoming: &Incoming,
    ) -> Result<(), EngineError> {
        let Some(parameter) = parameter else { return Ok(()) };
        let given = value(incoming, parameter).unwrap_or_default();
        let secrets = self.delivery_secrets(published)?;
        let named = secrets.iter().any(|secret| equal_texts(&given, secret.expose_secret()).is_ok());
        if named { Ok(()) } else { Err(crate::accept::forged(&Refusal::Mismatch)) }
    }
}

/// The parameter of this name, if there is exactly one.
fn value(incoming: &Incoming, parameter: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(incoming.query.as_bytes()).filter(|(name, _)| name == parameter);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value.into_owned()),
        _ => None,
    }
}

fn text<'a>(body: &'a Value, pointer: &str) -> Option<&'a String> {
    match body.pointer(pointer)? {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn sent_back(text: &str) -> Result<String, EngineError> {
    if text.len() <= CHALLENGE_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(EngineError::invalid(
        Problem::new(
            "challenge",
            format!("the text to send back is not a word of at most {CHALLENGE_BYTES_MAX} characters"),
        )
        .cause("no service sends such a one"),
    ))
}
