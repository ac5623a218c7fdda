//! Connectors and connections that a flow names: known, fitting, with the scopes.

use std::sync::Arc;

use model::{ConnectionId, Manifest, Need, OperationRef, PluginId, Problem, Scope, ScopeAsked};

use super::read::Fields;
use super::report::{Report, suggest};
use super::tree::Node;
use crate::operations::Operations;

/// The manifest of the connector that an operation names.
pub(super) fn manifest(
    uses: &OperationRef,
    node: &Node,
    field: &str,
    operations: &dyn Operations,
    report: &mut Report<'_>,
) -> Option<Arc<Manifest>> {
    let found = operations.manifest(&uses.plugin);
    if found.is_none() {
        report.add(node, field, no_manifest(&uses.plugin, operations));
    }
    found
}

/// A connector that cannot be used: it waits for approval, or there is none of the name.
fn no_manifest(plugin: &PluginId, operations: &dyn Operations) -> Problem {
    if operations.awaits_approval(plugin) {
        let what = format!("connector {:?} is installed, but not approved in this environment", plugin.as_str());
        let approve = format!("sluice plugin approve {plugin} --grant FILE --environment ENVIRONMENT");
        let fix = format!("read what it asks for: sluice plugin show {plugin}\nthen approve it: {approve}");
        return Problem::new("unknown-plugin", what).fix(fix);
    }
    let known = operations.plugins();
    let problem = Problem::new("unknown-plugin", format!("there is no approved connector {:?}", plugin.as_str()));
    suggest(problem, plugin.as_str(), known.iter().map(PluginId::as_str))
}

/// Reports an operation that the connector does not have.
pub(super) fn unknown_operation<'a>(
    uses: &OperationRef,
    kind: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    node: &Node,
    field: &str,
    report: &mut Report<'_>,
) {
    let what = format!("connector {} has no {kind} {:?}", uses.plugin, uses.operation.as_str());
    report.add(node, field, suggest(Problem::new("unknown-operation", what), uses.operation.as_str(), known));
}

/// Whose account an operation works as.
pub(super) struct Asked<'a> {
    pub(super) uses: &'a OperationRef,
    pub(super) need: Need,
    pub(super) scopes: &'a [ScopeAsked],
}

/// Reads `connection` and checks it against what the operation needs.
pub(super) fn connection(
    fields: &Fields<'_>,
    asked: &Asked<'_>,
    operations: &dyn Operations,
    report: &mut Report<'_>,
) -> Option<ConnectionId> {
    let uses = asked.uses;
    let Some(node) = fields.get("connection") else {
        if asked.need == Need::Required {
            let problem = Problem::new("missing-connection", format!("{uses} works only with a connection"));
            let fix = match connections_of(&uses.plugin, operations).first() {
                Some(id) => format!("add connection: {id}"),
                None => format!("make a connection of {} first, then add it here", uses.plugin),
            };
            report.add(fields.node, &fields.field("connection"), problem.fix(fix));
        }
        return None;
    };
    if asked.need == Need::None {
        let problem = Problem::new("needless-connection", format!("{uses} takes no connection"));
        report.add(node, &fields.field("connection"), problem.fix("remove the key connection"));
        return None;
    }
    let id = known(fields, operations, report)?;
    let facts = operations.connection(&id)?;
    if facts.plugin != uses.plugin {
        let what = format!("connection {id} is an account of {}, not of {}", facts.plugin, uses.plugin);
        let mine = connections_of(&uses.plugin, operations);
        let problem =
            suggest(Problem::new("wrong-connection", what), id.as_str(), mine.iter().map(ConnectionId::as_str));
        report.add(node, &fields.field("connection"), problem);
        return None;
    }
    let missing: Vec<&ScopeAsked> = asked.scopes.iter().filter(|scope| !facts.scopes.contains(&scope.name)).collect();
    if !missing.is_empty() {
        report.add(node, &fields.field("connection"), lacks(&id, uses, &missing));
    }
    Some(id)
}

/// Reads `connection` of a trigger of any sender, which must exist.
pub(super) fn known(fields: &Fields<'_>, operations: &dyn Operations, report: &mut Report<'_>) -> Option<ConnectionId> {
    let node = fields.get("connection")?;
    let id: ConnectionId = fields.name("connection", report)?;
    if operations.connection(&id).is_none() {
        let all = operations.connections();
        let problem = Problem::new("unknown-connection", format!("there is no connection {:?}", id.as_str()));
        report.add(
            node,
            &fields.field("connection"),
            suggest(problem, id.as_str(), all.iter().map(ConnectionId::as_str)),
        );
        return None;
    }
    Some(id)
}

fn lacks(id: &ConnectionId, uses: &OperationRef, missing: &[&ScopeAsked]) -> Problem {
    let names: Vec<&str> = missing.iter().map(|scope| scope.name.as_str()).collect();
    let why: Vec<String> = missing.iter().map(|scope: &&ScopeAsked| why(&scope.name, &scope.why)).collect();
    Problem::new("missing-scopes", format!("connection {id} lacks the scopes that {uses} needs: {}", names.join(", ")))
        .cause(why.join("; "))
        .fix("grant them at the remote service, then add the connection again")
}

fn why(scope: &Scope, why: &str) -> String {
    format!("{scope}: {why}")
}

fn connections_of(plugin: &PluginId, operations: &dyn Operations) -> Vec<ConnectionId> {
    let mut all = operations.connections();
    all.retain(|id| operations.connection(id).is_some_and(|facts| facts.plugin == *plugin));
    all
}
