//! A plugin on one page: what an administrator reads before approving.

use engine::{ApprovalRecord, PluginView};
use model::{AuthScheme, Idempotency, Manifest};
use policy::{Grant, capabilities};

use super::versions;
use crate::show::{Paint, Table, bytes, hang, time};

/// Purpose, capabilities in plain words, operations, limits, approvals. `others` are the
/// other components of its id.
pub(super) fn page(view: &PluginView, others: &[PluginView], paint: Paint) -> String {
    let manifest = &view.record.manifest;
    let mut lines = head(view, paint);
    let in_use = versions::in_use(view, others);
    lines.extend(in_use.into_iter().map(|line| format!("  {}    {line}", paint.warn("approved"))));
    lines.push(section("What it does if it is approved, and nothing else", paint));
    for capability in capabilities(manifest) {
        lines.push(format!("  {} ({})", paint.bold(&capability.label), capability.operation));
        lines.extend(capability.does.iter().map(|does| format!("    - {}", hang(does, 6))));
    }
    lines.push(section("Operations", paint));
    lines.push(operations(manifest, paint));
    lines.extend(account(manifest, paint));
    lines.extend(limits(manifest, paint));
    lines.push(section("Approvals", paint));
    if view.approvals.is_empty() {
        lines.push(format!(
            "  none: it may do nothing. Give it a grant: sluice plugin approve {} --grant FILE",
            view.record.digest.to_short()
        ));
    }
    for record in &view.approvals {
        lines.extend(approval(record, paint));
    }
    lines.join("\n")
}

fn section(title: &str, paint: Paint) -> String {
    format!("\n{}", paint.bold(title))
}

fn head(view: &PluginView, paint: Paint) -> Vec<String> {
    let (record, manifest) = (&view.record, &view.record.manifest);
    let support = &manifest.support;
    let mut lines = vec![
        format!("{}  {}", paint.bold(&format!("{} {}", manifest.label, manifest.version)), manifest.id),
        format!("  {}", hang(&manifest.purpose, 2)),
        String::new(),
        format!("  digest      {}", record.digest),
        format!("  size        {}", bytes(record.bytes)),
        format!("  publisher   {} ({}), by its own word", manifest.publisher, manifest.license),
        format!("  support     {}, {}, {}", support.owner, support.contact, support.policy),
        format!("  installed   {} by {}", time(record.installed_at_ms), record.installed_by),
        format!("  data        {}", hang(&manifest.data, 14)),
    ];
    lines.extend(manifest.risks.iter().map(|risk| format!("  {}        {}", paint.warn("risk"), hang(risk, 14))));
    lines.extend(manifest.deprecated.as_ref().map(|notice| {
        let end = notice.end_of_life.as_ref().map(|day| format!(", ends on {day}")).unwrap_or_default();
        format!("  {}  {}{end}", paint.warn("deprecated"), hang(&notice.notice, 14))
    }));
    lines
}

fn operations(manifest: &Manifest, paint: Paint) -> String {
    let mut table = Table::new(&["  OPERATION", "KIND", "TWICE IS", "HELP"]);
    for action in &manifest.actions {
        let twice = match &action.idempotency {
            Idempotency::Natural => "once, by nature".to_owned(),
            Idempotency::Key { place } => format!("once, by {place}"),
            Idempotency::None => "twice: never repeated silently".to_owned(),
        };
        table.row([format!("  {}", action.id), "action".to_owned(), twice, action.help.clone()]);
    }
    for trigger in &manifest.triggers {
        table.row([
            format!("  {}", trigger.id),
            format!("trigger, {}", trigger.kind.as_str()),
            "once, by its key".to_owned(),
            trigger.help.clone(),
        ]);
    }
    table.print(paint, "  none")
}

fn account(manifest: &Manifest, paint: Paint) -> Vec<String> {
    let Some(spec) = &manifest.connection else { return Vec::new() };
    let mut lines = vec![section("Account", paint)];
    for scheme in &spec.auth {
        let (AuthScheme::Bearer { help }
        | AuthScheme::Basic { help }
        | AuthScheme::Header { help, .. }
        | AuthScheme::Query { help, .. }
        | AuthScheme::None { help }) = scheme;
        lines.push(format!("  --auth {:<7} {}", scheme.name(), hang(help, 17)));
    }
    if let Some(base_url) = &spec.base_url {
        let default = base_url.default.as_ref().map(|url| format!(" [default: {url}]")).unwrap_or_default();
        lines.push(format!("  --base-url     {}{default}", hang(&base_url.help, 17)));
    }
    for template in &manifest.scope_templates {
        let scopes: Vec<String> = template.scopes.iter().map(ToString::to_string).collect();
        lines.push(format!("  scopes for {}: {}", template.label, scopes.join(", ")));
    }
    lines
}

fn limits(manifest: &Manifest, paint: Paint) -> Vec<String> {
    let asked = manifest.limits.entries();
    if asked.is_empty() {
        return Vec::new();
    }
    let words = asked.iter().map(|(name, value)| format!("  {name} = {value}"));
    std::iter::once(section("Limits it asks for", paint)).chain(words).collect()
}

fn approval(record: &ApprovalRecord, paint: Paint) -> Vec<String> {
    let approval = &record.approval;
    let state = match &record.revoked {
        None => paint.good("in force"),
        Some(revoked) => paint.bad(&format!("taken back {} by {}", time(revoked.at_ms), revoked.by)),
    };
    let mut lines = vec![format!(
        "  {}  {state}, given {} by {}",
        paint.bold(approval.environment.as_str()),
        time(approval.approved_at_ms),
        approval.approved_by
    )];
    lines.extend(approval.note.iter().map(|note| format!("    note: {}", hang(note, 10))));
    if record.revoked.is_none() {
        lines.extend(given(&approval.grant).into_iter().map(|line| format!("    {line}")));
    }
    lines
}

/// What a grant gives, line by line.
pub(crate) fn given(grant: &Grant) -> Vec<String> {
    let mut lines = Vec::new();
    for (operation, said) in &grant.operations {
        if said.destinations.is_empty() {
            lines.push(format!("{operation}: may run, sends nothing"));
        }
        lines.extend(said.destinations.iter().map(|rule| format!("{operation}: {rule}")));
    }
    if !grant.scopes.is_empty() {
        let scopes: Vec<String> = grant.scopes.iter().map(ToString::to_string).collect();
        lines.push(format!("scopes: {}", scopes.join(", ")));
    }
    lines.extend(grant.addresses.iter().map(|address| format!("address: {address}")));
    lines
        .extend(grant.folders.iter().map(|(name, folder)| format!("folder {name}: {} {}", folder.access, folder.path)));
    lines.extend(grant.limits.entries().into_iter().map(|(name, value)| format!("limit: {name} = {value}")));
    lines
}
