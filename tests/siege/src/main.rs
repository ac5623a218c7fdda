//! `siege`: attacks the way out of the host, and prints what came of it as JSON.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use siege::Place;

/// The way out of the host under attack.
#[derive(Parser)]
#[command(name = "siege")]
struct Cli {
    /// Where it happens; by default a namespace is made where that is possible.
    #[arg(long, global = true)]
    place: Option<Place>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Every target of the corpus, by every way.
    Corpus,
    /// A name server that lies, over the system's resolver.
    Names,
    /// Targets that a seed draws.
    Random {
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many targets.
        #[arg(long, default_value_t = 1_000)]
        count: usize,
    },
    /// Touches a canary, to see that it is heard.
    Sing,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let place = match cli.place {
        Some(place) => place,
        None => match siege::enter() {
            Ok(code) => return code,
            Err(why) => Place::Loopback { why },
        },
    };
    let tally = match cli.task {
        Task::Corpus => siege::corpus(&place),
        Task::Names => siege::names(&place),
        Task::Random { seed, count } => siege::random(&place, seed, count),
        Task::Sing => siege::sing(&place),
    };
    match tally {
        Ok(tally) => {
            println!("{}", tally.to_json());
            if tally.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
