//! The components of one id: an upgrade is installed beside the version before it, and
//! calls use the one that was approved last.

use std::cmp::Ordering;

use engine::PluginView;
use model::Environment;

use super::List;
use crate::cli::Global;
use crate::client::Client;

/// The other installed components of the same id, newest first. They are for remarks to
/// people alone: with `--json`, or without an answer, there are none.
pub(super) async fn others(global: &Global, client: &Client, own: &PluginView) -> Vec<PluginView> {
    if global.json {
        return Vec::new();
    }
    let listed = client.get::<List>("/api/v1/plugins").await;
    let mut others = listed.map(|reply| reply.value.plugins).unwrap_or_default();
    let (id, digest) = (&own.record.manifest.id, own.record.digest);
    others.retain(|other| other.record.manifest.id == *id && other.record.digest != digest);
    others
}

/// The environments where a component is approved.
pub(super) fn environments(view: &PluginView) -> impl Iterator<Item = &Environment> {
    view.approvals.iter().filter(|record| record.revoked.is_none()).map(|record| &record.approval.environment)
}

/// What a component that was just installed is beside the ones of its id.
pub(super) fn beside(own: &PluginView, others: &[PluginView], environment: &Environment) -> Option<String> {
    let Some(used) = used(own, others, environment) else {
        let newest = others.first()?;
        let (called, relation) = (called(newest), relation(own, newest));
        return Some(format!("{called} is installed too, not approved in {environment} either; this one {relation}."));
    };
    if used.record.digest == own.record.digest {
        return None;
    }
    let end = match approved_at_ms(own, environment) {
        Some(_) => "That one was approved last: calls use it.",
        None => "That one stays in force until this one is approved.",
    };
    Some(format!("In {environment} {} is approved; this one {}. {end}", called(used), relation(own, used)))
}

/// Once a component was approved: which one calls use now, and which others are approved still.
pub(super) fn after_approval(own: &PluginView, others: &[PluginView], environment: &Environment) -> Vec<String> {
    let still: Vec<_> = others.iter().filter(|other| approved_at_ms(other, environment).is_some()).collect();
    if still.is_empty() {
        return Vec::new();
    }
    let used = used(own, others, environment).unwrap_or(own);
    let first = format!(
        "Calls in {environment} use {} from now on; flows keep the version they were published with.",
        called(used)
    );
    let line = |other: &PluginView| {
        format!(
            "{} is approved in {environment} still; the new one {}. Once no flow uses it, take it back:\n  \
             sluice plugin revoke {} --environment {environment}",
            called(other),
            relation(own, other),
            other.record.digest.to_short()
        )
    };
    std::iter::once(first).chain(still.into_iter().map(line)).collect()
}

/// Where calls use another component of the id than this one, a line for each component.
pub(super) fn in_use(own: &PluginView, others: &[PluginView]) -> Vec<String> {
    let line = |other: &PluginView| {
        let digest = other.record.digest;
        let is_used = |environment: &&Environment| {
            used(own, others, environment).is_some_and(|used| used.record.digest == digest)
        };
        let places: Vec<&str> = environments(other).filter(is_used).map(Environment::as_str).collect();
        let (places, called, short) = (places.join(", "), called(other), digest.to_short());
        let told = format!("{called} in {places}; calls there use that one: sluice plugin show {short}");
        (!places.is_empty()).then_some(told)
    };
    others.iter().filter_map(line).collect()
}

/// The component that calls by id and new flows use in an environment: the one approved last.
fn used<'a>(own: &'a PluginView, others: &'a [PluginView], environment: &Environment) -> Option<&'a PluginView> {
    let all = std::iter::once(own).chain(others);
    let approved = all.filter_map(|view| Some((approved_at_ms(view, environment)?, view)));
    approved.max_by_key(|(at_ms, view)| (*at_ms, view.record.digest)).map(|(_, view)| view)
}

/// When a component was approved in an environment, if it still is.
fn approved_at_ms(view: &PluginView, environment: &Environment) -> Option<u64> {
    let in_force = view.approvals.iter().filter(|record| record.revoked.is_none());
    let mut there = in_force.filter(|record| record.approval.environment == *environment);
    there.next().map(|record| record.approval.approved_at_ms)
}

/// `0.1.0 (9f86d081884c)`
fn called(view: &PluginView) -> String {
    format!("{} ({})", view.record.manifest.version, view.record.digest.to_short())
}

/// How the first one's version compares, as the end of a sentence about it.
fn relation(own: &PluginView, other: &PluginView) -> &'static str {
    match own.record.manifest.version.cmp(&other.record.manifest.version) {
        Ordering::Equal => "has the same version with other bytes",
        Ordering::Less => "is lower, a downgrade",
        Ordering::Greater => "is higher",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A component whose digest is one digit alone, approved at these times.
    fn component(version: &str, digit: &str, approved: &[(&str, u64)]) -> PluginView {
        let digest = format!("sha256:{}", digit.repeat(64));
        let approvals: Vec<Value> = approved
            .iter()
            .map(|(environment, at_ms)| {
                let grant = json!({ "version": 1, "plugin": "acme" });
                let (by, at_ms) = ("ana", *at_ms);
                json!({ "approval": { "digest": digest, "environment": environment, "grant": grant,
                    "approved_by": by, "approved_at_ms": at_ms } })
            })
            .collect();
        let manifest = json!({
            "manifest_version": 1, "id": "acme", "version": version, "label": "Acme", "publisher": "Acme",
            "license": "MIT", "support": { "owner": "Acme", "contact": "a@acme.example", "policy": "none" },
            "purpose": "Tests.", "data": "None."
        });
        let plugin = json!({ "digest": digest, "manifest": manifest, "bytes": 1, "installed_at_ms": 1,
            "installed_by": "ana", "approvals": approvals });
        serde_json::from_value(plugin).expect("a plugin")
    }

    fn environment(name: &str) -> Environment {
        name.parse().expect("a name")
    }

    #[test]
    fn an_installed_component_is_told_from_the_approved_one() {
        let approved = component("0.2.0", "a", &[("test", 5)]);
        let others = [component("0.1.0", "b", &[]), approved];
        for (version, wanted) in [
            ("0.2.0", "has the same version with other bytes"),
            ("0.1.9", "is lower, a downgrade"),
            ("0.10.0", "is higher"),
        ] {
            let told = beside(&component(version, "c", &[]), &others, &environment("test")).expect("a line");
            let start = "In test 0.2.0 (aaaaaaaaaaaa) is approved; this one";
            assert_eq!(told, format!("{start} {wanted}. That one stays in force until this one is approved."));
        }
        let told = beside(&component("0.1.0", "c", &[]), &others, &environment("production")).expect("a line");
        assert!(told.starts_with("0.1.0 (bbbbbbbbbbbb) is installed too") && told.contains("same version"));
        assert_eq!(beside(&component("0.1.0", "c", &[]), &[], &environment("test")), None);
        assert_eq!(beside(&component("0.1.0", "c", &[("test", 6)]), &others, &environment("test")), None);
    }

    #[test]
    fn an_approval_names_the_others_in_force() {
        let own = component("0.2.0", "a", &[("test", 9)]);
        let others = [component("0.1.0", "b", &[("test", 5)]), component("0.1.0", "c", &[("production", 5)])];
        let told = after_approval(&own, &others, &environment("test"));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("use 0.2.0 (aaaaaaaaaaaa) from now on"), "{told:?}");
        assert!(told[1].starts_with("0.1.0 (bbbbbbbbbbbb) is approved in test still"), "{told:?}");
        assert!(told[1].contains("sluice plugin revoke bbbbbbbbbbbb --environment test"), "{told:?}");
        assert!(after_approval(&own, &others[1..], &environment("test")).is_empty());
    }

    #[test]
    fn a_component_that_is_not_in_use_names_the_one_that_is() {
        let newest = component("0.2.0", "a", &[]);
        let others = [component("0.1.0", "b", &[]), component("0.1.0", "c", &[("production", 5), ("test", 5)])];
        let wanted = "0.1.0 (cccccccccccc) in production, test; calls there use that one: \
                      sluice plugin show cccccccccccc";
        assert_eq!(in_use(&newest, &others), [wanted]);
        assert!(in_use(&component("0.2.0", "a", &[("production", 6), ("test", 6)]), &others).is_empty());
    }
}
