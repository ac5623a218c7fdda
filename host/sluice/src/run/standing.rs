//! How a flow's runs are, in some lines of its page.

use engine::{Failed, FlowStanding, RunCount};

use super::page::{repeated, wait_lines};
use super::status;
use crate::show::{Paint, hang, time};

/// Counts, repetitions, the last failures, what is waited for, and who must act.
pub(crate) fn standing(standing: &FlowStanding, paint: Paint) -> Vec<String> {
    let FlowStanding { runs, duplicates, failed, waits } = standing;
    let mut lines = vec![format!("  runs       {}", counts(runs, paint))];
    lines.extend(
        duplicates.map(|duplicates| format!("  repeated   {}", repeated(&duplicates, "delivery", "deliveries"))),
    );
    lines.extend(wait_lines(waits, paint));
    lines.extend(failed.iter().flat_map(|failed| failure(failed, paint)));
    lines
}

fn counts(runs: &[RunCount], paint: Paint) -> String {
    let count = |run: &RunCount| {
        let more = if run.more { "+" } else { "" };
        format!("{}{more} {}", run.count, status(run.status, paint))
    };
    if runs.is_empty() { "none yet".to_owned() } else { runs.iter().map(count).collect::<Vec<_>>().join(", ") }
}

fn failure(failed: &Failed, paint: Paint) -> Vec<String> {
    let at = failed.step.as_ref().map(|step| format!(" at step {step}")).unwrap_or_default();
    let settled = if failed.settled { ", settled" } else { "" };
    let mut lines =
        vec![format!("  {}     {} run {}{at}{settled}", paint.bad("failed"), time(failed.at_ms), failed.run)];
    lines.extend(failed.problem.as_ref().map(|problem| format!("             {}", hang(&problem.what, 13))));
    if !failed.settled {
        lines.push(format!("  {}   an operator: sluice dead show {}", paint.warn("who acts"), failed.run));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flow_says_how_its_runs_are_and_who_must_act() {
        let found: FlowStanding = serde_json::from_value(json!({
            "runs": [{ "status": "needs-reauthorisation", "count": 2 }, { "status": "succeeded", "count": 1000, "more": true }],
            "duplicates": { "count": 3, "last_ms": 1_700_000_000_000u64 },
            "failed": [{ "run": "0".repeat(32), "at_ms": 1_700_000_000_000u64, "step": "post", "settled": false,
                         "problem": { "code": "remote", "what": "the remote answered 400: no" } }],
            "waits": [{ "what": "another credential of connection chat", "who": "an administrator",
                        "how": "sluice connection update chat --environment test --secret-file FILE" }],
        }))
        .expect("a standing");
        let text = standing(&found, Paint::plain()).join("\n");
        for wanted in [
            "runs       2 needs-reauthorisation, 1000+ succeeded",
            "3 deliveries as a duplicate, and refused; last 2023-11-14 22:13:20 UTC",
            "waits for another credential of connection chat",
            "who acts  an administrator: sluice connection update chat --environment test --secret-file FILE",
            "run 00000000000000000000000000000000 at step post",
            "the remote answered 400: no",
            "who acts   an operator: sluice dead show 00000000000000000000000000000000",
        ] {
            assert!(text.contains(wanted), "{wanted:?} is missing in\n{text}");
        }
    }
}
