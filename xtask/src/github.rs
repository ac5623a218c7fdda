//! Deliveries as GitHub makes them: published example payloads, named and signed.
//!
//! The payloads come from the npm package `@octokit/webhooks-examples`, unchanged but
//! for a marker in the issue's title and, where asked, the name of its first label.
//! Signed as GitHub documents it in "Validating webhook deliveries".

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// Where the examples lie in the package, for github.com.
const EXAMPLES: &str = "node_modules/@octokit/webhooks-examples/api.github.com/index.json";

/// Published payloads of the `issues` event.
pub struct Examples {
    labelled: Vec<Value>,
}

/// One delivery, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `X-GitHub-Delivery`
    pub id: String,
    /// Stands in the issue's title, between `[` and `]`.
    pub marker: String,
    /// Whether the issue carries the label `bug`.
    pub bug: bool,
    /// The payload, byte for byte.
    pub body: Vec<u8>,
    /// `X-Hub-Signature-256`
    pub signature: String,
}

impl Delivery {
    /// The headers that GitHub sends and the host reads.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        vec![
            ("content-type", "application/json"),
            ("user-agent", "GitHub-Hookshot/demo"),
            ("x-github-event", "issues"),
            ("x-github-delivery", &self.id),
            ("x-hub-signature-256", &self.signature),
        ]
    }
}

impl Examples {
    /// Reads the package that npm installed below this folder.
    ///
    /// # Errors
    /// It is not there, or holds no issue with the label `bug`.
    pub fn load(installed: &Path) -> Result<Self> {
        let file = installed.join(EXAMPLES);
        let text =
            fs::read_to_string(&file).with_context(|| format!("the examples at {} cannot be read", file.display()))?;
        let events: Vec<Value> =
            serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
        let issues = events.into_iter().find(|event| event["name"] == "issues");
        let examples = issues.map(|mut event| event["examples"].take());
        let Some(Value::Array(examples)) = examples else { anyhow::bail!("{} has no issues events", file.display()) };
        let labelled: Vec<Value> = examples
            .into_iter()
            .filter(|payload| payload["action"] == "labeled" || payload["action"] == "opened")
            .filter(|payload| payload["issue"]["labels"][0]["name"] == "bug")
            .collect();
        ensure!(!labelled.is_empty(), "{} has no issue with the label \"bug\"", file.display());
        Ok(Self { labelled })
    }

    /// The examples themselves, as they were published: `(action, payload)`.
    pub fn published(&self) -> &[Value] {
        &self.labelled
    }

    /// A delivery of its own: the marker names it and stands in the issue's title.
    pub fn delivery(&self, number: usize, marker: &str, bug: bool, secret: &str) -> Delivery {
        self.labelled(number, marker, if bug { "bug" } else { "documentation" }, secret)
    }

    /// The same with any first label.
    pub fn labelled(&self, number: usize, marker: &str, label: &str, secret: &str) -> Delivery {
        let bug = label == "bug";
        let mut payload = self.labelled[number % self.labelled.len()].clone();
        let title = payload["issue"]["title"].as_str().unwrap_or_default();
        payload["issue"]["title"] = format!("{title} [{marker}]").into();
        if !bug {
            payload["issue"]["labels"][0]["name"] = label.into();
            if let Some(of_event) = payload.get_mut("label") {
                of_event["name"] = label.into();
            }
        }
        let body = payload.to_string().into_bytes();
        Delivery { id: format!("demo-{marker}"), marker: marker.to_owned(), bug, signature: sign(secret, &body), body }
    }
}

/// The signature of a body, as GitHub writes it.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    /// The example that GitHub publishes in its documentation.
    #[test]
    fn signs_as_github_does() {
        assert_eq!(
            super::sign("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
