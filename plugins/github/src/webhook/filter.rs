//! Which changes a flow wants to hear of.

/// Whether `found` is wanted: everything is, when nothing is named. GitHub's own names
/// ignore case.
pub(super) fn wants(wanted: &[String], found: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|name| name.trim().eq_ignore_ascii_case(found))
}

/// Whether the branch is wanted. Branches are told apart by case.
pub(super) fn wants_branch(wanted: &[String], branch: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|name| name.trim() == branch)
}

/// Whether one of `labels` is wanted. When a label was just added or removed, that one
/// alone counts: a thread that is urgent already does not become urgent again because
/// it is also called a bug.
pub(super) fn wants_label(wanted: &[String], just_changed: Option<&str>, labels: &[String]) -> bool {
    match just_changed {
        Some(label) => wants(wanted, label),
        None => wanted.is_empty() || labels.iter().any(|label| wants(wanted, label)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_just_added_decides() {
        let urgent = ["Urgent".to_owned()];
        let both = ["urgent".to_owned(), "bug".to_owned()];
        for (wanted, just_changed, labels, passes) in [
            (&urgent[..], Some("urgent"), &both[..], true),
            (&urgent, Some("bug"), &both, false),
            (&urgent, None, &both, true),
            (&urgent, None, &[], false),
            (&[], Some("bug"), &[], true),
            (&[], None, &[], true),
        ] {
            assert_eq!(wants_label(wanted, just_changed, labels), passes, "{wanted:?} {just_changed:?} {labels:?}");
        }
    }
}
