//! The demo's stage: a folder, a receiver, a host, and everything set up in it by the
//! commands that a person would type.
//!
//! Owns the process of the host across kills. Invariant: one folder, one receiver
//! address and one host address from the first start to the end.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::api::Api;
use crate::github::Examples;
use crate::host::{Done, Host, Settings, Started};
use crate::npm;
use crate::receiver::Receiver;
use crate::remote;
use crate::workspace::{empty_folder, plugins, root, short, words};

/// Runs at the same time in the host: what a kill can interrupt.
pub const WORKERS: usize = 4;
/// Below `/hooks`: the flow under test.
pub const HOOK: &str = "/hooks/test/bug-to-slack";
/// Flows that one command applies.
const FLOWS_AT_ONCE: usize = 50;
/// The four connectors, in the order they are installed.
const CONNECTORS: [&str; 4] = ["github", "slack", "files", "http"];

/// Everything set up.
pub struct Stage {
    folder: PathBuf,
    receiver: Receiver,
    host: Option<Host>,
    /// How the host is started again, while it does not run.
    resting: Option<Settings>,
    examples: Examples,
    webhook_secret: String,
    slack_token: String,
    verbose: bool,
    /// Where a storm's deliveries go, in turns.
    paths: Vec<String>,
}

impl Stage {
    /// Sets everything up in an empty folder; `verbose` prints each command.
    ///
    /// # Errors
    /// A command fails: what it printed.
    pub fn set(folder: &Path, verbose: bool) -> Result<Self> {
        Self::set_with(folder, &folder.join("receiver.log"), verbose)
    }

    /// The same, with the receiver's record elsewhere: on a disk that stays.
    ///
    /// # Errors
    /// As `set`.
    pub fn set_with(folder: &Path, log: &Path, verbose: bool) -> Result<Self> {
        let examples = Examples::load(&npm::examples()?)?;
        for part in ["data", "files", "grants", "flows", "secrets"] {
            empty_folder(&folder.join(part))?;
        }
        let settings = Settings {
            ceiling: Some(folder.join("ceiling.toml")),
            options: vec!["--workers".to_owned(), WORKERS.to_string()],
            ..Settings::in_folder(folder)
        };
        for old in [log, &settings.log] {
            // Left by an earlier demo, or not there.
            let _ = fs::remove_file(old);
        }
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let receiver = Receiver::start(any, Some(log), remote::script()).context("the receiver cannot listen")?;
        let mut stage = Self {
            folder: folder.to_owned(),
            receiver,
            host: None,
            resting: None,
            examples,
            webhook_secret: secret("hook"),
            slack_token: secret("xoxb-demo"),
            verbose,
            paths: vec![HOOK.to_owned()],
        };
        stage.write_documents()?;
        stage.host = Some(Host::start(settings)?);
        stage.set_up()?;
        Ok(stage)
    }

    /// The demo's documents with this run's addresses filled in.
    fn write_documents(&self) -> Result<()> {
        let from = root().join("tests/demo");
        let facts = HashMap::from([
            ("@receiver@", self.receiver.address().to_string()),
            ("@folder@", self.folder.join("files").display().to_string()),
            // Soon enough for somebody who watches.
            ("@every@", "2s".to_owned()),
        ]);
        let mut files = vec![PathBuf::from("ceiling.toml")];
        for part in ["grants", "flows"] {
            for entry in fs::read_dir(from.join(part)).with_context(|| short(&from.join(part)))? {
                files.push(Path::new(part).join(entry?.file_name()));
            }
        }
        for file in files {
            let mut text = fs::read_to_string(from.join(&file)).with_context(|| short(&from.join(&file)))?;
            for (mark, value) in &facts {
                text = text.replace(mark, value);
            }
            fs::write(self.folder.join(&file), text).with_context(|| short(&self.folder.join(&file)))?;
        }
        for (name, secret) in [("github-webhook", &self.webhook_secret), ("slack-token", &self.slack_token)] {
            let file = self.folder.join("secrets").join(name);
            fs::write(&file, secret).with_context(|| short(&file))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).with_context(|| short(&file))?;
        }
        let file = self.folder.join("secrets").join("github-token");
        fs::write(&file, secret("ghp_demo")).with_context(|| short(&file))
    }

    /// Installs, approves, connects and applies, as a person would.
    fn set_up(&self) -> Result<()> {
        let path = |part: &str, name: &str| self.folder.join(part).join(name).display().to_string();
        let remote = |service: &str| format!("http://{}/{service}", self.receiver.address());
        for name in CONNECTORS {
            let wasm = plugins().join(format!("{name}.wasm")).display().to_string();
            self.must(&["plugin", "install", &wasm])?;
            self.must(&["plugin", "approve", name, "--grant", &path("grants", &format!("{name}.toml"))])?;
        }
        self.must(
            &[
                &["connection", "add", "github", "--id", "github", "--base-url", &remote("github"), "--auth", "bearer"]
                    [..],
                &["--secret-file", &path("secrets", "github-token"), "--scope", "issues:write"],
                &["--webhook-secret-file", &path("secrets", "github-webhook")],
            ]
            .concat(),
        )?;
        self.must(
            &[
                &[
                    "connection",
                    "add",
                    "slack",
                    "--id",
                    "slack",
                    "--base-url",
                    &remote("slack/api"),
                    "--auth",
                    "bearer",
                ][..],
                &["--secret-file", &path("secrets", "slack-token"), "--scope", "chat:write"],
            ]
            .concat(),
        )?;
        self.must(&["connection", "check", "slack"])?;
        self.must(&["flow", "apply", &self.flow("bug-to-slack"), &self.flow("status-to-issue")])?;
        Ok(())
    }

    /// Publishes so many copies of the flow under test; storms go to them in turns.
    ///
    /// # Errors
    /// A command fails: what it printed.
    pub fn copy_flow(&mut self, copies: usize) -> Result<()> {
        let folder = self.folder.join("flows");
        let document = fs::read_to_string(folder.join("bug-to-slack.yaml"))?;
        let mut files = Vec::new();
        for copy in 0..copies {
            let file = folder.join(format!("copy-{copy}.yaml"));
            fs::write(&file, document.replace("id: bug-to-slack", &format!("id: bug-to-slack-{copy}")))?;
            files.push(file.display().to_string());
        }
        for some in files.chunks(FLOWS_AT_ONCE) {
            let arguments: Vec<&str> = ["flow", "apply"].into_iter().chain(some.iter().map(String::as_str)).collect();
            self.must(&arguments)?;
        }
        self.paths = (0..copies).map(|copy| format!("{HOOK}-{copy}")).collect();
        Ok(())
    }

    /// Where a storm's deliveries go, in turns.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Runs a command of the host's that has to succeed.
    ///
    /// # Errors
    /// It does not; what it printed.
    pub fn must(&self, arguments: &[&str]) -> Result<Done> {
        let done = self.sluice(arguments)?;
        if done.code != 0 {
            let words = words(&self.settings()?.command(arguments));
            bail!("`{words}` ended with {}:\n{}", done.code, done.text().trim_end());
        }
        Ok(done)
    }

    /// Runs a command of the host's, whatever becomes of it.
    ///
    /// # Errors
    /// The binary cannot be started.
    pub fn sluice(&self, arguments: &[&str]) -> Result<Done> {
        let settings = self.settings()?;
        if self.verbose {
            println!("$ {}", words(&settings.command(arguments)));
        }
        let done = settings.run(arguments)?;
        if self.verbose {
            // Warnings tell what a grant leaves out; the demo's leave out a lot on purpose.
            let seen = if done.code == 0 { &done.stdout } else { &done.text() };
            for line in seen.lines() {
                println!("    {line}");
            }
        }
        Ok(done)
    }

    /// Kills the host the hard way and starts it again on the same folder and address.
    ///
    /// # Errors
    /// It was gone already, or does not come back.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        let host = self.host.take().context("the host is not running")?;
        self.host = Some(Host::start(host.kill()?)?);
        Ok(())
    }

    /// Ends the host as an operator would.
    ///
    /// # Errors
    /// It does not end, or not cleanly.
    pub fn stop(&mut self) -> Result<()> {
        self.resting = Some(self.host.take().context("the host is not running")?.stop()?);
        Ok(())
    }

    /// The same for a host that something may kill meanwhile; whether it ended cleanly.
    ///
    /// # Errors
    /// It does not end, or fails on its own.
    pub fn stop_or_die(&mut self) -> Result<bool> {
        let (cleanly, settings) = self.host.take().context("the host is not running")?.stop_or_die()?;
        self.resting = Some(settings);
        Ok(cleanly)
    }

    /// Kills the host, and leaves it so.
    ///
    /// # Errors
    /// It was gone already.
    pub fn kill(&mut self) -> Result<()> {
        self.resting = Some(self.host.take().context("the host is not running")?.kill()?);
        Ok(())
    }

    /// Starts the host again, by itself.
    ///
    /// # Errors
    /// It runs, or does not come back.
    pub fn start(&mut self) -> Result<()> {
        let settings = self.resting.take().context("the host is running")?;
        self.host = Some(Host::start(Settings { under: Vec::new(), ..settings })?);
        Ok(())
    }

    /// Starts the host again under a tracer; false when it has ended at once.
    ///
    /// # Errors
    /// It runs, or stays silent.
    pub fn start_under(&mut self, tracer: &[String]) -> Result<bool> {
        let settings = self.resting.take().context("the host is running")?;
        match Host::try_start(Settings { under: tracer.to_vec(), ..settings })? {
            Started::Answers(host) => self.host = Some(host),
            Started::Ended(_, settings) => self.resting = Some(settings),
        }
        Ok(self.host.is_some())
    }

    /// Lets the stopped host go on with another data folder.
    ///
    /// # Errors
    /// It runs.
    pub fn move_data(&mut self, data: &Path) -> Result<()> {
        self.resting.as_mut().context("the host is running")?.data = data.to_owned();
        Ok(())
    }

    /// Whether the host has ended without being asked to.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn has_ended(&mut self) -> Result<bool> {
        let Some(host) = &mut self.host else { return Ok(true) };
        if host.ended()?.is_none() {
            return Ok(false);
        }
        self.resting = self.host.take().map(|host| host.settings().clone());
        Ok(true)
    }

    /// Where deliveries are sent, whether the host runs or not.
    ///
    /// # Errors
    /// It never ran.
    pub fn hooks(&self) -> Result<SocketAddr> {
        let settings = self.host.as_ref().map(Host::settings).or(self.resting.as_ref());
        Ok(settings.context("the host never ran")?.hooks.parse()?)
    }

    /// Lets the host run on; the receiver ends with this value.
    pub fn leave_running(mut self) -> Option<Settings> {
        self.host.take().map(Host::leave_running)
    }

    /// The running host.
    ///
    /// # Errors
    /// It is not running.
    pub fn host(&self) -> Result<&Host> {
        self.host.as_ref().context("the host is not running")
    }

    /// Its settings.
    ///
    /// # Errors
    /// It is not running.
    pub fn settings(&self) -> Result<&Settings> {
        Ok(self.host()?.settings())
    }

    /// A client of its administration.
    ///
    /// # Errors
    /// It is not running.
    pub fn api(&self) -> Result<Api> {
        Api::of(self.host()?)
    }

    /// The stand-in for Slack and GitHub.
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// GitHub's published payloads.
    pub fn examples(&self) -> &Examples {
        &self.examples
    }

    /// What signs deliveries.
    pub fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    /// The token that only the receiver should ever see.
    pub fn slack_token(&self) -> &str {
        &self.slack_token
    }

    /// Where everything lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the flow has written down.
    pub fn notes(&self) -> String {
        self.written("bugs.jsonl")
    }

    /// What stands in a file that flows write to; nothing when there is none.
    pub fn written(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join("files").join(file)).unwrap_or_default()
    }

    /// One of the demo's flows, with this run's addresses filled in.
    pub fn flow(&self, name: &str) -> String {
        self.folder.join("flows").join(format!("{name}.yaml")).display().to_string()
    }
}

/// A secret of this run alone. It opens nothing but a stand-in.
fn secret(prefix: &str) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = || RandomState::new().hash_one(prefix);
    format!("{prefix}-{:016x}{:016x}", random(), random())
}
