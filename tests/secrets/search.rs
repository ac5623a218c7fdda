//! Looking for every form of every secret in bytes.

use aho_corasick::AhoCorasick;

use crate::canaries::Canary;
use crate::forms;

/// Goes where secrets go, and is none.
pub(crate) const MARKER: &str = "marker-0f6a1c-marker";

/// Somewhere to look.
pub(crate) struct Place {
    /// What kind of place: `guest memory`, `journal`, ...
    pub(crate) kind: &'static str,
    /// Which one.
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

pub(crate) struct Search {
    automaton: AhoCorasick,
    /// Of each needle.
    canaries: Vec<(String, String)>,
    marker: AhoCorasick,
}

impl Search {
    pub(crate) fn for_all(canaries: &[Canary]) -> Self {
        let mut needles = Vec::new();
        let mut owners = Vec::new();
        for canary in canaries {
            for needle in forms::needles(&canary.secret) {
                assert!(needle.len() >= 8, "too short to look for: {needle:?}");
                owners.push((canary.name.clone(), String::from_utf8_lossy(&needle).into_owned()));
                needles.push(needle);
            }
        }
        let automaton = AhoCorasick::new(&needles).expect("needles");
        Self { automaton, canaries: owners, marker: AhoCorasick::new([MARKER]).expect("a needle") }
    }

    pub(crate) fn needles(&self) -> usize {
        self.canaries.len()
    }

    /// Which secrets are there, and with what around.
    pub(crate) fn hits(&self, content: &[u8]) -> Vec<String> {
        let hits = self.automaton.find_iter(content).map(|found| {
            let (name, needle) = &self.canaries[found.pattern().as_usize()];
            let around = &content[found.start().saturating_sub(60)..content.len().min(found.end() + 40)];
            format!("{name} as {needle:?} in {:?}", String::from_utf8_lossy(around))
        });
        hits.take(5).collect()
    }

    pub(crate) fn meets_marker(&self, content: &[u8]) -> bool {
        self.marker.is_match(content)
    }
}
