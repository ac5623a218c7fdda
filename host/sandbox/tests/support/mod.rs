//! A real sandbox, a real component, a real policy: what every test here starts from.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use egress::{Egress, EgressOptions, SessionSpec};
use model::{Credential, Digest, Environment, Failure, Limits, Manifest};
use policy::{Approval, Authority, Ceiling, Grant, Subject};
use sandbox::{Answer, Call, CallContext, Delivery, Options, Plugin, Report, Sandbox, Services, Work};

/// The misbehaving connector's component, built when it is older than its source.
pub(crate) fn misfit() -> Vec<u8> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/misfit");
    let target = target_folder().join("guests");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(&crate_folder)
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the guest could not be built");
    std::fs::read(target.join("wasm32-wasip2/release/misfit.wasm")).expect("the guest is there")
}

fn target_folder() -> PathBuf {
    // .../target/debug/deps/test-hash
    let exe = std::env::current_exe().expect("a path");
    exe.ancestors().find(|path| path.join("CACHEDIR.TAG").exists()).expect("the target folder").to_owned()
}

/// A component whose bytes differ from the misfit's in this text, of equal length.
pub(crate) fn misfit_with(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "lengths stand in the component");
    let mut wasm = misfit();
    let places: Vec<usize> =
        wasm.windows(from.len()).enumerate().filter(|(_, w)| *w == from.as_bytes()).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{from} is nowhere in the component");
    for at in places {
        wasm[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    wasm
}

/// A sandbox with the misfit loaded.
pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) sandbox: Sandbox,
    pub(crate) plugin: Plugin,
    pub(crate) manifest: Manifest,
    pub(crate) egress: Arc<Egress>,
}

/// Options for a sandbox of a few calls.
pub(crate) fn options(home: &Path) -> Options {
    let mut options = Options::new(home.join("code"), [7; 32]);
    options.calls_max = 16;
    options
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("inbox")).expect("made");
        let mut options = options(home.path());
        change(&mut options);
        let sandbox = Sandbox::open(options).expect("a sandbox");
        let plugin = sandbox.load(&misfit()).expect("loaded");
        let manifest = sandbox.describe(&plugin).await.expect("described");
        let egress = Arc::new(Egress::new(EgressOptions::default()).expect("egress"));
        Self { home, sandbox, plugin, manifest, egress }
    }

    pub(crate) fn inbox(&self) -> PathBuf {
        self.home.path().join("inbox")
    }

    fn authority(&self, digest: Digest) -> Authority {
        let home = self.home.path().display();
        let ceiling = format!("version = 1\nfolders = [\"{home}\"]\n");
        let grant = format!(
            "version = 1\nplugin = \"misfit\"\n[operations.\"*\"]\ndestinations = []\n\
             [folders.inbox]\npath = \"{home}/inbox\"\naccess = \"write\"\n\
             [folders.shelf]\npath = \"{home}/inbox\"\naccess = \"read\"\n"
        );
        let ceiling = Arc::new(Ceiling::parse(&ceiling, "ceiling.toml").expect("a ceiling"));
        let environment: Environment = "test".parse().expect("an environment");
        let approval = Arc::new(Approval {
            digest,
            environment: environment.clone(),
            grant: Grant::parse(&grant, "misfit.toml").expect("a grant"),
            approved_by: "tests".to_owned(),
            approved_at_ms: 0,
            note: None,
        });
        let action = self.manifest.action(&"files".parse().expect("an id")).expect("an action");
        Authority::try_new(
            &ceiling,
            Some(&approval),
            &digest,
            &environment,
            &self.manifest,
            Subject::Action(action),
            None,
        )
        .expect("an authority")
    }

    pub(crate) fn call(&self, work: Work, limits: Limits) -> Call {
        let spec = SessionSpec {
            digest: self.plugin.digest(),
            connection: None,
            authority: self.authority(self.plugin.digest()),
            credential: Credential::Bearer { token: "s3cr3t-t0ken".to_owned().into() },
            limits,
            deadline: tokio::time::Instant::now() + std::time::Duration::from_millis(limits.wall_ms),
            lent: None,
        };
        let context = CallContext {
            attempt: 2,
            idempotency_key: "key-1".to_owned(),
            environment: "test".to_owned(),
            connection: Some(sandbox::ContextConnection {
                label: "octocat".to_owned(),
                base_url: None,
                scopes: vec!["repo".to_owned()],
            }),
            ..CallContext::default()
        };
        Call { work, context, session: self.egress.session(spec), services: Services::default() }
    }

    /// Performs an operation of the misfit.
    pub(crate) async fn invoke_with(&self, operation: &str, input: &str, limits: Limits) -> Report {
        let work = Work::Invoke { operation: operation.parse().expect("an id"), input: input.to_owned() };
        self.sandbox.call(&self.plugin, self.call(work, limits)).await
    }

    pub(crate) async fn invoke(&self, operation: &str, input: &str) -> Report {
        self.invoke_with(operation, input, Limits::default()).await
    }

    pub(crate) async fn receive(&self, trigger: &str, body: &[u8]) -> Report {
        let delivery = Delivery { headers: Vec::new(), query: "q=1".to_owned(), body: body.to_owned() };
        let work = Work::Receive { trigger: trigger.parse().expect("an id"), config: "{}".to_owned(), delivery };
        self.sandbox.call(&self.plugin, self.call(work, Limits::default())).await
    }
}

/// The output of a call that succeeded.
pub(crate) fn output(report: &Report) -> &str {
    match &report.outcome {
        Ok(Answer::Output(text)) => text,
        other => panic!("no output: {other:?}"),
    }
}

/// The failure of a call that failed.
pub(crate) fn failure(report: &Report) -> &Failure {
    report.outcome.as_ref().expect_err("a failure")
}

/// A limit as a failure.
pub(crate) fn limit(which: &str, limit: u64) -> Failure {
    Failure::LimitExceeded { which: which.to_owned(), limit }
}
