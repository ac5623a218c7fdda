//! Where connectors run, as far as the engine needs to know it.
//!
//! Owns the two questions the engine asks of a component (what are you, and do
//! this) and their answer by the sandbox. Refuses to know flows and storage. A
//! simulated host answers the same questions without running any code.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use model::{Digest, Manifest, Problem};
use sandbox::{Call, Plugin, Report, Sandbox};

/// Where connectors run.
pub trait Connectors: Send + Sync + 'static {
    /// The component of this digest, ready to be called. May take seconds; does not
    /// block the thread that asks.
    ///
    /// # Errors
    /// When it cannot be read, has another digest, or is no connector.
    fn load(&self, digest: Digest, wasm: Wasm) -> BoxFuture<'_, Result<Arc<dyn Connector>, Problem>>;
}

/// One connector, ready to be called.
pub trait Connector: Send + Sync + 'static {
    /// What it says of itself.
    ///
    /// # Errors
    /// Every problem of the manifest, and of the component beside it.
    fn describe(&self) -> BoxFuture<'_, Result<Manifest, Vec<Problem>>>;

    /// Makes one call. Every failure is in the report.
    fn call(&self, call: Call) -> BoxFuture<'_, Report>;
}

/// Where a component's bytes are.
#[derive(Debug, Clone)]
pub enum Wasm {
    /// In memory: it is being installed.
    Bytes(Arc<Vec<u8>>),
    /// In the data folder.
    File(PathBuf),
}

impl Connectors for Sandbox {
    fn load(&self, digest: Digest, wasm: Wasm) -> BoxFuture<'_, Result<Arc<dyn Connector>, Problem>> {
        let sandbox = self.clone();
        Box::pin(async move {
            let loading = tokio::task::spawn_blocking(move || {
                let plugin = sandbox.load_cached(&digest, || wasm.read())?;
                Ok(Arc::new(Sandboxed { sandbox, plugin }) as Arc<dyn Connector>)
            });
            loading.await.unwrap_or_else(|error| Err(Problem::new("plugin-not-loaded", error.to_string())))
        })
    }
}

impl Wasm {
    fn read(&self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::File(path) => std::fs::read(path),
        }
    }
}

struct Sandboxed {
    sandbox: Sandbox,
    plugin: Plugin,
}

impl Connector for Sandboxed {
    fn describe(&self) -> BoxFuture<'_, Result<Manifest, Vec<Problem>>> {
        Box::pin(self.sandbox.describe(&self.plugin))
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Report> {
        Box::pin(self.sandbox.call(&self.plugin, call))
    }
}
