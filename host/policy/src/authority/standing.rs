//! Whether an operation may run at all: approval, environment, publisher, scopes, connection.
//!
//! Each check is one sentence about one party; they run in a fixed order and the
//! first denial is the answer. `explain` runs the same checks.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{Digest, Environment, Host, Manifest, Need, Scope, Target, parse_base_url};

use super::words::{self, Fix, approve_command};
use crate::address::AddressPolicy;
use crate::approval::{Approval, ConnectionFacts, Subject};
use crate::ceiling::Ceiling;
use crate::denial::Denial;
use crate::explain::Layer;
use crate::grant::{Grant, OperationKey};
use crate::print::{key, quoted};

/// The parties of one operation.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) ceiling: &'a Arc<Ceiling>,
    pub(crate) approval: Option<&'a Approval>,
    pub(crate) digest: &'a Digest,
    pub(crate) environment: &'a Environment,
    pub(crate) manifest: &'a Manifest,
    pub(crate) subject: Subject<'a>,
    pub(crate) connection: Option<&'a ConnectionFacts>,
}

type Check = fn(&Case<'_>) -> Result<(), Denial>;

/// The checks in their order, each with the party that it hears.
pub(crate) const STANDING: [(Layer, Check); 9] = [
    (Layer::Approval, check_approved),
    (Layer::Approval, check_environment),
    (Layer::CeilingDeny, check_publisher),
    (Layer::Grant, check_operation),
    (Layer::Grant, check_granted_scopes),
    (Layer::Connection, check_present),
    (Layer::Connection, check_own),
    (Layer::Connection, check_place),
    (Layer::Connection, check_held_scopes),
];

impl Case<'_> {
    fn name(&self) -> String {
        format!("{}/{}", self.manifest.id, self.subject.name())
    }

    fn deny(&self, code: &'static str, rule: String, fix: String) -> Denial {
        Denial::new(code, format!("{} may not run in {}", self.name(), self.environment), rule, fix)
    }

    fn grant(&self) -> Option<&Grant> {
        self.approval.map(|approval| &approval.grant)
    }
}

fn check_approved(case: &Case<'_>) -> Result<(), Denial> {
    let approve = approve_command(case.digest, case.environment);
    let Some(approval) = case.approval else {
        let rule = format!("no approval of {} for {}", case.digest, case.environment);
        return Err(case.deny("not-approved", rule, approve));
    };
    if approval.digest != *case.digest {
        let rule = format!("the approval is for {}, this component is {}", approval.digest, case.digest);
        return Err(case.deny("not-approved", rule, approve));
    }
    if approval.grant.plugin != case.manifest.id {
        let rule =
            format!("the grant is for {}, the component calls itself {}", approval.grant.plugin, case.manifest.id);
        let fix = format!("approve it with a grant that says plugin = \"{}\": {approve}", case.manifest.id);
        return Err(case.deny("other-plugin", rule, fix));
    }
    Ok(())
}

fn check_environment(case: &Case<'_>) -> Result<(), Denial> {
    match case.approval {
        Some(approval) if approval.environment != *case.environment => {
            let rule = format!("the approval is for {} and holds nowhere else", approval.environment);
            Err(case.deny("other-environment", rule, approve_command(case.digest, case.environment)))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_publisher(case: &Case<'_>) -> Result<(), Denial> {
    let publisher = &case.manifest.publisher;
    if case.ceiling.trusts(publisher) {
        return Ok(());
    }
    let rule = format!("the ceiling's publishers leave out {publisher:?}");
    let fix = format!("in {}, add to publishers:\n    {},", case.ceiling.name(), quoted(publisher));
    Err(case.deny("ceiling-publisher", rule, fix))
}

fn check_operation(case: &Case<'_>) -> Result<(), Denial> {
    let name = case.subject.name();
    let Some(grant) = case.grant() else { return Ok(()) };
    if grant.said_of(name).next().is_some() {
        return Ok(());
    }
    let rule = format!("grant {} does not name the operation {name}", grant.plugin);
    let mut lines = format!("in the grant of {}, add:\n[operations.{}]", grant.plugin, key(name));
    let reaches: Vec<String> = case.subject.reaches().iter().map(|reach| quoted(&concrete(case, reach))).collect();
    if !reaches.is_empty() {
        lines.push_str(&format!("\ndestinations = [{}]", reaches.join(", ")));
    }
    let fix = format!("{lines}\nthen: {}", approve_command(case.digest, case.environment));
    Err(case.deny("grant-missing-operation", rule, fix))
}

/// A reach as a grant would write it.
fn concrete(case: &Case<'_>, reach: &model::Reach) -> String {
    let base = base_url(case.manifest, case.connection).unwrap_or_default();
    match reach.resolve(base.as_ref()) {
        Some(destination) => destination.to_string(),
        None => "GET https://host.example.com/**".to_owned(),
    }
}

fn missing<'s>(wanted: &'s [model::ScopeAsked], held: &[Scope]) -> Vec<&'s str> {
    wanted.iter().filter(|scope| !held.contains(&scope.name)).map(|scope| scope.name.as_str()).collect()
}

fn check_granted_scopes(case: &Case<'_>) -> Result<(), Denial> {
    let Some(grant) = case.grant() else { return Ok(()) };
    let missing = missing(case.subject.scopes(), &grant.scopes);
    if missing.is_empty() {
        return Ok(());
    }
    let rule = format!("grant {} does not give {}", grant.plugin, missing.join(", "));
    let lines: Vec<String> = missing.iter().map(|scope| format!("    {},", quoted(scope))).collect();
    let approve = approve_command(case.digest, case.environment);
    let fix = format!("in the grant of {}, add to scopes:\n{}\nthen: {approve}", grant.plugin, lines.join("\n"));
    Err(case.deny("grant-missing-scopes", rule, fix))
}

fn check_present(case: &Case<'_>) -> Result<(), Denial> {
    if case.subject.need() != Need::Required || case.connection.is_some() {
        return Ok(());
    }
    let rule = format!("{} needs a connection and was given none", case.name());
    let fix = format!("choose a connection of {} in {}", case.manifest.id, case.environment);
    Err(case.deny("connection-missing", rule, fix))
}

/// The connection is of this connector, this environment and a team of the grant.
fn check_own(case: &Case<'_>) -> Result<(), Denial> {
    if let Some(facts) = case.connection {
        check_belongs(facts, case.manifest, case.environment)?;
    }
    let Some(grant) = case.grant().filter(|grant| !grant.teams.is_empty()) else { return Ok(()) };
    check_team(grant, case.connection)
}

fn check_belongs(facts: &ConnectionFacts, manifest: &Manifest, environment: &Environment) -> Result<(), Denial> {
    let what = format!("the connection {} may not be used with {} in {environment}", facts.id, manifest.id);
    if facts.plugin != manifest.id {
        let rule = format!("connection {}: an account of {}", facts.id, facts.plugin);
        return Err(Denial::new("other-plugin", what, rule, format!("choose a connection of {}", manifest.id)));
    }
    if facts.environment != *environment {
        let rule = format!("connection {}: lives in {} and never leaves it", facts.id, facts.environment);
        let fix = format!("add a connection of {} in {environment} and choose it", manifest.id);
        return Err(Denial::new("other-environment", what, rule, fix));
    }
    Ok(())
}

fn check_team(grant: &Grant, connection: Option<&ConnectionFacts>) -> Result<(), Denial> {
    let team = connection.and_then(|facts| facts.team.as_ref());
    if team.is_some_and(|team| grant.teams.contains(team)) {
        return Ok(());
    }
    let names = grant.teams.iter().map(model::Team::as_str).collect::<Vec<_>>().join(", ");
    let who = match (connection, team) {
        (None, _) => "there is no connection".to_owned(),
        (Some(facts), None) => format!("connection {} belongs to no team", facts.id),
        (Some(facts), Some(team)) => format!("connection {} belongs to {team}", facts.id),
    };
    let what = format!("{} may be used only with connections of {names}", grant.plugin);
    let fix = format!("use a connection of one of them, or add the team to teams in the grant of {}", grant.plugin);
    Err(Denial::new("grant-missing-team", what, format!("grant {}: teams {names}; {who}", grant.plugin), fix))
}

/// Where the connection's service lives: said by the connection, or the manifest's default.
pub(super) fn base_url(manifest: &Manifest, connection: Option<&ConnectionFacts>) -> Result<Option<Target>, Denial> {
    let spec = manifest.connection.as_ref().and_then(|spec| spec.base_url.as_ref());
    let said = connection.and_then(|facts| facts.base_url.as_ref());
    let what = |facts: &ConnectionFacts| format!("the connection {} may not be used", facts.id);
    match (spec, said, connection) {
        (Some(_), Some(base), _) => Ok(Some(base.clone())),
        (None, Some(base), Some(facts)) => {
            let rule =
                format!("{} has no configurable place, the connection says {}", manifest.id, words::origin(base));
            Err(Denial::new("base-url-unexpected", what(facts), rule, "add the connection without a base URL"))
        }
        (Some(spec), None, facts) => match (&spec.default, facts) {
            (Some(default), _) => parse_base_url(default).map(Some).map_err(|reason| {
                let what = format!("{} may not run", manifest.id);
                Denial::new("base-url", what, reason, "ask the publisher to correct the default of base_url")
            }),
            (None, Some(facts)) => {
                let rule = format!("{} has no default place and the connection says none", manifest.id);
                Err(Denial::new(
                    "base-url-missing",
                    what(facts),
                    rule,
                    format!("add the connection with a base URL: {}", spec.help),
                ))
            }
            (None, None) => Ok(None),
        },
        (None, _, _) => Ok(None),
    }
}

fn check_place(case: &Case<'_>) -> Result<(), Denial> {
    base_url(case.manifest, case.connection)?;
    let said = case.connection.and_then(|facts| facts.base_url.as_ref().map(|base| (facts, base)));
    match (said, case.approval) {
        // What sends nothing may keep a connection for its webhook secret alone.
        (Some((facts, base)), Some(approval)) if !case.subject.reaches().is_empty() => {
            check_origin(case.ceiling, approval, facts, base)
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// The base URL's origin is one that the grant names and the ceiling allows.
fn check_origin(ceiling: &Ceiling, approval: &Approval, facts: &ConnectionFacts, base: &Target) -> Result<(), Denial> {
    let what = format!("the connection {} may not live at {}", facts.id, words::origin(base));
    let whole = |rule: &crate::CeilingRule| rule.is_whole_origin() && rule.matches_origin(base);
    if let Some(rule) = ceiling.denied().find(&base.host, whole) {
        let fix = format!("the ceiling denies it to everyone; if that is wrong, change `denied` in {}", ceiling.name());
        return Err(Denial::new("ceiling-denies", what, format!("ceiling: denied {rule}"), fix));
    }
    if ceiling.allowed().find(&base.host, |rule| rule.matches_origin(base)).is_none() {
        let mut fix = Fix::default();
        fix.ceiling_allowed(ceiling, base);
        let rule = format!("no rule under `allowed` of the ceiling means {}", words::origin(base));
        return Err(Denial::new("ceiling-missing-rule", what, rule, fix.finish()));
    }
    let mut rules = approval.grant.operations.values().flat_map(|said| &said.destinations);
    if !rules.any(|rule| rule.is_concrete() && rule.destination().matches_origin(base)) {
        return Err(origin_not_granted(approval, what, base));
    }
    match base.host {
        Host::Address(address) => AddressPolicy::new(&approval.grant.plugin, ceiling, &approval.grant.addresses)
            .check(SocketAddr::new(address, base.port)),
        Host::Name(_) => Ok(()),
    }
}

fn origin_not_granted(approval: &Approval, what: String, base: &Target) -> Denial {
    let grant = &approval.grant;
    let table = match grant.operations.keys().next() {
        Some(OperationKey::One(id)) => id.to_string(),
        Some(OperationKey::Every) | None => "*".to_owned(),
    };
    let path = base.path.trim_end_matches('/');
    let mut fix = Fix::default();
    fix.also("name the place in the grant, for each operation that goes there, as in:");
    fix.grant_destination(grant, &table, &format!("* {}{path}/**", words::origin(base)));
    fix.approve(&approval.digest, &approval.environment);
    let rule = format!("no rule of grant {} names the host of {}", grant.plugin, words::origin(base));
    Denial::new("grant-missing-origin", what, rule, fix.finish())
}

fn check_held_scopes(case: &Case<'_>) -> Result<(), Denial> {
    let Some(facts) = case.connection else { return Ok(()) };
    let missing = missing(case.subject.scopes(), &facts.scopes);
    if missing.is_empty() {
        return Ok(());
    }
    let rule = format!("connection {} does not hold {}", facts.id, missing.join(", "));
    let fix = format!(
        "give the credential {} at the remote service, then add the connection again with these scopes",
        missing.join(", ")
    );
    Err(case.deny("connection-missing-scopes", rule, fix))
}

/// Whether a connection may be made: environment, connector, team, and a place that
/// ceiling and grant both name. A connection that says no base URL lives at the
/// manifest's default, which each request is decided on anyway.
///
/// # Errors
/// The denial, with the lines that would allow it.
pub fn check_connection(
    ceiling: &Ceiling,
    approval: &Approval,
    manifest: &Manifest,
    facts: &ConnectionFacts,
) -> Result<(), Denial> {
    if approval.grant.plugin != manifest.id {
        let rule = format!("the grant is for {}, the component calls itself {}", approval.grant.plugin, manifest.id);
        let what = format!("the connection {} may not be made", facts.id);
        return Err(Denial::new("other-plugin", what, rule, approve_command(&approval.digest, &approval.environment)));
    }
    check_belongs(facts, manifest, &approval.environment)?;
    if !approval.grant.teams.is_empty() {
        check_team(&approval.grant, Some(facts))?;
    }
    base_url(manifest, Some(facts))?;
    match &facts.base_url {
        Some(base) => check_origin(ceiling, approval, facts, base),
        None => Ok(()),
    }
}
