//! The command line's grammar: nouns, and what holds for all of them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use model::Environment;

use crate::{approval, backup, compile, connection, dead, flow, plugin, policy, run, serve};

/// Connectors you can approve, flows you can trust.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, about, max_term_width = 100, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sluice serve                                           start the host
  sluice plugin install slack.wasm                       keep a connector; it may do nothing yet
  sluice plugin show slack                               read what it asks for
  sluice plugin approve slack --grant slack.toml         give it exactly that
  sluice connection add slack --id team-slack --auth bearer --secret-file token.txt
  sluice flow apply alert.yaml                           publish a flow
  sluice run list                                        what happened
  sluice run show RUN                                    why it happened
  sluice dead list                                       what gave up, and what to do about it

Exit codes:
  0 done   1 failed, with a problem printed   2 wrong usage
  3 denied by policy   4 no host can be reached, or its folder is in use";

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The data folder [default: $XDG_DATA_HOME/sluice or ~/.local/share/sluice]
    #[arg(long, global = true, env = "SLUICE_DATA", value_name = "DIR", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
    /// The environment that is meant
    #[arg(
        long,
        global = true,
        env = "SLUICE_ENVIRONMENT",
        value_name = "E",
        default_value = "production",
        hide_env_values = true
    )]
    pub(crate) environment: Environment,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) compile: compile::CompileLimits,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the host
    Serve(serve::Serve),
    /// Connectors: install, approve, try, write
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Accounts of connectors
    #[command(subcommand)]
    Connection(connection::Connection),
    /// Ceilings and grants: check, explain
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Flows: check, apply, start
    #[command(subcommand)]
    Flow(flow::Flow),
    /// Runs: list, look at, replay
    #[command(subcommand)]
    Run(run::Run),
    /// Dead letters: list, show, edit, replay, discard
    #[command(subcommand)]
    Dead(dead::Dead),
    /// Copy everything that is kept to a folder, while the host runs
    Backup(backup::Backup),
    /// Fill an empty data folder from a backup
    Restore(backup::Restore),
    /// Approvals: list, look at, decide
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Compiles the component on standard input; the host calls this
    #[command(hide = true)]
    CompileComponent(compile::ChildLimits),
}

impl Global {
    /// The data folder.
    pub(crate) fn folder(&self) -> PathBuf {
        let xdg = || Some(PathBuf::from(std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty())?));
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share"));
        let given = self.data.clone().or_else(|| Some(xdg().or_else(home)?.join("sluice")));
        given.unwrap_or_else(|| PathBuf::from("sluice-data"))
    }
}
