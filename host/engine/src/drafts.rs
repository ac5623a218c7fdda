//! From draft to version: save, publish, list versions, compare them.
//!
//! A draft is a document that passed its check; it runs nothing. Publishing checks
//! it again, since what it uses may have been taken back meanwhile.

use model::{Environment, FlowId, Problem};
use store::{Batch, Order};

use crate::diff::diff;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::flows::{FlowView, PAGE};
use crate::records::{DRAFTS, DraftRecord, VERSIONS};

/// One version of a flow, as people look at it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct VersionView {
    /// 1, 2, 3, ...
    pub version: u32,
    /// Whether new events take it.
    pub published: bool,
    /// When it was published.
    pub applied_at_ms: u64,
    /// By whom.
    pub applied_by: String,
    /// The connectors it runs on, by digest.
    pub locked: std::collections::BTreeMap<model::PluginId, model::Digest>,
    /// The document.
    pub document: String,
}

/// Which of a flow's documents is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What was saved and is not published.
    Draft,
    /// What new events take.
    Published,
    /// A version by its number.
    Version(u32),
}

impl Engine {
    /// Checks a document and keeps it as the flow's draft.
    ///
    /// # Errors
    /// Every problem found; nothing is kept then.
    pub async fn save_flow(
        &self,
        document: &str,
        format: flow::Format,
        file: &str,
        environment: &Environment,
        by: &str,
    ) -> Result<FlowView, EngineError> {
        let plan = self.check_flow(document, format, file, environment)?;
        let _one_at_a_time = self.0.administration.lock().await;
        let id = plan.id().clone();
        let draft = DraftRecord {
            document: document.to_owned(),
            file: file.to_owned(),
            plan,
            saved_at_ms: self.now_ms(),
            saved_by: by.to_owned(),
        };
        let mut batch = Batch::new();
        DRAFTS.put(&mut batch, &[environment.as_str().as_bytes(), id.as_str().as_bytes()], &draft)?;
        self.0.store.commit(batch).await?;
        self.flow(environment, &id)
    }

    /// Publishes the draft as the next version.
    ///
    /// # Errors
    /// When there is no draft, or it does not pass its check any more.
    pub async fn publish_flow(
        &self,
        environment: &Environment,
        id: &FlowId,
        by: &str,
    ) -> Result<FlowView, EngineError> {
        let draft = self.draft(environment, id)?.ok_or_else(|| no_draft(environment, id))?;
        self.apply_flow(&draft.document, flow::Format::Auto, &draft.file, environment, by).await
    }

    /// The versions of a flow, newest first.
    ///
    /// # Errors
    /// When there is no such flow.
    pub fn flow_versions(&self, environment: &Environment, id: &FlowId) -> Result<Vec<VersionView>, EngineError> {
        let published = self.published(environment, id)?.record.version;
        let within: [&[u8]; 2] = [environment.as_str().as_bytes(), id.as_str().as_bytes()];
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = VERSIONS.list(&*self.0.store, &within, after.as_deref(), PAGE, Order::Descending)?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(last.to_vec());
            found.extend(page.into_iter().map(|(_, record)| VersionView {
                published: record.version == published,
                version: record.version,
                applied_at_ms: record.applied_at_ms,
                applied_by: record.applied_by,
                locked: record.locked,
                document: record.document,
            }));
        }
    }

    /// What changed between two of a flow's documents, line by line.
    ///
    /// # Errors
    /// When one of them does not exist.
    pub fn diff_flow(
        &self,
        environment: &Environment,
        id: &FlowId,
        from: Which,
        to: Which,
    ) -> Result<String, EngineError> {
        let (before, after) = (self.document(environment, id, from)?, self.document(environment, id, to)?);
        Ok(diff(&before, &after))
    }

    fn document(&self, environment: &Environment, id: &FlowId, which: Which) -> Result<String, EngineError> {
        match which {
            Which::Draft => Ok(self.draft(environment, id)?.ok_or_else(|| no_draft(environment, id))?.document),
            Which::Published => Ok(self.published(environment, id)?.record.document.clone()),
            Which::Version(version) => Ok(self.version(environment, id, version)?.record.document.clone()),
        }
    }

    pub(crate) fn draft(&self, environment: &Environment, id: &FlowId) -> Result<Option<DraftRecord>, EngineError> {
        Ok(DRAFTS.get(&*self.0.store, &[environment.as_str().as_bytes(), id.as_str().as_bytes()])?)
    }

    /// Every draft, with its environment.
    pub(crate) fn drafts(&self) -> Result<Vec<(Environment, DraftRecord)>, EngineError> {
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = DRAFTS.list(&*self.0.store, &[], after.as_deref(), PAGE, Order::Ascending)?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(last.to_vec());
            found.extend(page.into_iter().filter_map(|(key, draft)| {
                let environment = DRAFTS.parts(&key)?.into_iter().next()?;
                Some((String::from_utf8(environment).ok()?.parse().ok()?, draft))
            }));
        }
    }
}

fn no_draft(environment: &Environment, id: &FlowId) -> EngineError {
    EngineError::NotFound(
        Problem::new("no-draft", format!("flow {id} has no draft in {environment}"))
            .fix(format!("save one: sluice flow save FILE --environment {environment}")),
    )
}
