//! How many of a flow's runs go on at once, and how long ended ones are kept.

use model::Problem;

use super::read::Fields;
use super::report::{Report, wrong};
use crate::plan::Concurrency;

/// More runs at once than the host has workers limit nothing.
const MOST_MAX: u32 = 1_000;
/// Ten years: longer is an archive's matter.
const KEEP_MS_MAX: u64 = 3_650 * 86_400_000;
/// The host looks for old runs once a minute.
const KEEP_MS_MIN: u64 = 60_000;

/// `concurrency: { mode: limited, most: 5 }`
pub(super) fn concurrency(fields: &Fields<'_>, report: &mut Report<'_>) -> Concurrency {
    let node = fields.get("concurrency");
    let Some(fields) = node.and_then(|node| Fields::of(node, "concurrency", report)) else {
        return Concurrency::Parallel;
    };
    fields.only(&["mode", "most"], report);
    fields.required("mode", "parallel or limited", report);
    let is_limited = fields.choice("mode", &[("parallel", false), ("limited", true)], report);
    match (is_limited, fields.get("most")) {
        (Some(true), _) => {
            fields.required("most", "how many runs at once", report);
            most(&fields, report).map_or(Concurrency::Parallel, |most| Concurrency::Limited { most })
        }
        (Some(false), Some(node)) => {
            let problem = Problem::new("needless-most", "runs in parallel have no limit of their own");
            report.add(node, "concurrency.most", problem.fix("remove it, or write mode: limited"));
            Concurrency::Parallel
        }
        (Some(false) | None, _) => Concurrency::Parallel,
    }
}

fn most(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<u32> {
    let node = fields.get("most")?;
    let found = node.to_json().as_u64().and_then(|count| u32::try_from(count).ok());
    let fits = found.filter(|count| (1..=MOST_MAX).contains(count));
    if fits.is_none() {
        report.add(node, "concurrency.most", wrong("most", &format!("a number from 1 to {MOST_MAX}"), node));
    }
    fits
}

/// `retention: { keep: 30d }`, in milliseconds.
pub(super) fn retention(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<u64> {
    let fields = Fields::of(fields.get("retention")?, "retention", report)?;
    fields.only(&["keep"], report);
    let node = fields.required("keep", "a time such as 30d", report)?;
    let keep_ms = fields.duration("keep", KEEP_MS_MAX, report)?;
    if keep_ms < KEEP_MS_MIN {
        report.add(node, "retention.keep", wrong("keep", "at least 1m", node));
        return None;
    }
    Some(keep_ms)
}
