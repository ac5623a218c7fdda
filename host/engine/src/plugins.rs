//! Plugins from file to grant: install, approve, revoke.
//!
//! A component is kept by its digest, described once, and runs only under a grant
//! for that digest in that environment. The file is on disk before the record that
//! names it; the record is in the store before the live state changes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Digest, Environment, PluginId, Problem};
use policy::{Approval, Grant};
use store::Batch;

use crate::catalogue::{Installed, no_plugin};
use crate::connectors::{Connector, Wasm};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::records::{APPROVALS, ApprovalRecord, PLUGINS, PluginRecord, Revoked};

/// How many components of one id a problem lists; a developer installs every build.
const TOLD_APART_MAX: usize = 10;

/// What is to change for a component.
#[derive(Clone, Copy)]
enum Change {
    Approve,
    Revoke,
}

/// An installed plugin with its approvals, as people look at it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct PluginView {
    /// The component.
    #[serde(flatten)]
    pub record: PluginRecord,
    /// Its grants, in force or taken back.
    pub approvals: Vec<ApprovalRecord>,
}

impl Engine {
    /// Installs a component: checks, compiles, describes and keeps it. Installing
    /// the same bytes again changes nothing. It may do nothing until approved.
    ///
    /// # Errors
    /// Every problem of the component or its manifest.
    pub async fn install_plugin(&self, wasm: Vec<u8>, by: &str) -> Result<PluginView, EngineError> {
        let digest = Digest::of(&wasm);
        let _one_at_a_time = self.0.administration.lock().await;
        if let Some(installed) = self.0.catalogue.plugin(&digest) {
            return Ok(self.plugin_view(&installed));
        }
        let wasm = Arc::new(wasm);
        let loaded = self.0.connectors.load(digest, Wasm::Bytes(wasm.clone())).await;
        let connector = loaded.map_err(EngineError::invalid)?;
        let manifest = connector.describe().await.map_err(EngineError::Invalid)?;
        let path = self.plugin_path(&digest);
        let content = wasm.clone();
        let kept =
            tokio::task::spawn_blocking(move || keep_file(&path, &content)).await.map_err(EngineError::internal)?;
        kept.map_err(|error| file_problem(&error))?;
        let record = PluginRecord {
            digest,
            manifest,
            bytes: wasm.len() as u64,
            installed_at_ms: self.now_ms(),
            installed_by: by.to_owned(),
        };
        let mut batch = Batch::new();
        PLUGINS.put(&mut batch, &[digest.as_bytes()], &record)?;
        self.0.store.commit(batch).await?;
        let installed = Arc::new(Installed::new(record, Some(connector)));
        self.0.catalogue.put_plugin(installed.clone());
        Ok(self.plugin_view(&installed))
    }

    /// Every installed plugin.
    pub fn plugins(&self) -> Vec<PluginView> {
        self.0.catalogue.plugins().iter().map(|installed| self.plugin_view(installed)).collect()
    }

    /// The plugin of this digest, digest prefix (at least 6 hexadecimal digits), or
    /// id (the one installed last).
    ///
    /// # Errors
    /// When there is none, or several digests start alike.
    pub fn plugin(&self, name: &str) -> Result<PluginView, EngineError> {
        self.installed(name).map(|installed| self.plugin_view(&installed))
    }

    /// The plugin of this name in an environment: an id means the component approved
    /// last there, as it does in flows; if none is approved, the one installed last.
    pub(crate) fn installed_for(&self, name: &str, environment: &Environment) -> Result<Arc<Installed>, EngineError> {
        let approved = name.parse().ok().and_then(|id: PluginId| self.approved(environment, &id));
        approved.map_or_else(|| self.installed(name), Ok)
    }

    pub(crate) fn installed(&self, name: &str) -> Result<Arc<Installed>, EngineError> {
        let all = self.0.catalogue.plugins();
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        let by_id = all.iter().find(|installed| installed.record.manifest.id.as_str() == name);
        if let Some(installed) = by_id {
            return Ok(installed.clone());
        }
        let starts_alike =
            |installed: &&Arc<Installed>| digits.len() >= 6 && installed.record.digest.to_hex().starts_with(digits);
        let mut found = all.iter().filter(starts_alike);
        match (found.next(), found.next()) {
            (Some(installed), None) => Ok(installed.clone()),
            (Some(_), Some(_)) => Err(EngineError::invalid(
                Problem::new("ambiguous-digest", format!("several plugins have digests that start with {digits}"))
                    .fix("write more of the digest: sluice plugin list"),
            )),
            (None, _) => Err(EngineError::NotFound(no_plugin(name, &all))),
        }
    }

    /// The plugin of this name, for decisions: an id that several installed components
    /// share names none of them, since anybody can claim an id.
    fn installed_alone(
        &self,
        name: &str,
        change: Change,
        environment: &Environment,
    ) -> Result<Arc<Installed>, EngineError> {
        let all = self.0.catalogue.plugins();
        let sharing: Vec<_> = all.iter().filter(|installed| installed.record.manifest.id.as_str() == name).collect();
        let Some((newest, [_, ..])) = sharing.split_first() else { return self.installed(name) };
        let command = match change {
            Change::Approve => {
                let digest = newest.record.digest.to_short();
                format!("the newest: sluice plugin approve {digest} --grant FILE --environment {environment}")
            }
            Change::Revoke => {
                let approved = sharing.iter().find(|installed| self.is_approved(installed, environment));
                approved.map_or_else(
                    || format!("none of them is approved in {environment}"),
                    |installed| {
                        let digest = installed.record.digest.to_short();
                        format!("the approved one: sluice plugin revoke {digest} --environment {environment}")
                    },
                )
            }
        };
        let listed = self.told_apart(&sharing);
        Err(EngineError::invalid(
            Problem::new("ambiguous-plugin", format!("{} installed components call themselves {name}", sharing.len()))
                .cause("an upgrade is installed beside the version before it, or somebody else uses the id")
                .fix(format!("name the one you mean by its digest, newest first:\n{listed}\n{command}")),
        ))
    }

    /// Components of one id, a line each: digest, version, where they are approved.
    fn told_apart(&self, sharing: &[&Arc<Installed>]) -> String {
        let line = |installed: &&Arc<Installed>| {
            let record = &installed.record;
            let mut approvals = self.0.catalogue.approvals_of(&record.digest);
            approvals.retain(|record| record.revoked.is_none());
            let places: Vec<&str> = approvals.iter().map(|record| record.approval.environment.as_str()).collect();
            let places = if places.is_empty() { "nowhere".to_owned() } else { format!("in {}", places.join(", ")) };
            format!("  {}  {}, approved {places}", record.digest.to_short(), record.manifest.version)
        };
        let mut lines: Vec<String> = sharing.iter().take(TOLD_APART_MAX).map(line).collect();
        if sharing.len() > TOLD_APART_MAX {
            lines.push(format!("  and {} older: sluice plugin list", sharing.len() - TOLD_APART_MAX));
        }
        lines.join("\n")
    }

    fn is_approved(&self, installed: &Installed, environment: &Environment) -> bool {
        let found = self.0.catalogue.approval(environment, &installed.record.digest);
        found.is_some_and(|record| record.revoked.is_none())
    }

    /// Binds a grant to a digest in an environment. Replaces an earlier one.
    ///
    /// # Errors
    /// When the grant is for another plugin, or goes beyond the ceiling.
    pub async fn approve_plugin(
        &self,
        name: &str,
        grant: Grant,
        environment: Environment,
        by: &str,
        note: Option<String>,
    ) -> Result<PluginView, EngineError> {
        let installed = self.installed_alone(name, Change::Approve, &environment)?;
        let digest = installed.record.digest;
        let mut problems = policy::beyond(&self.0.catalogue.ceiling, &grant);
        if grant.plugin != installed.manifest().id {
            problems.push(other_plugin(&grant.plugin, &installed.manifest().id));
        }
        if !problems.is_empty() {
            return Err(EngineError::Invalid(problems));
        }
        let approval =
            Approval { digest, environment, grant, approved_by: by.to_owned(), approved_at_ms: self.now_ms(), note };
        self.put_approval(ApprovalRecord { approval, revoked: None }).await?;
        Ok(self.plugin_view(&installed))
    }

    /// Takes a grant back, at once: calls that begin after this are denied.
    ///
    /// # Errors
    /// When there is no grant in force.
    pub async fn revoke_plugin(
        &self,
        name: &str,
        environment: &Environment,
        by: &str,
    ) -> Result<PluginView, EngineError> {
        let installed = self.installed_alone(name, Change::Revoke, environment)?;
        let found = self.0.catalogue.approval(environment, &installed.record.digest);
        let Some(mut record) = found.filter(|record| record.revoked.is_none()) else {
            return Err(EngineError::NotFound(
                Problem::new("not-approved", format!("plugin {name} has no grant in force in {environment}"))
                    .fix(format!("look at its grants: sluice plugin show {name}")),
            ));
        };
        record.revoked = Some(Revoked { at_ms: self.now_ms(), by: by.to_owned() });
        self.put_approval(record).await?;
        Ok(self.plugin_view(&installed))
    }

    async fn put_approval(&self, record: ApprovalRecord) -> Result<(), EngineError> {
        let _one_at_a_time = self.0.administration.lock().await;
        let mut batch = Batch::new();
        let key: [&[u8]; 2] = [record.approval.environment.as_str().as_bytes(), record.approval.digest.as_bytes()];
        APPROVALS.put(&mut batch, &key, &record)?;
        self.0.store.commit(batch).await?;
        let environment = record.approval.environment.clone();
        self.0.catalogue.put_approval(record);
        self.reconsider(&environment).await
    }

    /// The component, ready to be called: loaded at its first call.
    pub(crate) async fn component(&self, installed: &Arc<Installed>) -> Result<Arc<dyn Connector>, Problem> {
        if let Some(connector) = installed.connector.get() {
            return Ok(connector.clone());
        }
        let digest = installed.record.digest;
        let connector = self.0.connectors.load(digest, Wasm::File(self.plugin_path(&digest))).await?;
        Ok(installed.connector.get_or_init(|| connector).clone())
    }

    fn plugin_view(&self, installed: &Installed) -> PluginView {
        let record = installed.record.clone();
        PluginView { approvals: self.0.catalogue.approvals_of(&record.digest), record }
    }

    fn plugin_path(&self, digest: &Digest) -> PathBuf {
        self.0.folder.join("plugins").join(format!("{}.wasm", digest.to_hex()))
    }

    /// The component approved for a connector, for flows that are being published.
    pub(crate) fn approved(&self, environment: &Environment, plugin: &PluginId) -> Option<Arc<Installed>> {
        self.0.catalogue.approved(environment, plugin)
    }
}

fn other_plugin(of_grant: &PluginId, of_component: &PluginId) -> Problem {
    Problem::new("other-plugin", format!("the grant is for {of_grant}, the component is {of_component}"))
        .fix("take the grant that was written for this connector")
}

/// Whole or not at all, and on disk when this returns.
fn keep_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("part");
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}

fn file_problem(error: &io::Error) -> EngineError {
    EngineError::Unavailable(
        Problem::new("plugin-not-kept", format!("the component cannot be written to the data folder: {error}"))
            .fix("free space, or mend the permissions of the data folder, and install again"),
    )
}
