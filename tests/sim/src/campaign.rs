//! Many worlds, one after another, and the sum of them.

use std::collections::BTreeMap;
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mutant::Mutant;
use crate::template::Template;
use crate::world::{Lived, live};

/// Broken promises that are told in full; a real fault breaks hundreds of worlds.
const BROKEN_MAX: usize = 10;

/// A world takes a fraction of a second. One that takes this long goes round in circles
/// without ever giving way, and nothing in its thread could say so.
const WORLD_WITHIN: Duration = Duration::from_secs(180);

/// Which worlds.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// From one seed to the next: processes side by side take turns.
    pub stride: u64,
    /// Ends after so many runs,
    pub runs_max: u64,
    /// or after so long,
    pub within: Duration,
    /// or at the first broken promise, if told so.
    pub stops_at_first: bool,
    /// Who is tried.
    pub mutant: Option<Mutant>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Worlds lived through.
    pub worlds: u64,
    /// Runs that ended in them.
    pub runs: u64,
    /// The first seed.
    pub first_seed: u64,
    /// The last one.
    pub last_seed: u64,
    /// How often each fault and outcome came up.
    pub counts: BTreeMap<&'static str, u64>,
    /// Broken promises with their seeds.
    pub broken: Vec<(u64, String)>,
}

impl Campaign {
    /// Lives through the worlds.
    pub fn run(&self, template: &Template) -> Tally {
        let began = Instant::now();
        let mut tally = Tally { first_seed: self.from, last_seed: self.from, ..Tally::default() };
        let mut seed = self.from;
        let (beat, heard) = mpsc::channel();
        thread::spawn(move || watch(&heard));
        while tally.runs < self.runs_max && began.elapsed() < self.within {
            // Whoever watches has ended only with this process.
            let _ = beat.send(seed);
            tally.add(live(seed, template, self.mutant, false));
            if self.stops_at_first && !tally.broken.is_empty() {
                break;
            }
            seed += self.stride;
        }
        tally
    }
}

/// Ends the process with the seed of a world that does not end.
fn watch(seeds: &mpsc::Receiver<u64>) {
    let mut seed = None;
    loop {
        match seeds.recv_timeout(WORLD_WITHIN) {
            Ok(next) => seed = Some(next),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("the world of seed {seed:?} does not end: cargo xtask torture engine --seed SEED");
                process::exit(3);
            }
        }
    }
}

impl Tally {
    fn add(&mut self, lived: Lived) {
        self.worlds += 1;
        self.runs += lived.runs;
        self.last_seed = lived.seed;
        for (what, times) in lived.counts {
            *self.counts.entry(what).or_default() += times;
        }
        let room = BROKEN_MAX.saturating_sub(self.broken.len());
        self.broken.extend(lived.broken.into_iter().take(room).map(|what| (lived.seed, what)));
    }

    /// The same as a document, for whoever adds several up.
    pub fn to_json(&self) -> Value {
        json!({
            "worlds": self.worlds,
            "runs": self.runs,
            "first_seed": self.first_seed,
            "last_seed": self.last_seed,
            "counts": self.counts,
            "broken": self.broken,
        })
    }
}
