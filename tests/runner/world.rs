//! The world of one case: its folder, its receiver, its host.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::host::{Done, Host, Settings};
use xtask::receiver::{Receiver, Reply};
use xtask::workspace::{empty_folder, plugins, sluice, target};

use crate::case::{Answer, Case};

/// Signs deliveries; opens nothing.
pub(crate) const HOOK_SECRET: &str = "a secret of the tests alone";
/// Any loopback port.
const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Everything that a case's steps act on.
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    pub(crate) receiver: Receiver,
    /// None only while it is being started again.
    pub(crate) host: Option<Host>,
    /// The run that was accepted last.
    pub(crate) run: String,
    /// How many deliveries were answered 202.
    pub(crate) accepted: usize,
    /// The number of the try.
    pub(crate) attempt: usize,
    nowhere: SocketAddr,
}

impl World {
    /// Sets up a fresh world for a case.
    pub(crate) fn set(name: &str, from: &Path, case: &Case) -> Result<Self> {
        ensure!(sluice().is_file(), "target/debug/sluice is not built: run `cargo xtask test`, which builds it");
        let folder = target().join("cases").join(name);
        empty_folder(&folder)?;
        let receiver = Receiver::start(SocketAddr::from(ANY), None, script(case.answers.clone()))?;
        // Bound and let go again: nobody listens there.
        let nowhere = TcpListener::bind(SocketAddr::from(ANY))?.local_addr()?;
        let mut world = Self { folder, receiver, host: None, run: String::new(), accepted: 0, attempt: 1, nowhere };
        world.copy_files(&from.join("../.."))?;
        world.copy_files(&from.join("../../grants"))?;
        world.copy_files(from)?;
        fs::create_dir_all(world.folder.join("files"))?;
        fs::write(world.folder.join("hook-secret"), HOOK_SECRET)?;
        fs::write(world.folder.join("token"), "xoxb-0000-a-token-of-the-tests")?;
        let settings = Settings {
            ceiling: Some(world.folder.join("ceiling.toml")),
            options: case.options.clone(),
            ..Settings::in_folder(&world.folder)
        };
        world.host = Some(Host::start(settings)?);
        world.set_up(&case.connectors)?;
        Ok(world)
    }

    /// Copies the files of a folder, marks filled in; `x.wat` becomes `x.wasm`.
    fn copy_files(&self, from: &Path) -> Result<()> {
        for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
            let path = entry?.path();
            let name = Path::new(path.file_name().unwrap_or_default());
            if !path.is_file() || name == Path::new("case.toml") {
                continue;
            }
            let content = fs::read(&path).with_context(|| path.display().to_string())?;
            if name.extension().is_some_and(|extension| extension == "wat") {
                fs::write(self.folder.join(name.with_extension("wasm")), wat::parse_bytes(&content)?)?;
                continue;
            }
            let filled = String::from_utf8(content).map(|text| self.fill(&text).into_bytes());
            fs::write(self.folder.join(name), filled.unwrap_or_else(|bytes| bytes.into_bytes()))?;
        }
        Ok(())
    }

    /// Installs, approves, and connects: `hook` verifies deliveries, `slack` posts.
    fn set_up(&self, connectors: &[String]) -> Result<()> {
        for name in connectors {
            self.must(&["plugin", "install", &plugins().join(format!("{name}.wasm")).display().to_string()])?;
            self.must(&["plugin", "approve", name, "--grant", &format!("{name}.toml")])?;
        }
        self.must(&["connection", "add", "webhook", "--id", "hook", "--webhook-secret-file", "hook-secret"])?;
        if connectors.iter().any(|name| name == "slack") {
            let base_url = format!("http://{}/slack/api", self.receiver.address());
            let add = ["connection", "add", "slack", "--id", "slack", "--base-url", &base_url, "--auth", "bearer"];
            self.must(&[&add[..], &["--secret-file", "token", "--scope", "chat:write"]].concat())?;
        }
        Ok(())
    }

    fn must(&self, arguments: &[&str]) -> Result<()> {
        let done = self.sluice(arguments)?;
        ensure!(done.code == 0, "`sluice {}` ended with {}:\n{}", arguments.join(" "), done.code, done.text());
        Ok(())
    }

    /// A command of the host's, in the case's folder.
    pub(crate) fn sluice(&self, arguments: &[&str]) -> Result<Done> {
        let mut command = self.host()?.settings().command(arguments);
        let output = command.current_dir(&self.folder).output().context("sluice cannot be started")?;
        Ok(Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    pub(crate) fn host(&self) -> Result<&Host> {
        self.host.as_ref().context("the host is not running")
    }

    /// Replaces the marks.
    pub(crate) fn fill(&self, text: &str) -> String {
        let guests = target().join("guests");
        let marks = [
            ("@receiver@", self.receiver.address().to_string()),
            ("@nowhere@", self.nowhere.to_string()),
            ("@folder@", self.folder.display().to_string()),
            ("@plugins@", plugins().display().to_string()),
            ("@guests@", guests.display().to_string()),
            ("@run@", self.run.clone()),
            ("@try@", self.attempt.to_string()),
        ];
        marks.iter().fold(text.to_owned(), |text, (mark, value)| text.replace(mark, value))
    }
}

/// Gives each answer as often as the case says, then the next that fits.
fn script(answers: Vec<Answer>) -> impl Fn(&xtask::receiver::Received, usize) -> Reply + Send + Sync + 'static {
    let given: Vec<_> = answers.iter().map(|_| std::sync::atomic::AtomicUsize::new(0)).collect();
    move |request, _| {
        let path = request.path.split('?').next().unwrap_or_default();
        for (answer, given) in answers.iter().zip(&given).filter(|(answer, _)| answer.path == path) {
            let before = given.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if answer.times.is_none_or(|times| before < times) {
                let headers = answer.headers.clone().into_iter().collect();
                let delay = Duration::from_millis(answer.delay_ms);
                return Reply { status: answer.status, headers, body: answer.body.clone(), delay };
            }
        }
        Reply::json(404, &Value::Null)
    }
}
