//! S5: one policy decision, with 64 grants and 200 rules.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use model::{Digest, Manifest, Target};
use policy::{Approval, Authority, Ceiling, Grant, Subject};

use crate::report::{Row, median};

const GRANTS: usize = 64;
const RULES: usize = 200;
const DECISIONS: usize = 20_000;

pub(crate) fn measure(_target: &Path) -> Result<Vec<Row>> {
    let authorities = (0..GRANTS).map(authority).collect::<Result<Vec<_>>>()?;
    let urls: Vec<String> =
        (0..RULES).map(|rule| format!("https://api{rule}.example.com/v1/items/{rule}?x=1")).collect();
    let mut figures = Vec::new();
    for _ in 0..crate::report::ROUNDS {
        let mut nanoseconds = Vec::with_capacity(DECISIONS);
        for number in 0..DECISIONS {
            let authority = &authorities[number % GRANTS];
            let url = &urls[number * 7 % RULES];
            let begun = Instant::now();
            let target = Target::parse("POST", url)?;
            let permit = authority.decide(target);
            nanoseconds.push(begun.elapsed().as_nanos());
            permit.map_err(|denial| anyhow!("{denial}"))?;
        }
        nanoseconds.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of one decision")]
        figures.push(nanoseconds[DECISIONS * 99 / 100] as f64 / 1_000.0);
    }
    let ours = median(&mut figures);
    Ok(vec![Row {
        id: "S5".to_owned(),
        what: format!("p99 of one decision, URL parsed and decided; {GRANTS} grants, {RULES} rules each"),
        ours,
        reference: None,
        unit: "us".to_owned(),
        ratio: None,
        target: "at most 10 us".to_owned(),
        met: ours <= 10.0,
        rounds: crate::report::ROUNDS,
    }])
}

fn authority(number: usize) -> Result<Authority> {
    let mut rules = String::new();
    for rule in 0..RULES {
        writeln!(rules, "  \"GET,POST https://api{rule}.example.com/v1/**\",")?;
    }
    let grant = format!("version = 1\nplugin = \"bench\"\n[operations.send]\ndestinations = [\n{rules}]\n");
    let grant = Grant::parse(&grant, "grant.toml").map_err(|problems| anyhow!("{problems:?}"))?;
    let ceiling = Ceiling::parse(crate::host::CEILING, "ceiling.toml").map_err(|problems| anyhow!("{problems:?}"))?;
    let digest = Digest::of(&number.to_le_bytes());
    let environment = crate::host::environment();
    let approval = Approval {
        digest,
        environment: environment.clone(),
        grant,
        approved_by: "bench".to_owned(),
        approved_at_ms: 0,
        note: None,
    };
    let manifest: Manifest = serde_json::from_value(manifest())?;
    let action = manifest.actions.first().ok_or_else(|| anyhow!("the manifest has an action"))?;
    Authority::try_new(
        &Arc::new(ceiling),
        Some(&Arc::new(approval)),
        &digest,
        &environment,
        &manifest,
        Subject::Action(action),
        None,
    )
    .map_err(|denial| anyhow!("{denial}"))
}

fn manifest() -> serde_json::Value {
    serde_json::json!({
        "manifest_version": 1, "id": "bench", "version": "1.0.0", "label": "Bench", "publisher": "bench",
        "license": "MIT", "support": { "owner": "bench", "contact": "bench@example.com", "policy": "none" },
        "purpose": "Is measured.", "data": "None.",
        "actions": [{
            "id": "send", "label": "Send", "help": "Sends.", "effect": "create", "idempotency": { "kind": "none" },
            "destinations": (0..RULES).map(|rule| format!("GET,POST https://api{rule}.example.com/v1/**")).collect::<Vec<_>>(),
            "input": {}, "output": {}, "sample": { "input": {}, "output": {} }
        }]
    })
}
