//! What a connector can do if it is approved, in plain words.
//!
//! Owns the list that `plugin show` prints and an administrator approves. Says
//! nothing of what a grant gives: see `uncovered`.

use std::fmt;

use model::{
    Action, Check, Discovery, Effect, FileAccess, KeyAsked, KeyName, Limits, LimitsPart, Manifest, Poll, Reach,
    ScopeAsked,
};
use model::{Subscription, Trigger, Verification, Webhook};
use serde::Serialize;

/// One operation, or the connector as a whole, and all that it does outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Its name in grants: an operation's id, `check`, or `*` for the whole connector.
    pub operation: String,
    /// What people call it.
    pub label: String,
    /// What it does, one plain sentence each, without full stops.
    pub does: Vec<String>,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.label, self.operation)?;
        self.does.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

/// Every capability that a manifest asks for: actions, triggers, the connection's
/// test, and limits above the defaults.
pub fn capabilities(manifest: &Manifest) -> Vec<Capability> {
    let actions = manifest.actions.iter().map(of_action);
    let triggers = manifest.triggers.iter().map(of_trigger);
    let check = manifest.connection.iter().filter_map(|spec| spec.check.as_ref()).map(of_check);
    let discovery = manifest.discovery.iter().map(of_discovery);
    actions.chain(triggers).chain(check).chain(discovery).chain(of_whole(manifest)).collect()
}

fn of_action(action: &Action) -> Capability {
    let effect = match action.effect {
        Effect::Read => "changes nothing",
        Effect::Create => "makes something new",
        Effect::Update => "changes something",
        Effect::Delete => "removes something",
    };
    let mut does = vec![effect.to_owned()];
    does.extend(sends(&action.destinations));
    does.extend(match action.files {
        FileAccess::None => None,
        FileAccess::Read => Some("reads the folders that the grant opens".to_owned()),
        FileAccess::Write => Some("reads and writes the folders that the grant opens".to_owned()),
    });
    does.extend(uses(&action.scopes));
    Capability { operation: action.id.to_string(), label: action.label.clone(), does }
}

fn of_check(check: &Check) -> Capability {
    let does = sends(&check.destinations).into_iter().chain(uses(&check.scopes)).collect();
    Capability { operation: "check".to_owned(), label: "Test a connection".to_owned(), does }
}

fn of_discovery(discovery: &Discovery) -> Capability {
    let does = sends(&discovery.destinations).into_iter().chain(uses(&discovery.scopes)).collect();
    Capability { operation: "discovery".to_owned(), label: "Offer choices in forms".to_owned(), does }
}

fn of_trigger(trigger: &Trigger) -> Capability {
    let mut does: Vec<String> = trigger.webhook.iter().map(of_webhook).collect();
    does.extend(trigger.poll.iter().flat_map(of_poll));
    does.extend(trigger.subscription.iter().flat_map(of_subscription));
    if trigger.poll.is_none() && trigger.subscription.is_none() {
        does.push("sends nothing".to_owned());
    }
    Capability { operation: trigger.id.to_string(), label: trigger.label.clone(), does }
}

fn of_webhook(webhook: &Webhook) -> String {
    let proof = match &webhook.verification {
        Verification::Github => "signed as GitHub signs".to_owned(),
        Verification::Slack => "signed as Slack signs".to_owned(),
        Verification::Stripe => "signed as Stripe signs".to_owned(),
        Verification::StandardWebhooks => "signed as Standard Webhooks".to_owned(),
        Verification::Token { header } => format!("with a shared secret in {header}, unsigned"),
        Verification::Hmac { header, .. } => format!("signed in {header}"),
    };
    format!("receives deliveries {proof}")
}

fn of_poll(poll: &Poll) -> Vec<String> {
    let mut does = vec![format!("asks every {} s, unless a flow says otherwise", poll.every_s)];
    if poll.files != FileAccess::None {
        does.push("reads the folders that the grant opens".to_owned());
    }
    if !poll.destinations.is_empty() {
        does.extend(sends(&poll.destinations).into_iter().map(|line| format!("when it asks, {line}")));
    }
    does.extend(uses(&poll.scopes));
    does
}

fn of_subscription(subscription: &Subscription) -> Vec<String> {
    let sends = sends(&subscription.destinations).into_iter();
    let mut does: Vec<String> = sends.map(|line| format!("to set its webhook up, {line}")).collect();
    does.extend(uses(&subscription.scopes));
    does
}

fn of_whole(manifest: &Manifest) -> Option<Capability> {
    let usual = Limits::default();
    let more = manifest.limits.entries().into_iter().filter_map(|(name, asked)| {
        let given = limit(&usual, name)?;
        let more = if LimitsPart::can_raise(name, given) { "is usual" } else { "is all there is" };
        (asked > given).then(|| format!("asks for {name} = {asked}, {given} {more}"))
    });
    let keys = manifest.connection.iter().flat_map(|connection| &connection.keys).map(of_key);
    let does: Vec<String> = keys.chain(more).collect();
    (!does.is_empty()).then(|| Capability { operation: "*".to_owned(), label: manifest.label.clone(), does })
}

fn of_key(key: &KeyAsked) -> String {
    let what = match key.name {
        KeyName::Credential => "signs texts of its own with the credential, which stays in the host",
        KeyName::WebhookSecret => "checks signatures with the webhook secret, which stays in the host",
    };
    format!("{what}: {}", key.why)
}

/// A limit by its name in documents.
pub(crate) fn limit(limits: &Limits, name: &str) -> Option<u64> {
    serde_json::to_value(limits).ok()?.get(name)?.as_u64()
}

fn sends(reaches: &[Reach]) -> Vec<String> {
    if reaches.is_empty() {
        return vec!["sends nothing".to_owned()];
    }
    let words = |methods: String| if methods == "*" { "requests of every method".to_owned() } else { methods };
    let line = |reach: &Reach| match reach {
        Reach::Fixed(destination) => {
            let methods = destination.methods.to_string();
            let text = destination.to_string();
            let place = text.strip_prefix(&methods).unwrap_or(&text).trim_start();
            format!("sends {} to {place}", words(methods))
        }
        Reach::BaseUrl { methods, path } => {
            format!("sends {} to {path} below the base URL of the connection", words(methods.to_string()))
        }
        Reach::Any { methods } => {
            format!("sends {} to whatever place connection and grant name", words(methods.to_string()))
        }
    };
    reaches.iter().map(line).collect()
}

fn uses(scopes: &[ScopeAsked]) -> impl Iterator<Item = String> {
    scopes.iter().map(|scope| format!("uses the scope {}: {}", scope.name, scope.why))
}
