//! `sluice`: the host and its command line, in one binary.
//!
//! Owns commands, configuration, wiring and signals. Every command that asks or
//! changes something goes through the same HTTP router: over the socket of a
//! running host, or in process when none runs.

mod approval;
mod backup;
mod cli;
mod client;
mod compile;
mod connection;
mod dead;
mod exit;
mod flow;
mod folder;
mod host;
mod input;
mod peer;
mod plugin;
mod policy;
mod run;
mod secret;
mod serve;
mod several;
mod show;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use model::Problem;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command, Global};
use crate::exit::{Exit, Outcome, Stop};
use crate::show::Paint;

/// Runs are many small values, and the system's allocator took a third of the workers' time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && wants_json() => return tell_stop(true, &misused(&error)).into(),
        Err(error) => error.exit(),
    };
    let exit = match command {
        Command::CompileComponent(limits) => compile::child(&limits),
        Command::Serve(serve) => match serve::serve(&global, &serve) {
            Ok(()) => Exit::Done,
            Err(stop) => tell_stop(global.json, &stop),
        },
        command => tell(&global, dispatch(&global, command)),
    };
    exit.into()
}

fn dispatch(global: &Global, command: Command) -> Outcome {
    client_runtime()?.block_on(async {
        match command {
            Command::Plugin(command) => plugin::run(global, command).await,
            Command::Connection(command) => connection::run(global, command).await,
            Command::Policy(command) => policy::run(global, command).await,
            Command::Flow(command) => flow::run(global, command).await,
            Command::Run(command) => run::run(global, command).await,
            Command::Dead(command) => dead::run(global, command).await,
            Command::Backup(command) => backup::backup(global, &command).await,
            Command::Restore(command) => backup::restore(global, &command),
            Command::Approval(command) => approval::run(global, command).await,
            Command::Serve(_) | Command::CompileComponent(_) => unreachable!("handled before"),
        }
    })
}

/// Whether programs read the answer; for command lines that cannot be parsed.
fn wants_json() -> bool {
    std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// What is wrong with a command line; the tips and the usage are the fix.
fn misused(error: &clap::Error) -> Stop {
    let text = error.render().to_string();
    let text = text.trim();
    let (what, rest) = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => ("a command or its arguments are missing", text),
        _ => text.split_once("\n\n").unwrap_or((text, "")),
    };
    let problem = Problem::new("wrong-usage", what.strip_prefix("error: ").unwrap_or(what));
    Stop::new(Exit::Usage, if rest.is_empty() { problem } else { problem.fix(rest.trim()) })
}

/// One thread for the command, one for what it calls in process.
fn client_runtime() -> Result<Runtime, Stop> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| anyhow::Error::new(error).context("no threads can be started").into())
}

fn tell(global: &Global, outcome: Outcome) -> Exit {
    match outcome {
        Ok(answer) if global.json => {
            print(&show::json(&answer.json));
            answer.exit
        }
        Ok(answer) => {
            print(answer.text.trim_end());
            answer.exit
        }
        Err(stop) => tell_stop(global.json, &stop),
    }
}

fn tell_stop(json: bool, stop: &Stop) -> Exit {
    if json {
        let mut told = serde_json::json!({ "problems": stop.problems });
        if let Some(done) = &stop.done {
            told[done.name] = done.values.clone().into();
        }
        print(&show::json(&told));
    } else {
        if let Some(done) = &stop.done {
            print(done.text.trim_end());
        }
        let paint = Paint::stderr();
        let problems: Vec<String> = stop.problems.iter().map(|problem| show::problem(problem, paint)).collect();
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{}", problems.join("\n"));
    }
    stop.exit
}

/// A reader that went away (`| head`) is no fault.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
