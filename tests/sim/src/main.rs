//! `sim`: lives through worlds, and tells what came of them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sim::{Campaign, Mutant, Template, live, live_load};

/// A whole host under simulated time, disk, network and people.
#[derive(Parser)]
#[command(name = "sim")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Lives through many worlds; prints their sum as JSON.
    Run {
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// From one seed to the next.
        #[arg(long, default_value_t = 1)]
        stride: u64,
        /// Ends after so many runs.
        #[arg(long, default_value_t = u64::MAX)]
        runs: u64,
        /// Ends after so many seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Tries a host that breaks a promise.
        #[arg(long)]
        mutant: Option<Mutant>,
    },
    /// Lives through one world, aloud.
    Replay {
        /// Its seed.
        seed: u64,
        /// Who is tried.
        #[arg(long)]
        mutant: Option<Mutant>,
    },
    /// Lives through load in a real folder, and prints what it leaves as JSON.
    Load {
        /// An empty folder.
        #[arg(long)]
        folder: PathBuf,
        /// How long, in simulated minutes.
        #[arg(long, default_value_t = 15)]
        minutes: u64,
        /// Runs begun each second.
        #[arg(long)]
        rate: u64,
    },
}

fn main() -> ExitCode {
    if cfg!(not(feature = "paused")) {
        eprintln!("error: time would pass: build with `cargo build --workspace --features sim/paused --bin sim`");
        return ExitCode::FAILURE;
    }
    let template = match Template::new() {
        Ok(template) => template,
        Err(error) => {
            eprintln!("error: the worlds cannot be set up: {error}");
            return ExitCode::FAILURE;
        }
    };
    let broken = match Cli::parse().task {
        Task::Run { from, stride, runs, seconds, mutant } => {
            let within = Duration::from_secs(seconds);
            let campaign = Campaign { from, stride, runs_max: runs, within, stops_at_first: false, mutant };
            let tally = campaign.run(&template);
            println!("{}", tally.to_json());
            !tally.broken.is_empty()
        }
        Task::Replay { seed, mutant } => {
            let lived = live(seed, &template, mutant, true);
            println!("\nseed {seed}, hash {:016x}, {} runs ended", lived.hash, lived.runs);
            lived.broken.iter().for_each(|what| println!("BROKEN {what}"));
            !lived.broken.is_empty()
        }
        Task::Load { folder, minutes, rate } => match live_load(&folder, minutes, rate) {
            Ok(load) => {
                println!("{}", serde_json::json!(load));
                false
            }
            Err(error) => {
                eprintln!("error: {error}");
                true
            }
        },
    };
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
