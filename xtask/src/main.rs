//! `cargo xtask`: the command line of the project's own tool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use xtask::receiver::Receiver;
use xtask::report::Claims;
use xtask::suite::Suite;
use xtask::{bench, demo, kills, plugins, remote, torture, workspace};

/// Builds, demonstrates and tests the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows the project working, from nothing; the host runs on afterwards.
    Demo {
        /// Needs nobody: stops the host, fails unless every claim held.
        #[arg(long)]
        check: bool,
        /// Only ends what an earlier demo left running.
        #[arg(long, conflicts_with = "check")]
        stop: bool,
    },
    /// Runs every test and proof.
    Test,
    /// Checks format, lints and documentation.
    Lint,
    /// Runs what CI runs: format, clippy, documentation, then every test and proof.
    Ci,
    /// Measures the host against plain references, with the release profile.
    ///
    /// Prints a table and writes target/bench/PART.json. A target that is not met is
    /// said, not a failure: machines are shared and noisy.
    Bench {
        /// calls, outbound, load, decide, webhook, restart, start, hostile, background, scale;
        /// `sandbox` or `engine` for several; all but scale when none is named.
        parts: Vec<String>,
    },
    /// Builds the connectors and the test guests to components.
    Plugins,
    /// Kills a host under load, again and again, and judges what became of the load.
    Kills {
        /// How often.
        #[arg(long, default_value_t = 30)]
        count: usize,
    },
    /// Tortures a part of the host for as long as asked, and prints counts and seeds.
    ///
    /// engine: simulated worlds all the while; beside them kills under load, losses of
    /// power on a real file system, a kill at every sync, injected errors, full disks,
    /// damaged files. sandbox: hostile guests, generated and damaged connectors, and every
    /// other test over seeds, with as many seeds as time allows.
    Torture {
        /// `engine` or `sandbox`.
        part: Tortured,
        /// How long.
        #[arg(long, default_value_t = 20)]
        minutes: u64,
        /// engine: only lives through the simulated world of this seed, aloud.
        /// sandbox: the first seed; 1000 when it is not said.
        #[arg(long)]
        seed: Option<u64>,
        /// engine: only this part, in its short form: kills, power, counting, syscalls,
        /// errors, full, damage, retention. sandbox: only the tests with this in their names.
        #[arg(long)]
        only: Option<String>,
    },
    /// Answers as Slack and GitHub do; what `demo` leaves running.
    #[command(hide = true)]
    Receiver {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        log: PathBuf,
    },
}

/// Where tests over seeds begin under torture: beyond the seeds of the suite.
const FIRST_SEED: u64 = 1_000;

/// What can be tortured.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Tortured {
    /// The engine with its store.
    Engine,
    /// The sandbox, and whatever else is tested over seeds.
    Sandbox,
}

fn main() -> ExitCode {
    match perform(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Performs a task; whether everything it proves held.
fn perform(task: Task) -> Result<bool> {
    match task {
        Task::Demo { stop: true, .. } => demo::stop_left_running(&workspace::target().join("demo")).map(|()| true),
        Task::Demo { check, .. } => demo::demo(check),
        Task::Test => Ok(suite(Suite::test)),
        Task::Ci => Ok(suite(Suite::ci)),
        Task::Lint => Ok(suite(Suite::lint)),
        Task::Bench { parts } => bench::bench(&parts).map(|()| true),
        Task::Plugins => plugins::build().and_then(|()| plugins::build_guests()).map(|()| true),
        Task::Kills { count } => kill(count),
        Task::Torture { part: Tortured::Sandbox, minutes, seed, only } => {
            torture::sandbox(minutes, seed.unwrap_or(FIRST_SEED), only.as_deref())
        }
        Task::Torture { part: Tortured::Engine, seed: Some(_), only: Some(_), .. } => {
            bail!("--seed and --only do not go together for the engine")
        }
        Task::Torture { part: Tortured::Engine, seed: Some(seed), .. } => torture::replay(seed),
        Task::Torture { part: Tortured::Engine, only: Some(only), .. } => torture::only(&only),
        Task::Torture { part: Tortured::Engine, minutes, seed: None, only: None } => torture::engine(minutes),
        Task::Receiver { listen, log } => {
            Receiver::start(listen, Some(&log), remote::script()).context("the receiver cannot listen")?.wait();
            Ok(true)
        }
    }
}

fn suite(run: impl FnOnce(&mut Suite)) -> bool {
    let mut suite = Suite::default();
    run(&mut suite);
    suite.finish()
}

fn kill(count: usize) -> Result<bool> {
    demo::build()?;
    let mut claims = Claims::default();
    kills::kill_loop(count, None, &mut claims)?;
    println!("{}", claims.summary());
    Ok(claims.held())
}
