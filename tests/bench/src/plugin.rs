//! A connector in a sandbox of its own, approved and called as the engine calls one,
//! without the engine around it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use egress::{Egress, EgressOptions, SessionSpec};
use model::{Credential, OperationId, parse_base_url};
use policy::{Approval, Authority, Ceiling, ConnectionFacts, Grant, Subject};
use sandbox::{Answer, Call, CallContext, ContextConnection, Plugin, Sandbox, Services, Work};

/// It, and all that its calls need.
pub(crate) struct Ready {
    pub(crate) sandbox: Sandbox,
    pub(crate) plugin: Plugin,
    pub(crate) operation: OperationId,
    authority: Authority,
    credential: Credential,
    egress: Arc<Egress>,
    context: CallContext,
}

/// How it is approved and connected.
pub(crate) struct Approved {
    /// Lines of the grant, after its version and plugin.
    pub(crate) grant: String,
    /// The action that is called.
    pub(crate) operation: &'static str,
    /// Where the connection's service is, if there is one.
    pub(crate) base_url: Option<String>,
    pub(crate) credential: Credential,
}

impl Ready {
    /// Compiled into `folder`, described and approved.
    pub(crate) async fn new(folder: &Path, wasm: &Path, approved: Approved) -> Result<Self> {
        let sandbox = Sandbox::open(sandbox::Options::new(folder.join("cache"), [7; 32]))?;
        let bytes = std::fs::read(wasm).with_context(|| format!("{} is not built", wasm.display()))?;
        let plugin = sandbox.load(&bytes).map_err(|error| anyhow!("{error}"))?;
        let manifest = sandbox.describe(&plugin).await.map_err(|problems| anyhow!("{problems:?}"))?;
        let environment = crate::host::environment();
        let grant = format!("version = 1\nplugin = \"{}\"\n{}", manifest.id, approved.grant);
        let approval = Approval {
            digest: plugin.digest(),
            environment: environment.clone(),
            grant: Grant::parse(&grant, "grant.toml").map_err(|problems| anyhow!("{problems:?}"))?,
            approved_by: "bench".to_owned(),
            approved_at_ms: 0,
            note: None,
        };
        let ceiling = Ceiling::parse(crate::host::CEILING, "ceiling.toml");
        let ceiling = Arc::new(ceiling.map_err(|problems| anyhow!("{problems:?}"))?);
        let base_url = approved.base_url.map(|url| parse_base_url(&url)).transpose();
        let facts = base_url.map_err(|problem| anyhow!("{problem:?}"))?.map(|base_url| ConnectionFacts {
            id: "receiver".parse().expect("a name"),
            label: "the receiver".to_owned(),
            plugin: manifest.id.clone(),
            environment: environment.clone(),
            team: None,
            base_url: Some(base_url),
            scopes: Vec::new(),
        });
        let action = manifest.actions.iter().find(|action| action.id.as_str() == approved.operation);
        let action = action.with_context(|| format!("there is no action {}", approved.operation))?;
        let (approval, subject, digest) = (Arc::new(approval), Subject::Action(action), plugin.digest());
        let authority =
            Authority::try_new(&ceiling, Some(&approval), &digest, &environment, &manifest, subject, facts.as_ref());
        Ok(Self {
            operation: action.id.clone(),
            authority: authority.map_err(|denial| anyhow!("{denial}"))?,
            credential: approved.credential,
            egress: Arc::new(Egress::new(EgressOptions::default())?),
            context: context(facts),
            sandbox,
            plugin,
        })
    }

    /// One call, with everything that the host does for it.
    pub(crate) async fn call(&self, input: &str) -> Result<String> {
        let limits = self.authority.limits();
        let session = self.egress.session(SessionSpec {
            digest: self.plugin.digest(),
            connection: self.authority.connection().cloned(),
            authority: self.authority.clone(),
            credential: self.credential.clone(),
            limits,
            deadline: tokio::time::Instant::now() + Duration::from_millis(limits.wall_ms),
            lent: None,
        });
        let call = Call {
            work: Work::Invoke { operation: self.operation.clone(), input: input.to_owned() },
            context: self.context.clone(),
            session,
            services: Services::default(),
        };
        match self.sandbox.call(&self.plugin, call).await.outcome {
            Ok(Answer::Output(output)) => Ok(output),
            other => Err(anyhow!("the connector answered {other:?}")),
        }
    }
}

fn context(connection: Option<ConnectionFacts>) -> CallContext {
    let connection = connection.map(|facts| ContextConnection {
        label: facts.label,
        base_url: facts.base_url.map(|base| base.url().to_string()),
        scopes: Vec::new(),
    });
    CallContext {
        flow: Some("bench".to_owned()),
        run: Some("0192f0c1a2b34c5d8e9f0a1b2c3d4e5f".to_owned()),
        step: Some("echo".to_owned()),
        attempt: 1,
        idempotency_key: "0192f0c1a2b34c5d8e9f0a1b2c3d4e5f-echo".to_owned(),
        environment: "production".to_owned(),
        connection,
    }
}
