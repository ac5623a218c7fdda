//! What came of a siege, in figures.

use std::collections::BTreeMap;

use serde::Serialize;

/// Breaches told one by one; the others are counted.
const TOLD_MAX: usize = 40;

/// The sum of a siege.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// `namespace`, or `loopback` and why.
    pub place: String,
    /// Distinct targets.
    pub targets: u64,
    /// Targets by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Targets times ways, without the skipped ones.
    pub cases: u64,
    /// Those of targets by way.
    pub ways: BTreeMap<String, u64>,
    /// Cases in which nobody was reached, as it should be.
    pub refused: u64,
    /// Cases in which the right host was reached, as it should be.
    pub served: u64,
    /// Cases by the reason why they were not tried.
    pub skipped: BTreeMap<String, u64>,
    /// Connections that reached an address that nobody may reach.
    pub canary_connections: u64,
    /// Bytes that came by them.
    pub canary_bytes: u64,
    /// Requests that carried the credential to another origin than its own.
    pub stray_credentials: u64,
    /// Connections that the kernel was asked to make.
    pub kernel_opens: u64,
    /// Those that arrived where they may, and the siege's own.
    pub accounted_opens: u64,
    /// Questions that reached the name server.
    pub queries: u64,
    /// How many cases ended as they may not.
    pub breaches: u64,
    /// The first of them.
    pub told: Vec<String>,
}

impl Tally {
    /// Whether nothing got out that may not, and nothing was kept in that may go.
    pub fn held(&self) -> bool {
        let quiet = self.canary_connections + self.canary_bytes + self.stray_credentials == 0;
        quiet && self.breaches == 0 && self.kernel_opens == self.accounted_opens
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    pub(crate) fn skip(&mut self, why: impl Into<String>, count: u64) {
        *self.skipped.entry(why.into()).or_default() += count;
    }

    pub(crate) fn breach(&mut self, what: String) {
        self.breaches += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.refused += other.refused;
        self.served += other.served;
        other.skipped.into_iter().for_each(|(why, count)| self.skip(why, count));
        other.ways.into_iter().for_each(|(way, count)| *self.ways.entry(way).or_default() += count);
        let told = u64::try_from(other.told.len()).unwrap_or(u64::MAX);
        self.breaches += other.breaches - told;
        other.told.into_iter().for_each(|what| self.breach(what));
    }
}
