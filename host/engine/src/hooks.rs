//! What the host made for flows' webhooks: addresses that cannot be guessed, and
//! secrets of a flow's own, old and new side by side while they are changed.
//!
//! Sealed by the vault, in memory in the clear. Without any of it a delivery is
//! verified by the secret of the flow's connection.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use flow::{Plan, Trigger};
use model::{ConnectionId, Credential, Environment, FlowId, Problem, Verification, Webhook};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::Batch;
use vault::{Secrets, Vault};

use crate::accept::no_secret;
use crate::connections::check_secrets;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::run::timestamp;
use crate::subscriptions::SubscriptionView;
use crate::verify::equal_texts;

/// Long enough for a person to change the secret at the sender after a holiday.
const OVERLAP_MS_MAX: u64 = 30 * 86_400_000;
/// A webhook that a person set up with the connection's secret is good for a day after
/// the connector has set one up.
const FIRST_OVERLAP_MS: u64 = 86_400_000;
/// What is good from before, at most. 3: a change that went wrong, and two to mend it; each
/// is one more that a leak leaves open.
const BEFORE_MAX: usize = 3;

/// How a flow's webhook is changed.
#[derive(Debug)]
pub struct Rotation {
    /// How long the old address and secret go on to be good, in milliseconds.
    pub overlap_ms: u64,
    /// What becomes of the secret.
    pub secret: NewSecret,
}

/// What becomes of a webhook's secret.
#[derive(Debug)]
pub enum NewSecret {
    /// The host makes one, for the sender to be told.
    Made,
    /// The sender made one.
    Given(SecretString),
    /// It stays; only the address changes.
    Kept,
}

/// A webhook that was changed. The only time that the secret is told.
#[derive(Debug)]
pub struct RotatedHook {
    /// The path that deliveries are sent to from now on.
    pub hook: String,
    /// The secret that the host made.
    pub secret: Option<SecretString>,
    /// Until then the old ones are good as well.
    pub before_until_ms: u64,
}

/// A webhook, as people look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookView {
    /// The path that deliveries are sent to.
    pub hook: String,
    /// Whether the flow has a secret of its own, beside the connection's.
    pub own_secret: bool,
    /// Until then at the latest addresses and secrets from before are good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_until_ms: Option<u64>,
    /// The webhook at the service, if the connector sets it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionView>,
}

/// As it is sealed.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(crate) struct Hook {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// None: the connection's counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
    /// What was good before the changes before the last one, and was promised to stay so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Before>,
    /// Counts the changes, so that whoever was told of one knows of the next.
    #[serde(default)]
    generation: u32,
}

/// What was good before a change.
#[derive(Clone, Serialize, Deserialize)]
struct Before {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    until_ms: u64,
}

impl Hook {
    /// What from before is still good.
    fn before(&self, now_ms: u64) -> impl Iterator<Item = &Before> {
        self.before.iter().chain(&self.earlier).filter(move |before| now_ms < before.until_ms)
    }

    /// What is good until then stays so, and so does what an earlier change promised; a change
    /// without any overlap ends both.
    fn replace(&self, token: Option<String>, secret: Option<String>, now_ms: u64, overlap_ms: u64) -> Self {
        let until_ms = now_ms + overlap_ms;
        let before = Before { token: self.token.clone(), secret: self.secret.clone(), until_ms };
        let earlier = self.before(now_ms).filter(|_| overlap_ms > 0).cloned().collect();
        Self { token, secret, before: Some(before), earlier, generation: self.generation + 1 }
    }

    fn check_room(&self, flow: &FlowId, now_ms: u64, overlap_ms: u64) -> Result<(), EngineError> {
        let ends: Vec<u64> = self.before(now_ms).map(|before| before.until_ms).collect();
        match ends.iter().min() {
            Some(first) if ends.len() >= BEFORE_MAX && overlap_ms > 0 => Err(EngineError::Conflict(
                Problem::new(
                    "too-many-before",
                    format!("{} addresses or secrets from before are still good; there can be no more", ends.len()),
                )
                .cause("each change leaves what it replaces good until its overlap ends")
                .fix(format!(
                    "wait until {}, or end them all at once: sluice flow rotate-hook {flow} --overlap 0s",
                    timestamp(*first)
                )),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// The hooks of all flows, in memory.
#[derive(Default)]
pub(crate) struct Hooks(RwLock<HashMap<(Environment, FlowId), Arc<Hook>>>);

impl Hooks {
    pub(crate) fn put(&self, environment: &Environment, flow: &FlowId, hook: Hook) {
        let key = (environment.clone(), flow.clone());
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(hook));
    }

    /// How often what the host made for the flow was changed.
    pub(crate) fn generation(&self, environment: &Environment, flow: &FlowId) -> u32 {
        self.get(environment, flow).generation
    }

    fn get(&self, environment: &Environment, flow: &FlowId) -> Arc<Hook> {
        let hooks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        hooks.get(&(environment.clone(), flow.clone())).cloned().unwrap_or_default()
    }
}

impl Engine {
    /// Reads what was made for a published flow, at start.
    pub(crate) fn load_hook(&self, environment: &Environment, flow: &FlowId) -> Result<(), EngineError> {
        let sealed = self.0.vault.get_hook(&*self.0.store, environment, flow);
        if let Some(text) = sealed.map_err(EngineError::internal)? {
            let hook = serde_json::from_str(text.expose_secret()).map_err(EngineError::internal)?;
            self.0.hooks.put(environment, flow, hook);
        }
        Ok(())
    }

    /// Makes the address of a flow that wants one, in the batch that publishes it.
    pub(crate) fn put_hook(
        &self,
        batch: &mut Batch,
        environment: &Environment,
        plan: &Plan,
    ) -> Result<Option<Hook>, EngineError> {
        let hook = self.0.hooks.get(environment, plan.id());
        let wants = wants_token(plan.trigger()) && hook.token.is_none();
        if !wants {
            return Ok(None);
        }
        let hook = Hook { token: Some(new_text()?), ..(*hook).clone() };
        self.seal(batch, environment, plan.id(), &hook)?;
        Ok(Some(hook))
    }

    fn seal(
        &self,
        batch: &mut Batch,
        environment: &Environment,
        flow: &FlowId,
        hook: &Hook,
    ) -> Result<(), EngineError> {
        let text = SecretString::from(serde_json::to_string(hook).map_err(EngineError::internal)?);
        self.0.vault.put_hook(batch, environment, flow, &text).map_err(EngineError::internal)
    }

    /// Whether a delivery knows the flow's address. To one that does not, there is no
    /// such flow.
    pub(crate) fn check_token(&self, published: &Published, given: Option<&str>) -> Result<(), EngineError> {
        let hook = self.0.hooks.get(&published.environment, published.plan().id());
        let before = hook.before(self.now_ms()).filter_map(|before| before.token.as_deref());
        let good = match (wants_token(published.plan().trigger()), given) {
            (false, None) => true,
            (false, Some(_)) | (true, None) => false,
            (true, Some(given)) => {
                let mut known = hook.token.as_deref().into_iter().chain(before);
                known.any(|token| equal_texts(given, token).is_ok())
            }
        };
        let unknown = || EngineError::NotFound(Problem::new("unknown-address", "the flow has another address"));
        if good { Ok(()) } else { Err(unknown()) }
    }

    /// The secrets that verify a flow's deliveries at the moment; at least one.
    pub(crate) fn hook_secrets(
        &self,
        published: &Published,
        connection: &ConnectionId,
    ) -> Result<Vec<SecretString>, EngineError> {
        // A connection that was taken back lets nothing in, whatever the flow has.
        let connection = self.live_connection(&published.environment, connection).map_err(|_| no_secret())?;
        let hook = self.0.hooks.get(&published.environment, published.plan().id());
        let before: Vec<_> = hook.before(self.now_ms()).map(|before| before.secret.as_deref()).collect();
        let of_connection = hook.secret.is_none() || before.contains(&None);
        let own = hook.secret.as_deref().into_iter().chain(before.into_iter().flatten());
        let mut secrets: Vec<_> = own.map(SecretString::from).collect();
        secrets.extend(connection.secrets.webhook_secret.clone().filter(|_| of_connection));
        if secrets.is_empty() { Err(no_secret()) } else { Ok(secrets) }
    }

    /// Changes the address of a flow's webhook, its secret, or both. The old ones are
    /// good until the overlap ends, those from changes before it until theirs. Without an
    /// overlap all of them end at once.
    ///
    /// # Errors
    /// When the flow has no webhook, the overlap is too long, there is nothing to change,
    /// the secret is unusable, or too much from before is still good.
    pub async fn rotate_hook(
        &self,
        environment: &Environment,
        flow: &FlowId,
        rotation: Rotation,
        by: &str,
    ) -> Result<RotatedHook, EngineError> {
        let published = self.published(environment, flow)?;
        let webhook = webhook_of(&published)?;
        check_rotation(&published, webhook, &rotation)?;
        let _one_at_a_time = self.0.administration.lock().await;
        let current = self.0.hooks.get(environment, flow);
        let now_ms = self.now_ms();
        current.check_room(flow, now_ms, rotation.overlap_ms)?;
        let (secret, told) = match rotation.secret {
            NewSecret::Kept => (current.secret.clone(), None),
            NewSecret::Given(secret) => (Some(secret.expose_secret().to_owned()), None),
            NewSecret::Made => {
                let made = made_for(&webhook.verification)?;
                (Some(made.expose_secret().to_owned()), Some(made))
            }
        };
        let token = if wants_token(published.plan().trigger()) { Some(new_text()?) } else { None };
        let hook = current.replace(token, secret, now_ms, rotation.overlap_ms);
        let mut batch = Batch::new();
        self.seal(&mut batch, environment, flow, &hook)?;
        self.0.store.commit(batch).await?;
        self.0.hooks.put(environment, flow, hook);
        self.arm(&published);
        tracing::info!(%flow, %environment, by, "the flow's webhook was changed");
        let before_until_ms = now_ms + rotation.overlap_ms;
        Ok(RotatedHook { hook: self.hook_path(&published), secret: told, before_until_ms })
    }

    /// The secret that a service is told when the webhook is set up there. None: it
    /// makes its own.
    pub(crate) async fn ensure_hook_secret(
        &self,
        environment: &Environment,
        flow: &FlowId,
    ) -> Result<Option<SecretString>, EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let hook = self.0.hooks.get(environment, flow);
        if let Some(secret) = &hook.secret {
            return Ok(Some(SecretString::from(secret.as_str())));
        }
        let Some(published) = self.0.flows.get(environment, flow) else { return Ok(None) };
        let webhook = webhook_of(&published)?;
        if makes_its_own(&webhook.verification) {
            return Ok(None);
        }
        let secret = made_for(&webhook.verification)?;
        let text = secret.expose_secret().to_owned();
        let hook = hook.replace(hook.token.clone(), Some(text), self.now_ms(), FIRST_OVERLAP_MS);
        let mut batch = Batch::new();
        self.seal(&mut batch, environment, flow, &hook)?;
        self.0.store.commit(batch).await?;
        self.0.hooks.put(environment, flow, hook);
        Ok(Some(secret))
    }

    /// The path that deliveries to a flow are sent to.
    pub(crate) fn hook_path(&self, published: &Published) -> String {
        let (environment, flow) = (&published.environment, published.plan().id());
        let hook = self.0.hooks.get(environment, flow);
        match hook.token.as_ref().filter(|_| wants_token(published.plan().trigger())) {
            Some(token) => format!("/hooks/{environment}/{flow}/{token}"),
            None => format!("/hooks/{environment}/{flow}"),
        }
    }

    pub(crate) fn hook_view(&self, published: &Published) -> Result<HookView, EngineError> {
        let hook = self.0.hooks.get(&published.environment, published.plan().id());
        Ok(HookView {
            hook: self.hook_path(published),
            own_secret: hook.secret.is_some(),
            before_until_ms: hook.before(self.now_ms()).map(|before| before.until_ms).max(),
            subscription: self.subscription_view(published)?,
        })
    }
}

/// The webhook of a flow that has one. To a sender, a flow without one does not exist.
pub(crate) fn webhook_of(published: &Published) -> Result<&Webhook, EngineError> {
    match published.plan().trigger() {
        Trigger::Connector { webhook, .. } | Trigger::Webhook { webhook, .. } => Ok(webhook),
        Trigger::Poll(_) | Trigger::Schedule(_) | Trigger::Manual { .. } | Trigger::Call { .. } => {
            Err(EngineError::NotFound(Problem::new(
                "not-a-webhook",
                format!("flow {} is not started by deliveries", published.plan().id()),
            )))
        }
    }
}

fn wants_token(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::Connector { hook_token, .. } | Trigger::Webhook { hook_token, .. } => *hook_token,
        Trigger::Poll(_) | Trigger::Schedule(_) | Trigger::Manual { .. } | Trigger::Call { .. } => false,
    }
}

/// Services that tell their secret, and take none.
fn makes_its_own(scheme: &Verification) -> bool {
    match scheme {
        Verification::Slack | Verification::Stripe => true,
        Verification::Github
        | Verification::StandardWebhooks
        | Verification::Token { .. }
        | Verification::Hmac { .. } => false,
    }
}

fn new_text() -> Result<String, EngineError> {
    Ok(Vault::new_secret().map_err(EngineError::internal)?.expose_secret().to_owned())
}

/// A secret in the form that the scheme wants.
fn made_for(scheme: &Verification) -> Result<SecretString, EngineError> {
    let secret = Vault::new_secret().map_err(EngineError::internal)?;
    Ok(match scheme {
        // Hexadecimal digits are base64 too.
        Verification::StandardWebhooks => SecretString::from(format!("whsec_{}", secret.expose_secret())),
        Verification::Github
        | Verification::Slack
        | Verification::Stripe
        | Verification::Token { .. }
        | Verification::Hmac { .. } => secret,
    })
}

fn check_rotation(published: &Published, webhook: &Webhook, rotation: &Rotation) -> Result<(), EngineError> {
    if rotation.overlap_ms > OVERLAP_MS_MAX {
        let problem = Problem::new("overlap", "the old secret would be good for more than 30 days");
        return Err(EngineError::invalid(problem.fix("choose a shorter overlap, such as 1d")));
    }
    match &rotation.secret {
        NewSecret::Made if makes_its_own(&webhook.verification) => {
            let problem = Problem::new("secret-of-service", "this service makes the secrets of its webhooks itself");
            Err(EngineError::invalid(
                problem.fix("renew it there, then: sluice flow rotate-hook FLOW --secret-file FILE"),
            ))
        }
        NewSecret::Kept if !wants_token(published.plan().trigger()) => {
            let problem = Problem::new("nothing-to-rotate", "the flow's address has no part that could be changed");
            Err(EngineError::invalid(
                problem.fix("write hook_token: true in its trigger and publish it, or change the secret"),
            ))
        }
        NewSecret::Given(secret) => {
            check_secrets(&Secrets { credential: Credential::None, webhook_secret: Some(secret.clone()) })
        }
        NewSecret::Made | NewSecret::Kept => Ok(()),
    }
}
