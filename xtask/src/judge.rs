//! Judges what a killed host did, from outside: the sender's list of acknowledgements
//! beside the effects that the receiver and the disk saw.
//!
//! Pure. Invariant judged: every acknowledged delivery ends as exactly one effect of
//! each kind, or as a dead letter that says that it may have happened; nothing is
//! doubled, and a delivery that should do nothing does nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::receiver::Received;
use crate::sender::Accepted;

/// What was seen.
pub struct Evidence<'a> {
    /// The sender's own list.
    pub accepted: &'a [Accepted],
    /// The receiver's own record.
    pub received: &'a [Received],
    /// The file that the flow appends to.
    pub notes: &'a str,
    /// Runs whose dead letter says that an effect may have happened.
    pub uncertain: &'a BTreeSet<String>,
    /// How many of those the kills explain: one for each worker and kill.
    pub uncertain_max: usize,
}

/// What it means.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Deliveries with exactly one effect of each kind.
    pub done: usize,
    /// Deliveries that had to do nothing, and did nothing.
    pub silent: usize,
    /// Deliveries whose dead letter says that it may have happened.
    pub uncertain: usize,
    /// Everything that breaks the promise, in words.
    pub broken: Vec<String>,
}

impl Verdict {
    /// The figures, or what is broken.
    ///
    /// # Errors
    /// The promise was broken.
    pub fn outcome(&self) -> Result<String, String> {
        let figures = format!(
            "{} delivered once, {} rightly without effect, {} \"may have happened\", none lost, none doubled",
            self.done, self.silent, self.uncertain
        );
        if self.broken.is_empty() { Ok(figures) } else { Err(self.broken.join("; ")) }
    }
}

/// The deliveries that are not settled yet.
pub fn unsettled<'a>(evidence: &Evidence<'a>) -> Vec<&'a Accepted> {
    let (posts, notes) = (posts(evidence.received), notes(evidence.notes));
    let settled = |accepted: &Accepted| {
        let marker = accepted.delivery.marker.as_str();
        !accepted.delivery.bug
            || evidence.uncertain.contains(&accepted.run)
            || (posts.contains_key(marker) && notes.contains_key(marker))
    };
    evidence.accepted.iter().filter(|accepted| !settled(accepted)).collect()
}

/// Holds the evidence against the promise.
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let (mut posts, mut notes) = (posts(evidence.received), notes(evidence.notes));
    let mut verdict = Verdict::default();
    let mut runs = BTreeSet::new();
    for accepted in evidence.accepted {
        let marker = accepted.delivery.marker.as_str();
        let (posted, noted) = (posts.remove(marker).unwrap_or(0), notes.remove(marker).unwrap_or(0));
        let uncertain = evidence.uncertain.contains(&accepted.run);
        if !runs.insert(accepted.run.as_str()) {
            verdict.broken.push(format!("{marker}: its run {} belongs to another delivery too", accepted.run));
        }
        match (accepted.delivery.bug, posted, noted) {
            (true, 1, 1) => verdict.done += 1,
            (true, 0 | 1, 0 | 1) if uncertain => verdict.uncertain += 1,
            (true, 0 | 1, 0 | 1) => verdict.broken.push(format!("{marker} lost: {posted} posts, {noted} lines")),
            (true, _, _) => verdict.broken.push(format!("{marker} doubled: {posted} posts, {noted} lines")),
            (false, 0, 0) => verdict.silent += 1,
            (false, _, _) => verdict.broken.push(format!("{marker} is no bug, but: {posted} posts, {noted} lines")),
        }
    }
    for marker in posts.keys().chain(notes.keys()) {
        verdict.broken.push(format!("{marker} took effect, but was never acknowledged"));
    }
    if verdict.uncertain > evidence.uncertain_max {
        let (found, most) = (verdict.uncertain, evidence.uncertain_max);
        verdict.broken.push(format!("{found} \"may have happened\", but the kills explain {most} at most"));
    }
    verdict
}

/// How often each marker was posted.
fn posts(received: &[Received]) -> BTreeMap<&str, usize> {
    count(received.iter().filter(|request| request.path.ends_with("/chat.postMessage")).map(|post| post.body.as_str()))
}

/// How often each marker was written down. A kill can cut a line just before its end,
/// which the next line then begins with: an empty line is no effect.
fn notes(notes: &str) -> BTreeMap<&str, usize> {
    count(notes.lines().filter(|line| !line.is_empty()))
}

fn count<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(marker(text).unwrap_or(text)).or_default() += 1;
    }
    counts
}

/// What stands between the last `[` and the `]` after it.
fn marker(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once('[')?;
    rest.split_once(']').map(|(marker, _)| marker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::Delivery;

    fn accepted(marker: &str, bug: bool) -> Accepted {
        let delivery = Delivery {
            id: marker.to_owned(),
            marker: marker.to_owned(),
            bug,
            body: Vec::new(),
            signature: String::new(),
        };
        Accepted { delivery, run: format!("run-{marker}"), repeated: false }
    }

    fn post(marker: &str) -> Received {
        Received {
            at_ms: 0,
            method: "POST".to_owned(),
            path: "/api/chat.postMessage".to_owned(),
            headers: Vec::new(),
            body: format!(r#"{{"text":"Spelling [{marker}]"}}"#),
        }
    }

    /// Deliveries a and b are bugs, c is none.
    fn check(posts: &[&str], notes: &str, uncertain: &[&str], wanted: Result<(usize, usize, usize), &str>) {
        let accepted = [accepted("a", true), accepted("b", true), accepted("c", false)];
        let received: Vec<Received> = posts.iter().map(|marker| post(marker)).collect();
        let uncertain = uncertain.iter().map(|marker| format!("run-{marker}")).collect();
        let verdict = judge(&Evidence {
            accepted: &accepted,
            received: &received,
            notes,
            uncertain: &uncertain,
            uncertain_max: 1,
        });
        match wanted {
            Ok(figures) => {
                assert_eq!(verdict.broken, [""; 0], "{posts:?} {notes:?}");
                assert_eq!((verdict.done, verdict.silent, verdict.uncertain), figures);
            }
            Err(word) => {
                assert!(verdict.broken.iter().any(|broken| broken.contains(word)), "{word}: {:?}", verdict.broken);
            }
        }
    }

    #[test]
    fn every_way_to_break_the_promise_is_noticed() {
        let notes = "x [a]\ny [b]\n";
        check(&["a", "b"], notes, &[], Ok((2, 1, 0)));
        check(&["a"], "x [a]\n", &["b"], Ok((1, 1, 1)));
        check(&["a", "b"], "x [a]\n", &["b"], Ok((1, 1, 1)));
        check(&["a"], notes, &[], Err("b lost: 0 posts, 1 lines"));
        check(&["a", "b"], "x [a]\n", &[], Err("b lost: 1 posts, 0 lines"));
        check(&["a", "b", "b"], notes, &["b"], Err("b doubled"));
        check(&["a", "b"], "x [a]\ny [b]\ny [b]\n", &[], Err("b doubled"));
        check(&["a", "b", "c"], notes, &[], Err("c is no bug"));
        check(&["a", "b", "z"], notes, &[], Err("z took effect"));
        check(&[], "", &["a", "b"], Err("the kills explain 1 at most"));
    }
}
