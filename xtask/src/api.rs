//! The administration API over TCP, as far as the proofs ask it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::host::Host;
use crate::sender::Client;

/// More dead letters than any of our proofs leaves.
const PAGES_MAX: usize = 1_000;

/// A client with the administrator's token.
pub struct Api {
    client: Client,
    token: String,
}

impl Api {
    /// A client of this host.
    ///
    /// # Errors
    /// The token cannot be read.
    pub fn of(host: &Host) -> Result<Self> {
        let file = host.settings().data.join("admin.token");
        let token = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        Ok(Self { client: Client::new(host.admin()), token: format!("Bearer {}", token.trim()) })
    }

    /// A document below `/api/v1`.
    ///
    /// # Errors
    /// The host cannot be reached, or does not answer with 200.
    pub fn get(&mut self, path: &str) -> Result<Value> {
        let path = format!("/api/v1{path}");
        let answer = self.client.send("GET", &path, &[("authorization", &self.token)], b"");
        let answer = answer.with_context(|| format!("GET {path}"))?;
        ensure!(answer.status == 200, "GET {path}: {} {}", answer.status, answer.text());
        Ok(answer.json())
    }

    /// How many runs are not over.
    ///
    /// # Errors
    /// As `get`.
    pub fn open_runs(&mut self) -> Result<u64> {
        let health = self.get("/health")?;
        let figure =
            |name: &str| health[name].as_u64().with_context(|| format!("health has no figure {name}: {health}"));
        Ok(figure("running")? + figure("ready")? + figure("waiting")?)
    }

    /// Runs that gave up: those whose effect may have happened, and the others with
    /// what they say.
    ///
    /// # Errors
    /// As `get`.
    pub fn dead_letters(&mut self) -> Result<DeadLetters> {
        let mut letters = DeadLetters::default();
        let mut before = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.get(&format!("/dead-letters?limit=500{before}"))?;
            let list = page["dead_letters"].as_array().context("the answer lists no dead letters")?;
            for letter in list {
                let run = letter["run"].as_str().context("a dead letter names no run")?.to_owned();
                if letter["failure"]["kind"] == "may-have-happened" {
                    letters.uncertain.insert(run);
                } else {
                    letters.others.push(format!("{run}: {}", letter["problem"]["what"]));
                }
            }
            let Some(next) = page["next"].as_str() else { break };
            before = format!("&before={next}");
        }
        Ok(letters)
    }
}

/// Runs that gave up.
#[derive(Debug, Default)]
pub struct DeadLetters {
    /// An effect may have happened.
    pub uncertain: BTreeSet<String>,
    /// Anything else, in words.
    pub others: Vec<String>,
}
