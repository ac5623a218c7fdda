//! What guests meet: one sandbox, one way out, a remote they may know, a canary they
//! may not, and a folder.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use egress::{Egress, EgressOptions, Resolve};
use model::{Manifest, Problem};
use sandbox::{LoadError, Options, Plugin, Sandbox};
use tempfile::TempDir;

use crate::act::{Act, NEIGHBOURS_CALLS};
use crate::component::component;
use crate::receiver::Receiver;

/// The credential of the connection: 8 bytes or more, as the vault demands.
pub const SECRET: &str = "sk-canary/7+f3 A=%\\Zq0";

/// Unused connections are gone soon, so that tests can wait until nothing is left.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Where guests act.
#[derive(Debug)]
pub struct Stage {
    /// The remote that grants name, unless a test says otherwise.
    pub receiver: Receiver,
    /// The remote that no grant names: nobody may ever connect to it.
    pub canary: Receiver,
    pub(crate) sandbox: Sandbox,
    pub(crate) egress: Arc<Egress>,
    folder: TempDir,
}

/// Every name leads to loopback, so that no test asks a real resolver.
#[derive(Debug)]
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

impl Stage {
    /// A stage of its own for each test.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With other options of the sandbox.
    pub async fn open_with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::fs::create_dir(folder.path().join("inbox")).expect("the granted folder");
        let mut options = Options { calls_max: 16, ..Options::new(folder.path().join("code"), [7; 32]) };
        change(&mut options);
        let resolver = Arc::new(Loopback);
        let egress = EgressOptions { resolver, keep_alive: KEEP_ALIVE, ..EgressOptions::default() };
        let egress = Egress::new(egress).expect("the way out");
        Self {
            receiver: Receiver::start().await,
            canary: Receiver::start().await,
            sandbox: Sandbox::open(options).expect("a sandbox"),
            egress: Arc::new(egress),
            folder,
        }
    }

    /// A call of this guest, to be described further.
    pub fn act(&self, guest: &'static str) -> Act<'_> {
        Act::new(self, guest)
    }

    /// What the host makes of the guest's manifest, while the neighbour works.
    ///
    /// # Errors
    /// The host's problems with it.
    ///
    /// # Panics
    /// When the host breaks, or the neighbour's answers are wrong.
    pub async fn describe(&self, guest: &str) -> Result<Manifest, Vec<Problem>> {
        let (sandbox, plugin) = (self.sandbox.clone(), self.load(guest));
        let hostile = tokio::spawn(async move { sandbox.describe(&plugin).await });
        self.act("echo").work(NEIGHBOURS_CALLS, None).await;
        hostile.await.expect("the host must not panic, whatever a guest says of itself")
    }

    /// The guest, loaded.
    ///
    /// # Panics
    /// When it is not built, or is no connector.
    pub fn load(&self, guest: &str) -> Plugin {
        self.sandbox.load(&component(guest)).expect("every guest is a connector by its form")
    }

    /// The neighbour's calls, all of which must succeed.
    ///
    /// # Panics
    /// When one of its answers is wrong.
    pub async fn neighbour(&self) {
        self.act("echo").work(NEIGHBOURS_CALLS, None).await;
    }

    /// Why the guest cannot be loaded, while the neighbour works.
    ///
    /// # Panics
    /// When it is loaded, the host breaks, or the neighbour's answers are wrong.
    pub async fn refusal(&self, wasm: Vec<u8>) -> LoadError {
        let sandbox = self.sandbox.clone();
        let hostile = tokio::task::spawn_blocking(move || sandbox.load(&wasm).map(|plugin| plugin.digest()));
        self.act("echo").work(NEIGHBOURS_CALLS, None).await;
        let loaded = hostile.await.expect("the host must not panic, whatever it is to load");
        loaded.expect_err("the guest must be refused")
    }

    /// Calls that could begin now.
    pub fn free_room(&self) -> usize {
        self.sandbox.free_room()
    }

    /// Calls that may run at the same time.
    pub fn room_max(&self) -> usize {
        self.sandbox.calls_max() as usize
    }

    /// The folder that grants open as `inbox`.
    pub fn inbox(&self) -> PathBuf {
        self.folder.path().join("inbox")
    }

    /// Beside `inbox`: no grant opens it.
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }
}
