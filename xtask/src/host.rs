//! A real host in a process of its own: started, killed, started again, stopped.
//!
//! Owns the child process and the addresses it chose. A host counts as started when
//! its `listen.json` names the child and `/healthz` answers.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::sender::Client;
use crate::workspace::{short, sluice};

/// The first start compiles and proves a lot; a later one takes a fraction.
const START_WITHIN: Duration = Duration::from_secs(60);
/// The host drains for 20 s at most.
const STOP_WITHIN: Duration = Duration::from_secs(40);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// How a host is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its data folder.
    pub data: PathBuf,
    /// The environment of its commands.
    pub environment: String,
    /// Instead of the data folder's own ceiling.
    pub ceiling: Option<PathBuf>,
    /// Where webhooks arrive; after the first start, the address it chose.
    pub hooks: String,
    /// Where it is administered; after the first start, the address it chose.
    pub admin: String,
    /// Further options of `serve`.
    pub options: Vec<String>,
    /// Where its log goes, to the end of what is there.
    pub log: PathBuf,
    /// The program that starts it, with its arguments, such as a tracer that makes
    /// itself a grandchild; empty: the host is started by itself.
    pub under: Vec<String>,
}

/// A running host.
pub struct Host {
    settings: Settings,
    child: Child,
    hooks: SocketAddr,
    admin: SocketAddr,
}

#[derive(Deserialize)]
struct Listening {
    hooks: SocketAddr,
    admin: SocketAddr,
    pid: u32,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its output.
    pub stdout: String,
    /// Its errors.
    pub stderr: String,
}

impl Done {
    /// Everything it printed.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Settings {
    /// Any free port, everything in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            data: folder.join("data"),
            environment: "test".to_owned(),
            ceiling: None,
            hooks: "127.0.0.1:0".to_owned(),
            admin: "127.0.0.1:0".to_owned(),
            options: Vec::new(),
            log: folder.join("host.log"),
            under: Vec::new(),
        }
    }

    /// The host's own command line, on its data folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(sluice());
        command.arg("--data").arg(&self.data).arg("--environment").arg(&self.environment).args(arguments);
        command.env_remove("SLUICE_DATA").env_remove("SLUICE_ENVIRONMENT");
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// The binary cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Result<Done> {
        let output = self.command(arguments).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("{} cannot be started", short(&sluice())))?;
        Ok(Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// `sluice serve` with these settings.
    pub fn serve(&self) -> Command {
        let mut command = self.command(&["serve", "--listen", &self.hooks, "--admin", &self.admin]);
        if let Some(ceiling) = &self.ceiling {
            command.arg("--ceiling").arg(ceiling);
        }
        command.args(&self.options);
        let Some((tracer, arguments)) = self.under.split_first() else { return command };
        let mut outer = Command::new(tracer);
        outer.args(arguments).arg(command.get_program()).args(command.get_args());
        outer.env_remove("SLUICE_DATA").env_remove("SLUICE_ENVIRONMENT");
        outer
    }
}

/// How a start went.
pub enum Started {
    /// The host answers.
    Answers(Host),
    /// It ended before it did.
    Ended(ExitStatus, Settings),
}

impl Host {
    /// Starts a host and waits until it answers.
    ///
    /// # Errors
    /// It ends or stays silent; the end of its log says why.
    pub fn start(settings: Settings) -> Result<Self> {
        match Self::try_start(settings)? {
            Started::Answers(host) => Ok(host),
            Started::Ended(status, settings) => {
                bail!("the host ended at once ({status}); its log says:\n{}", log_tail(&settings))
            }
        }
    }

    /// Starts a host that may end at once.
    ///
    /// # Errors
    /// It cannot be started, or stays silent.
    pub fn try_start(settings: Settings) -> Result<Started> {
        if let Some(folder) = settings.log.parent() {
            fs::create_dir_all(folder).with_context(|| short(folder))?;
        }
        let log =
            File::options().create(true).append(true).open(&settings.log).with_context(|| short(&settings.log))?;
        let child = settings.serve().stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.with_context(|| {
            format!("{} cannot be started: build it with `cargo build --bin sluice`", short(&sluice()))
        })?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut host = Self { settings, child, hooks: nowhere, admin: nowhere };
        if let Some(status) = host.wait_until_it_answers()? {
            return Ok(Started::Ended(status, host.settings.clone()));
        }
        // A sender knows one address: the same one after a restart.
        host.settings.hooks = host.hooks.to_string();
        host.settings.admin = host.admin.to_string();
        Ok(Started::Answers(host))
    }

    /// Its exit status, if it ends instead.
    fn wait_until_it_answers(&mut self) -> Result<Option<ExitStatus>> {
        let started = Instant::now();
        while started.elapsed() < START_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if let Some(listening) = self.listening() {
                (self.hooks, self.admin) = (listening.hooks, listening.admin);
                let answer = Client::new(self.hooks).send("GET", "/healthz", &[], b"");
                if answer.is_ok_and(|answer| answer.status == 200) {
                    return Ok(None);
                }
            }
            thread::sleep(LOOK_AGAIN_AFTER);
        }
        Err(anyhow!("the host does not answer after {} s; its log says:\n{}", START_WITHIN.as_secs(), self.log_tail()))
    }

    /// What this very process has published, not one before it.
    fn listening(&self) -> Option<Listening> {
        let text = fs::read(self.settings.data.join("listen.json")).ok()?;
        serde_json::from_slice(&text).ok().filter(|listening: &Listening| listening.pid == self.child.id())
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        log_tail(&self.settings)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Stops it where it is: when this returns, no system call of it is under way.
    ///
    /// # Errors
    /// It is gone, or does not stop.
    pub fn freeze(&self) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no process has this number")?;
        kill_process(pid, Signal::STOP).context("the signal cannot be sent")?;
        let started = Instant::now();
        while !self.is_frozen()? {
            ensure!(started.elapsed() < START_WITHIN, "the host does not stop");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Whether each of its threads is stopped.
    fn is_frozen(&self) -> Result<bool> {
        for task in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            let (_, after_name) = stat.rsplit_once(')').context("a thread's stat has its name")?;
            if !after_name.trim_start().starts_with('T') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How it was started, with the addresses it chose.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where webhooks arrive.
    pub fn hooks(&self) -> SocketAddr {
        self.hooks
    }

    /// Where it is administered.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, then nothing is left of it but its folder.
    ///
    /// # Errors
    /// It has ended before.
    pub fn kill(mut self) -> Result<Settings> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the host had ended before it was killed ({status}); its log says:\n{}", self.log_tail());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.settings.clone())
    }

    /// SIGTERM, then waits for its end.
    ///
    /// # Errors
    /// It does not end, or not cleanly.
    pub fn stop(mut self) -> Result<Settings> {
        terminate(self.child.id())?;
        let started = Instant::now();
        while started.elapsed() < STOP_WITHIN {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(self.settings.clone()),
                Some(status) => bail!("the host did not end cleanly ({status}); its log says:\n{}", self.log_tail()),
                None => thread::sleep(LOOK_AGAIN_AFTER),
            }
        }
        bail!("the host does not end after {} s; its log says:\n{}", STOP_WITHIN.as_secs(), self.log_tail())
    }

    /// SIGTERM to a host that something may kill meanwhile; whether it ended cleanly.
    ///
    /// # Errors
    /// It does not end, or fails on its own.
    pub fn stop_or_die(mut self) -> Result<(bool, Settings)> {
        // It may be gone already.
        let _ = terminate(self.child.id());
        let started = Instant::now();
        while started.elapsed() < STOP_WITHIN {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok((true, self.settings.clone())),
                Some(status) if status.signal().is_some() => return Ok((false, self.settings.clone())),
                Some(status) => bail!("the host failed ({status}); its log says:\n{}", self.log_tail()),
                None => thread::sleep(LOOK_AGAIN_AFTER),
            }
        }
        bail!("the host does not end after {} s; its log says:\n{}", STOP_WITHIN.as_secs(), self.log_tail())
    }

    /// Lets it run on after this process has ended.
    pub fn leave_running(self) -> Settings {
        let settings = self.settings.clone();
        // Dropping would kill it.
        std::mem::forget(self);
        settings
    }
}

impl Drop for Host {
    /// A host never outlives what started it by accident.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end on its own meanwhile.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn log_tail(settings: &Settings) -> String {
    let text = fs::read_to_string(&settings.log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// SIGTERM to a process.
///
/// # Errors
/// There is no such process, or it belongs to someone else.
pub fn terminate(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process has this number")?;
    kill_process(pid, Signal::TERM).context("the signal cannot be sent")
}
