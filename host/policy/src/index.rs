//! Rules by host, so that a decision looks at the few that could mean it.
//!
//! Invariant: `find` gives a rule exactly when a search through all rules would;
//! the most specific host comes first, then the order of the document.

use std::collections::HashMap;

use model::{Host, HostPattern};

/// Rules by the host they name.
#[derive(Debug, Clone)]
pub(crate) struct Index<R> {
    rules: Vec<R>,
    exact: HashMap<Host, Vec<usize>>,
    below: HashMap<String, Vec<usize>>,
    /// Ranges and "every host": few, looked at always.
    wide: Vec<usize>,
}

impl<R> Default for Index<R> {
    fn default() -> Self {
        Self { rules: Vec::new(), exact: HashMap::new(), below: HashMap::new(), wide: Vec::new() }
    }
}

impl<R> Index<R> {
    pub(crate) fn new<'p>(rules: impl Iterator<Item = (&'p HostPattern, R)>) -> Self {
        let mut index = Self::default();
        for (pattern, rule) in rules {
            let at = index.rules.len();
            index.rules.push(rule);
            match pattern {
                HostPattern::Exact(host) => index.exact.entry(host.clone()).or_default().push(at),
                HostPattern::Below(apex) => index.below.entry(apex.clone()).or_default().push(at),
                HostPattern::Range(_) | HostPattern::Any => index.wide.push(at),
            }
        }
        index
    }

    /// The first rule that could mean this host and does match.
    pub(crate) fn find(&self, host: &Host, matches: impl Fn(&R) -> bool) -> Option<&R> {
        let at = self.candidates(host).find(|at| matches(&self.rules[*at]))?;
        Some(&self.rules[at])
    }

    fn candidates<'i, 'h: 'i>(&'i self, host: &'h Host) -> impl Iterator<Item = usize> + use<'i, 'h, R> {
        let exact = self.exact.get(host).into_iter().flatten();
        let below = parents(host).filter_map(|apex| self.below.get(apex)).flatten();
        exact.chain(below).chain(&self.wide).copied()
    }
}

/// `b.example.com`, `example.com`, `com` for `a.b.example.com`.
fn parents(host: &Host) -> impl Iterator<Item = &str> {
    let name = match host {
        Host::Name(name) => Some(name.as_str()),
        Host::Address(_) => None,
    };
    std::iter::successors(name, |name| name.split_once('.').map(|(_, rest)| rest)).skip(1)
}
