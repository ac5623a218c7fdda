//! Connections: accounts of connectors, in one environment.
//!
//! The record says what people may know; the credential is sealed by the vault in
//! the same batch. A base URL must lie within a granted origin when the connection
//! is made, since it becomes the audience of the credential.

use std::sync::Arc;

use model::{ConnectionId, Credential, Environment, FlowId, Manifest, PluginId, Problem, Scope, Team, parse_base_url};
use policy::ConnectionFacts;
use secrecy::SecretString;
use store::Batch;
use vault::Secrets;

use crate::call::{CallTarget, CallView};
use crate::catalogue::{BUILT_IN_WEBHOOK, LiveConnection, no_plugin};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::Published;
use crate::reauthorise::CredentialRefusal;
use crate::records::{CONNECTIONS, ConnectionRecord, Revoked};

/// A connection to be made. Secrets come in here and are sealed at once.
#[derive(Debug)]
pub struct NewConnection {
    /// Its name.
    pub id: ConnectionId,
    /// Where it may be used.
    pub environment: Environment,
    /// The connector; `webhook` for built-in webhook triggers.
    pub plugin: PluginId,
    /// The team that owns it.
    pub team: Option<Team>,
    /// As people know it; the id when none is given.
    pub label: Option<String>,
    /// Where the service lives.
    pub base_url: Option<String>,
    /// The credential.
    pub credential: Credential,
    /// What verifies deliveries.
    pub webhook_secret: Option<SecretString>,
    /// The scopes that the credential holds.
    pub scopes: Vec<Scope>,
}

/// A connection, as people look at it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ConnectionView {
    /// What is kept of it.
    #[serde(flatten)]
    pub record: ConnectionRecord,
    /// Its remote asked to be left alone until then: every call over it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limited_until_ms: Option<u64>,
    /// Its remote refused the credential: runs wait until it has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_reauthorisation: Option<CredentialRefusal>,
    /// The published flows that use it.
    pub flows: Vec<FlowId>,
}

/// A connection in a list.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ListedConnection {
    /// What is kept of it.
    #[serde(flatten)]
    pub record: ConnectionRecord,
    /// Its remote refused the credential: runs wait until it has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_reauthorisation: Option<CredentialRefusal>,
}

/// What is to be new about a connection; the rest stays.
#[derive(Debug, Default)]
pub struct Renewal {
    /// Another credential, of the same scheme.
    pub secret: Option<SecretString>,
    /// The user it belongs to, for basic.
    pub user: Option<String>,
    /// What verifies deliveries.
    pub webhook_secret: Option<SecretString>,
    /// The scopes that the credential holds.
    pub scopes: Option<Vec<Scope>>,
}

impl Engine {
    /// Makes a connection, or replaces one of the same name and connector.
    ///
    /// # Errors
    /// When the connector is not installed or does not take such a credential, or
    /// the base URL lies outside the grant.
    pub async fn add_connection(&self, new: NewConnection, by: &str) -> Result<ConnectionRecord, EngineError> {
        check_secrets(&Secrets { credential: new.credential.clone(), webhook_secret: new.webhook_secret.clone() })?;
        let base_url = self.check_with_plugin(&new)?;
        let _one_at_a_time = self.0.administration.lock().await;
        let before = self.check_replaced(&new)?;
        let record = ConnectionRecord {
            label: new.label.unwrap_or_else(|| new.id.to_string()),
            id: new.id,
            environment: new.environment,
            plugin: new.plugin,
            team: new.team,
            base_url,
            auth: new.credential.scheme().to_owned(),
            scopes: new.scopes,
            verifies_webhooks: new.webhook_secret.is_some(),
            created_at_ms: self.now_ms(),
            created_by: by.to_owned(),
            account: None,
            revoked: None,
            renewals: before.as_ref().map_or(0, |before| before.record.renewals + 1),
            renewed_at_ms: before.map(|_| self.now_ms()),
        };
        let secrets = Secrets { credential: new.credential, webhook_secret: new.webhook_secret };
        let mut batch = Batch::new();
        self.0.vault.put(&mut batch, &record.environment, &record.id, &secrets).map_err(EngineError::internal)?;
        self.put_connection(batch, record, secrets).await
    }

    /// Gives a connection another credential, or other secrets beside. Runs that waited
    /// for it go on.
    ///
    /// # Errors
    /// When there is no such connection, nothing is new, or a secret is unusable.
    pub async fn update_connection(
        &self,
        environment: &Environment,
        id: &ConnectionId,
        renewal: Renewal,
    ) -> Result<ConnectionRecord, EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let live = self.live_connection(environment, id)?;
        let (mut record, mut secrets) = (live.record.clone(), live.secrets.clone());
        let Renewal { secret, user, webhook_secret, scopes } = renewal;
        if secret.is_none() && webhook_secret.is_none() && scopes.is_none() {
            return Err(EngineError::invalid(
                Problem::new("nothing-new", "nothing about the connection would change")
                    .fix("give another credential (--secret-file), webhook secret or scopes"),
            ));
        }
        if let Some(secret) = secret {
            secrets.credential = secrets.credential.renewed(secret, user).ok_or_else(|| {
                EngineError::invalid(
                    Problem::new("no-credential", format!("connection {id} has no credential that could be replaced"))
                        .fix(format!("make it anew: sluice connection add {} --id {id} --auth SCHEME", record.plugin)),
                )
            })?;
            record.renewals += 1;
            record.renewed_at_ms = Some(self.now_ms());
        }
        record.verifies_webhooks |= webhook_secret.is_some();
        secrets.webhook_secret = webhook_secret.or(secrets.webhook_secret);
        record.scopes = scopes.unwrap_or(record.scopes);
        check_secrets(&secrets)?;
        let mut batch = Batch::new();
        self.0.vault.put(&mut batch, environment, id, &secrets).map_err(EngineError::internal)?;
        self.put_connection(batch, record, secrets).await
    }

    /// Every connection; never a secret.
    pub fn connections(&self) -> Vec<ListedConnection> {
        let listed = |connection: &Arc<LiveConnection>| ListedConnection {
            record: connection.record.clone(),
            needs_reauthorisation: self.refusal_of(connection),
        };
        self.0.catalogue.connections().iter().map(listed).collect()
    }

    /// One connection, what its remote asked for, and who depends on it; never a secret.
    ///
    /// # Errors
    /// When there is no such connection.
    pub fn show_connection(&self, environment: &Environment, id: &ConnectionId) -> Result<ConnectionView, EngineError> {
        let found = self.0.catalogue.connection(environment, id);
        let connection = found.map_or_else(|| self.live_connection(environment, id), Ok)?;
        let uses = |published: &Published| {
            published.environment == *environment && published.plan().connections().contains(id)
        };
        let flows = self.0.flows.all().into_iter().filter(|published| uses(published));
        Ok(ConnectionView {
            record: connection.record.clone(),
            rate_limited_until_ms: self.wait_of(environment, id).map(|wait_ms| self.now_ms() + wait_ms),
            needs_reauthorisation: self.refusal_of(&connection),
            flows: flows.map(|published| published.plan().id().clone()).collect(),
        })
    }

    /// Asks the connector to test the credential and name the account.
    ///
    /// # Errors
    /// When there is no such connection, or the connector has no check.
    pub async fn check_connection(
        &self,
        environment: &Environment,
        id: &ConnectionId,
    ) -> Result<CallView, EngineError> {
        let connection = self.live_connection(environment, id)?;
        let installed = self
            .approved(environment, &connection.record.plugin)
            .ok_or_else(|| self.not_usable(&connection.record.plugin, environment))?;
        let view = self.call_once(CallTarget::Check, &installed, environment, Some(&connection)).await?;
        if let Ok(sandbox::Answer::Account(account)) = &view.outcome {
            let mut record = connection.record.clone();
            record.account = Some(account.clone());
            let _one_at_a_time = self.0.administration.lock().await;
            if self.live_connection(environment, id).is_ok_and(|now| Arc::ptr_eq(&now, &connection)) {
                self.put_connection(Batch::new(), record, connection.secrets.clone()).await?;
                self.forgive(&connection).await?;
            }
        }
        Ok(view)
    }

    /// Takes a connection back: its credential is erased, and calls over it fail.
    ///
    /// # Errors
    /// When there is no such connection.
    pub async fn revoke_connection(
        &self,
        environment: &Environment,
        id: &ConnectionId,
        by: &str,
    ) -> Result<ConnectionRecord, EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let mut record = self.live_connection(environment, id)?.record.clone();
        record.revoked = Some(Revoked { at_ms: self.now_ms(), by: by.to_owned() });
        record.verifies_webhooks = false;
        let mut batch = Batch::new();
        self.0.vault.remove(&mut batch, environment, id);
        self.put_connection(batch, record, Secrets { credential: Credential::None, webhook_secret: None }).await
    }

    /// The connection, if it is not revoked.
    pub(crate) fn live_connection(
        &self,
        environment: &Environment,
        id: &ConnectionId,
    ) -> Result<Arc<LiveConnection>, EngineError> {
        let found = self.0.catalogue.connection(environment, id);
        found.filter(|connection| connection.record.revoked.is_none()).ok_or_else(|| {
            let problem = Problem::new("unknown-connection", format!("there is no connection {id} in {environment}"));
            let all = self.0.catalogue.connections();
            let near = model::nearest(id.as_str(), all.iter().map(|connection| connection.record.id.as_str()));
            EngineError::NotFound(match near {
                Some(near) if near != id.as_str() => problem.fix(format!("did you mean {near}?")),
                _ => problem.fix("list them: sluice connection list; add one: sluice connection add"),
            })
        })
    }

    async fn put_connection(
        &self,
        mut batch: Batch,
        record: ConnectionRecord,
        secrets: Secrets,
    ) -> Result<ConnectionRecord, EngineError> {
        let live = live(record.clone(), secrets)?;
        CONNECTIONS.put(
            &mut batch,
            &[record.environment.as_str().as_bytes(), record.id.as_str().as_bytes()],
            &record,
        )?;
        self.0.store.commit(batch).await?;
        self.0.catalogue.put_connection(Arc::new(live));
        self.reconsider(&record.environment).await?;
        self.connection_changed(&record.environment, &record.id);
        self.resume_parked(&record.environment, &record.id).await?;
        Ok(record)
    }

    /// A name never changes its connector: flows and grants rely on it.
    fn check_replaced(&self, new: &NewConnection) -> Result<Option<Arc<LiveConnection>>, EngineError> {
        match self.0.catalogue.connection(&new.environment, &new.id) {
            Some(old) if old.record.plugin != new.plugin => Err(EngineError::Conflict(
                Problem::new(
                    "connection-exists",
                    format!("connection {} belongs to the connector {}", new.id, old.record.plugin),
                )
                .fix("choose another name"),
            )),
            before => Ok(before),
        }
    }

    /// A connector that is not approved, or not even there.
    fn not_usable(&self, plugin: &PluginId, environment: &Environment) -> EngineError {
        let known = self.0.catalogue.plugins();
        let is_there = known.iter().any(|installed| installed.manifest().id == *plugin);
        let what = format!("no version of the plugin {plugin} is approved in {environment}");
        let problem = Problem::new("plugin-not-approved", what);
        let approve = format!("approve it: sluice plugin approve {plugin} --grant FILE --environment {environment}");
        let absent = no_plugin(plugin.as_str(), &known);
        EngineError::Refused(match is_there {
            true => problem.fix(approve),
            false => Problem { cause: Some(absent.what), fix: absent.fix, ..problem },
        })
    }

    /// Checks against manifest and grant; gives the base URL that will hold.
    fn check_with_plugin(&self, new: &NewConnection) -> Result<Option<String>, EngineError> {
        if new.plugin.as_str() == BUILT_IN_WEBHOOK {
            return check_built_in(new);
        }
        let installed = self
            .approved(&new.environment, &new.plugin)
            .ok_or_else(|| self.not_usable(&new.plugin, &new.environment))?;
        let base_url = check_with_manifest(new, installed.manifest())?;
        let facts = facts(new, base_url.as_deref())?;
        let digest = installed.record.digest;
        if let Some(record) = self.0.catalogue.approval(&new.environment, &digest) {
            policy::check_connection(&self.0.catalogue.ceiling, &record.approval, installed.manifest(), &facts)
                .map_err(|denial| {
                    EngineError::Refused(
                        Problem::new(
                            "connection-outside-grant",
                            format!("the grant of {} does not cover this connection: {}", new.plugin, denial.rule),
                        )
                        .fix(denial.fix),
                    )
                })?;
        }
        Ok(base_url)
    }
}

fn check_built_in(new: &NewConnection) -> Result<Option<String>, EngineError> {
    if new.webhook_secret.is_none() || new.credential.secret().is_some() || new.base_url.is_some() {
        return Err(EngineError::invalid(
            Problem::new(
                "webhook-connection",
                "a connection of the built-in webhook trigger holds a webhook secret and nothing else",
            )
            .fix("sluice connection add webhook --id NAME --webhook-secret-file FILE"),
        ));
    }
    Ok(None)
}

/// What the vault would refuse is the caller's mistake; whatever else goes wrong in it is
/// the host's.
pub(crate) fn check_secrets(new: &Secrets) -> Result<(), EngineError> {
    new.check().map_err(|error| EngineError::invalid(error.to_problem()))?;
    if let Credential::Header { name, .. } = &new.credential
        && egress::is_host_owned(name)
    {
        let what = format!("the header {name} cannot carry a credential");
        return Err(EngineError::invalid(
            Problem::new("secret-unusable", what)
                .cause("the host writes it itself into every request")
                .fix("give the header that the service reads its key from, such as x-api-key"),
        ));
    }
    Ok(())
}

fn check_with_manifest(new: &NewConnection, manifest: &Manifest) -> Result<Option<String>, EngineError> {
    let Some(spec) = &manifest.connection else {
        return Err(EngineError::invalid(Problem::new(
            "no-account",
            format!("the connector {} works without an account, so it has no connections", manifest.id),
        )));
    };
    let offered: Vec<&str> = spec.auth.iter().map(model::AuthScheme::name).collect();
    let only_webhooks = matches!(new.credential, Credential::None) && new.webhook_secret.is_some();
    if !only_webhooks && !offered.contains(&new.credential.scheme()) {
        return Err(EngineError::invalid(
            Problem::new(
                "auth-scheme",
                format!("the connector {} does not authenticate by {}", manifest.id, new.credential.scheme()),
            )
            .fix(format!("use one of: {}", offered.join(", "))),
        ));
    }
    match (&spec.base_url, &new.base_url) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(EngineError::invalid(
            Problem::new(
                "no-base-url",
                format!("the connector {} has a fixed place, so it takes no base URL", manifest.id),
            )
            .fix("leave the base URL out"),
        )),
        (Some(_), Some(given)) => Ok(Some(given.clone())),
        (Some(spec), None) => match &spec.default {
            Some(default) => Ok(Some(default.clone())),
            None => Err(EngineError::invalid(
                Problem::new("base-url-missing", "this connector needs a base URL").fix(spec.help.clone()),
            )),
        },
    }
}

fn facts(new: &NewConnection, base_url: Option<&str>) -> Result<ConnectionFacts, EngineError> {
    Ok(ConnectionFacts {
        id: new.id.clone(),
        label: new.label.clone().unwrap_or_else(|| new.id.to_string()),
        plugin: new.plugin.clone(),
        environment: new.environment.clone(),
        team: new.team.clone(),
        base_url: parse(base_url)?,
        scopes: new.scopes.clone(),
    })
}

fn parse(base_url: Option<&str>) -> Result<Option<model::Target>, EngineError> {
    base_url.map(parse_base_url).transpose().map_err(|error| {
        EngineError::invalid(
            Problem::new("base-url", error)
                .fix("write scheme, host and path alone, such as https://git.example.com/api/v3"),
        )
    })
}

/// The live form of a kept connection.
pub(crate) fn live(record: ConnectionRecord, secrets: Secrets) -> Result<LiveConnection, EngineError> {
    let facts = ConnectionFacts {
        id: record.id.clone(),
        label: record.label.clone(),
        plugin: record.plugin.clone(),
        environment: record.environment.clone(),
        team: record.team.clone(),
        base_url: parse(record.base_url.as_deref())?,
        scopes: record.scopes.clone(),
    };
    Ok(LiveConnection { record, facts, secrets })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_base_url_names_a_fix() {
        for text in ["", "git.example.com", "https://git.example.com/?a=1", "https://ana@git.example.com/"] {
            let Err(EngineError::Invalid(problems)) = parse(Some(text)) else { panic!("{text}") };
            assert!(problems[0].fix.is_some(), "{}", problems[0]);
        }
    }
}
