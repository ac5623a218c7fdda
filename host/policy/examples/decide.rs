//! How long one decision takes with 64 grants and 200 rules: prints a table, asserts nothing.
//!
//! `cargo run -p policy --example decide`

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use model::{Digest, Environment, Manifest, Target};
use policy::{Approval, Authority, Ceiling, Grant, Subject};
use serde_json::json;

const GRANTS: usize = 64;
const RULES: usize = 200;
const ROUNDS: usize = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let ceiling = Arc::new(parsed(Ceiling::parse(&ceiling(), "ceiling.toml"))?);
    let environment: Environment = "test".parse()?;
    let authorities = (0..GRANTS)
        .map(|at| Ok(Parties::new(&environment, at, RULES)?.authority(&ceiling, &environment)?))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    for (what, url) in [
        ("permit, exact host", "https://host-150.example.com/v1/repos/a/b/issues"),
        ("permit, below a domain", "https://a.b.wild-7.example.net/v1/x"),
        ("denial", "https://host-150.example.com/other"),
        ("denial, unknown host", "https://evil.example.org/v1/x"),
    ] {
        measure(what, &authorities, &Target::parse("POST", url)?);
    }
    for rules in [1, RULES] {
        let parties = Parties::new(&environment, 0, rules)?;
        let started = Instant::now();
        for _ in 0..1000 {
            black_box(parties.authority(&ceiling, &environment)?);
        }
        println!("authority of {rules} rules made in {:.1} us", started.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(())
}

fn parsed<T>(answer: Result<T, Vec<model::Problem>>) -> Result<T, String> {
    answer.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn ceiling() -> String {
    let denied: Vec<String> = (0..RULES).map(|at| format!("* https://evil-{at}.example.com:*")).collect();
    format!("version = 1\nallowed = [\"* https://*:*\"]\ndenied = {denied:?}")
}

fn destinations(rules: usize) -> Vec<String> {
    let exact = (0..RULES - 20).map(|at| format!("POST https://host-{at}.example.com/v1/**"));
    exact.chain((0..20).map(|at| format!("POST https://*.wild-{at}.example.net/**"))).take(rules).collect()
}

struct Parties {
    manifest: Manifest,
    approval: Arc<Approval>,
}

impl Parties {
    fn new(environment: &Environment, at: usize, rules: usize) -> Result<Self, Box<dyn Error>> {
        let manifest: Manifest = serde_json::from_value(json!({
            "manifest_version": 1, "id": format!("p{at}"), "version": "1.0.0", "label": "P", "publisher": "us",
            "license": "MIT", "support": { "owner": "us", "contact": "us@example.com", "policy": "none" },
            "purpose": "measures", "data": "none", "actions": [{
                "id": "go", "label": "Go", "help": "goes", "effect": "read", "idempotency": { "kind": "natural" },
                "destinations": destinations(rules), "input": {}, "output": {}, "sample": { "input": {}, "output": {} },
            }],
        }))?;
        let text =
            format!("version = 1\nplugin = \"p{at}\"\n[operations.go]\ndestinations = {:?}", destinations(rules));
        let approval = Arc::new(Approval {
            digest: Digest::of(text.as_bytes()),
            environment: environment.clone(),
            grant: parsed(Grant::parse(&text, "grant.toml"))?,
            approved_by: "ada".to_owned(),
            approved_at_ms: 0,
            note: None,
        });
        Ok(Self { manifest, approval })
    }

    fn authority(&self, ceiling: &Arc<Ceiling>, environment: &Environment) -> Result<Authority, policy::Denial> {
        let subject = Subject::Action(&self.manifest.actions[0]);
        let digest = &self.approval.digest;
        Authority::try_new(ceiling, Some(&self.approval), digest, environment, &self.manifest, subject, None)
    }
}

fn measure(what: &str, authorities: &[Authority], target: &Target) {
    let mut times: Vec<u64> = (0..ROUNDS)
        .map(|round| {
            let (authority, target) = (&authorities[round % authorities.len()], target.clone());
            let started = Instant::now();
            let answer = black_box(authority.decide(target));
            let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            drop(answer);
            took
        })
        .collect();
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 1000] as f64 / 1000.0;
    println!("{what:<24} median {:>6.2} us, p99 {:>6.2} us, p99.9 {:>6.2} us", at(500), at(990), at(999));
}
