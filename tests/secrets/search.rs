//! Looking for every form of every secret in bytes, and for the marker beside them.

use std::ops::Range;

use aho_corasick::AhoCorasick;

use crate::canaries::Canary;
use crate::forms;

/// Goes where secrets go, and is none.
pub(crate) const MARKER: &str = "marker-0f6a1c-marker";
/// Hits of one place that are told.
const HITS_TOLD: usize = 5;

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
    /// As the automaton numbers them.
    needles: Vec<Needle>,
}

/// A form of a secret, or the marker.
struct Needle {
    /// The name of the secret; none: it is the marker.
    owner: Option<String>,
    bytes: Vec<u8>,
}

/// What is in a place.
pub(crate) struct Found {
    /// Which secrets, and with what around; the first few.
    pub(crate) hits: Vec<String>,
    /// Whether the marker is.
    pub(crate) marker: bool,
}

impl Search {
    pub(crate) fn for_all(canaries: &[Canary]) -> Self {
        let mut needles = vec![Needle { owner: None, bytes: MARKER.as_bytes().to_vec() }];
        for canary in canaries {
            for bytes in forms::needles(&canary.secret) {
                assert!(bytes.len() >= 8, "too short to look for: {bytes:?}");
                needles.push(Needle { owner: Some(canary.name.clone()), bytes });
            }
        }
        let automaton = AhoCorasick::new(needles.iter().map(|needle| &needle.bytes)).expect("needles");
        Self { automaton, needles }
    }

    /// How many forms are looked for.
    pub(crate) fn needles(&self) -> usize {
        self.needles.len()
    }

    /// That it finds nothing says something only of a search that finds each secret in
    /// every form in which a service hands it back.
    pub(crate) fn prove(&self, canaries: &[Canary]) {
        for canary in canaries {
            for line in forms::everything(&canary.secret) {
                let is_found =
                    self.matches(line.as_bytes()).any(|(needle, _)| needle.owner.as_deref() == Some(&*canary.name));
                assert!(is_found, "{} would not be found in {line:?}", canary.name);
            }
        }
        let marker = self.look(format!("<{MARKER}>").as_bytes());
        assert!(marker.marker && marker.hits.is_empty(), "the marker is a secret: {:?}", marker.hits);
        let nothing = self.look(b"nothing of all this");
        assert!(!nothing.marker && nothing.hits.is_empty(), "found in nothing: {:?}", nothing.hits);
    }

    pub(crate) fn look(&self, content: &[u8]) -> Found {
        let mut found = Found { hits: Vec::new(), marker: false };
        for (needle, place) in self.matches(content) {
            match &needle.owner {
                None => found.marker = true,
                Some(owner) if found.hits.len() < HITS_TOLD => found.hits.push(told(owner, needle, content, place)),
                Some(_) => {}
            }
        }
        found
    }

    /// Overlapping ones too: a match never hides another.
    fn matches<'s>(&'s self, content: &'s [u8]) -> impl Iterator<Item = (&'s Needle, Range<usize>)> {
        let matches = self.automaton.find_overlapping_iter(content);
        matches.map(move |found| (&self.needles[found.pattern().as_usize()], found.range()))
    }
}

fn told(owner: &str, needle: &Needle, content: &[u8], place: Range<usize>) -> String {
    let around = &content[place.start.saturating_sub(60)..content.len().min(place.end + 40)];
    let (form, around) = (String::from_utf8_lossy(&needle.bytes), String::from_utf8_lossy(around));
    format!("{owner} as {form:?} in {around:?}")
}
