//! Whether documents fit each other: a manifest and a grant, a grant and the ceiling.
//!
//! Nothing here decides: an uncovered destination is denied when it is used, and
//! these are the warnings beforehand.

use std::collections::BTreeSet;

use model::{Destination, FileAccess, Limits, LimitsPart, Manifest, Problem, Reach, nearest, parse_base_url};

use crate::address::not_named;
use crate::approval::Subject;
use crate::capability::limit;
use crate::ceiling::Ceiling;
use crate::grant::{FolderAccess, Grant, OperationKey};
use crate::print::{key, quoted};
use crate::rule::GrantRule;

/// What the manifest asks for and the grant does not give, and what the grant names
/// that the manifest does not have. Empty: they fit.
pub fn uncovered(manifest: &Manifest, grant: &Grant) -> Vec<Problem> {
    if grant.plugin != manifest.id {
        let what = format!("the grant is for {}, the component calls itself {}", grant.plugin, manifest.id);
        return vec![Problem::new("other-plugin", what)];
    }
    let mut problems = Vec::new();
    let (named, left_out): (Vec<_>, Vec<_>) =
        subjects(manifest).into_iter().partition(|subject| grant.said_of(subject.name()).next().is_some());
    problems.extend(of_left_out(&left_out));
    for subject in named {
        problems.extend(of_operation(manifest, grant, subject));
    }
    problems.extend(unknown_operations(manifest, grant));
    problems.extend(of_addresses(grant));
    problems.extend(of_limits(manifest, grant));
    problems
}

/// Every subject of a connector, each operation's parts together.
pub fn subjects(manifest: &Manifest) -> Vec<Subject<'_>> {
    let check = manifest.connection.iter().filter_map(|spec| spec.check.as_ref()).map(Subject::Check);
    let actions = manifest.actions.iter().map(Subject::Action);
    let triggers = manifest.triggers.iter().flat_map(|trigger| {
        let poll = trigger.poll.iter().map(move |poll| Subject::Poll(trigger, poll));
        let subscription = trigger.subscription.iter().map(move |part| Subject::Subscription(trigger, part));
        let delivery = trigger.webhook.iter().map(move |_| Subject::Trigger(trigger));
        delivery.chain(poll).chain(subscription)
    });
    actions.chain(triggers).chain(check).chain(manifest.discovery.iter().map(Subject::Discovery)).collect()
}

/// The names of subjects in their order, each once.
fn names<'a>(subjects: &[Subject<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = subjects.iter().map(Subject::name).collect();
    names.dedup();
    names
}

/// What an administrator leaves out on purpose deserves one line, not many.
fn of_left_out(subjects: &[Subject<'_>]) -> Option<Problem> {
    let names = names(subjects);
    let tables: Vec<String> = names.iter().map(|name| format!("[operations.{}]", key(name))).collect();
    let what = format!("not named, so denied: {}", names.join(", "));
    let fix = format!("to allow them, add to the grant: {}", tables.join(" "));
    (!names.is_empty()).then(|| Problem::new("operation-not-granted", what).fix(fix))
}

fn of_operation(manifest: &Manifest, grant: &Grant, subject: Subject<'_>) -> Vec<Problem> {
    let name = subject.name();
    let table = format!("[operations.{}]", key(name));
    let rules: Vec<&GrantRule> = grant.said_of(name).flat_map(|(_, said)| &said.destinations).collect();
    let mut problems = Vec::new();
    for reach in subject.reaches().iter().filter(|reach| !is_covered(reach, manifest, &rules)) {
        let what = format!("{}/{name} asks for {reach}, which the grant does not give in full", manifest.id);
        problems.push(Problem::new("destination-not-granted", what).fix(format!("add a destination under {table}")));
    }
    for scope in subject.scopes().iter().filter(|scope| !grant.scopes.contains(&scope.name)) {
        let what = format!("{}/{name} needs the scope {}: it will be denied", manifest.id, scope.name);
        let fix = format!("add to scopes: {},", quoted(scope.name.as_str()));
        problems.push(Problem::new("scope-not-granted", what).cause(scope.why.clone()).fix(fix));
    }
    problems.extend(of_files(manifest, grant, subject));
    problems
}

fn of_files(manifest: &Manifest, grant: &Grant, subject: Subject<'_>) -> Option<Problem> {
    let wanted = match subject.files() {
        FileAccess::None => return None,
        FileAccess::Read => FolderAccess::Read,
        FileAccess::Write => FolderAccess::Write,
    };
    if grant.folders.values().any(|folder| folder.access >= wanted) {
        return None;
    }
    let what = format!("{}/{} needs a folder to {wanted} and the grant opens none", manifest.id, subject.name());
    let fix = format!("add to the grant:\n[folders.NAME]\npath = \"/srv/sluicegate/NAME\"\naccess = \"{wanted}\"");
    Some(Problem::new("folder-not-granted", what).fix(fix))
}

/// Fixed places must be covered; of open ones the grant must name some place.
fn is_covered(reach: &Reach, manifest: &Manifest, rules: &[&GrantRule]) -> bool {
    let default = manifest.connection.as_ref().and_then(|spec| spec.base_url.as_ref()?.default.as_deref());
    let base = default.and_then(|text| parse_base_url(text).ok());
    let by_rule = |wanted: &Destination| rules.iter().any(|rule| rule.destination().covers(wanted));
    let some_place = rules.iter().any(|rule| rule.is_concrete());
    match reach {
        Reach::Fixed(destination) if destination.host == model::HostPattern::Any => some_place,
        Reach::Fixed(destination) => by_rule(destination),
        Reach::BaseUrl { .. } => {
            let by_default = reach.resolve(base.as_ref()).is_some_and(|destination| by_rule(&destination));
            by_default || rules.iter().any(|rule| is_below_some_base(reach, rule))
        }
        Reach::Any { .. } => some_place,
    }
}

/// Whether a connection with some base URL could reach all of this under the rule
/// alone: every literal beginning of the rule's path is tried as the base's path.
fn is_below_some_base(reach: &Reach, rule: &GrantRule) -> bool {
    let rule = rule.destination();
    let path = rule.path.to_string();
    let literal = path.split("/*").next().unwrap_or_default();
    let ends = literal.match_indices('/').map(|(at, _)| at).chain([literal.len()]);
    let origin = format!("{}://{}:{}", rule.scheme.as_str(), rule.host, rule.port);
    ends.map(|end| parse_base_url(&format!("{origin}{}", &literal[..end])))
        .any(|base| base.is_ok_and(|base| reach.resolve(Some(&base)).is_some_and(|wanted| rule.covers(&wanted))))
}

fn unknown_operations(manifest: &Manifest, grant: &Grant) -> Vec<Problem> {
    let known = names(&subjects(manifest));
    let named = grant.operations.keys().filter_map(|name| match name {
        OperationKey::Every => None,
        OperationKey::One(id) => Some(id.as_str()),
    });
    let unknown = named.filter(|name| !known.contains(name));
    let problem = |name: &str| {
        let what = format!("the grant names the operation {name}, which {} does not have", manifest.id);
        let fix = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it has: {}", known.join(", ")),
        };
        Problem::new("unknown-operation", what).fix(fix)
    };
    unknown.map(problem).collect()
}

/// Hosts written as addresses need the grant's word for them, each once.
fn of_addresses(grant: &Grant) -> Vec<Problem> {
    let rules = grant.operations.values().flat_map(|said| &said.destinations);
    let addresses: BTreeSet<_> = rules.filter_map(GrantRule::address).collect();
    addresses.into_iter().filter_map(|address| not_named(address, &grant.addresses)).collect()
}

fn of_limits(manifest: &Manifest, grant: &Grant) -> Vec<Problem> {
    let given = Limits::default().replaced_by(&grant.limits).capped_by(&LimitsPart::most());
    let short = manifest.limits.entries().into_iter().filter_map(|(name, asked)| {
        let given = limit(&given, name).filter(|given| *given < asked)?;
        let what = format!("{} asks for {name} = {asked}, it gets {given}", manifest.id);
        let problem = Problem::new("limit-not-granted", what);
        Some(match LimitsPart::can_raise(name, given) {
            true => problem.fix(format!("add to the grant:\n[limits]\n{name} = {asked}")),
            false => problem.cause(format!("the host is built for {given}: no grant gives more")),
        })
    });
    short.collect()
}

/// What the grant gives and the ceiling does not allow, so that it has no effect.
/// Empty: every line counts.
pub fn beyond(ceiling: &Ceiling, grant: &Grant) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, said) in &grant.operations {
        problems.extend(said.destinations.iter().filter_map(|rule| beyond_rule(ceiling, name, rule)));
    }
    for address in &grant.addresses {
        if !ceiling.document().addresses.iter().any(|rule| rule.names(address.socket())) {
            let fix = format!("{}\n    \"{address}\",", ceiling.add_to("addresses"));
            problems.push(Problem::new("beyond-ceiling", format!("the ceiling does not name {address}")).fix(fix));
        }
    }
    for folder in grant.folders.values().filter(|folder| ceiling.folder_root(&folder.path).is_none()) {
        let fix = format!("{}\n    {},", ceiling.add_to("folders"), quoted(&folder.path.to_string()));
        problems.push(
            Problem::new("beyond-ceiling", format!("no folder of the ceiling contains {}", folder.path)).fix(fix),
        );
    }
    for (name, given) in grant.limits.entries() {
        let most =
            |part: &LimitsPart| part.entries().into_iter().find(|(capped, most)| *capped == name && *most < given);
        let (what, fix) = match (most(ceiling.limits()), most(&LimitsPart::most())) {
            (Some((_, most)), _) => {
                let raise = ceiling.add_to("limits");
                let fix = format!("write at most {name} = {most} in the grant; or {raise}\n    {name} = {given}");
                (format!("the ceiling's {name} = {most}"), fix)
            }
            (None, Some((_, most))) => {
                (format!("the {name} = {most} that the host is built for"), format!("write at most {name} = {most}"))
            }
            (None, None) => continue,
        };
        problems.push(Problem::new("beyond-ceiling", format!("{name} = {given} is more than {what}")).fix(fix));
    }
    problems
}

fn beyond_rule(ceiling: &Ceiling, operation: &OperationKey, rule: &GrantRule) -> Option<Problem> {
    let wanted = rule.destination();
    let what = |why: &str| Problem::new("beyond-ceiling", format!("{operation}: {rule} {why}"));
    if let Some(denied) = ceiling.document().denied.iter().find(|denied| denied.covers(wanted)) {
        return Some(what("has no effect").cause(format!("ceiling: denied {denied}")));
    }
    let left_out = wanted.methods.names().filter(|name| !ceiling.allows_method(name));
    let left_out: Vec<String> = left_out.map(quoted).collect();
    if !left_out.is_empty() {
        let left_out = left_out.join(", ");
        let fix = format!("{}\n    {left_out},", ceiling.add_to("methods"));
        return Some(what(&format!("has no effect for {left_out}: the ceiling's methods leave it out")).fix(fix));
    }
    let covered = ceiling.document().allowed.iter().any(|allowed| allowed.covers(wanted));
    let fix = format!("{}\n    {},", ceiling.add_to("allowed"), quoted(&rule.to_string()));
    (!covered).then(|| what("is not allowed in full by the ceiling").fix(fix))
}
