//! What must hold for every document and every request. Documents of any text are tried in
//! `tests/fuzzed`.

use std::sync::Arc;

use model::Manifest;
use policy::{AddressPolicy, Ceiling, Grant};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;

use crate::fixtures::{Case, action, manifest};

const HOSTS: [&str; 6] = ["a.example", "b.a.example", "c.b.a.example", "evila.example", "127.0.0.1", "[2606:4700::1]"];
const PLACES: [&str; 8] = [
    "a.example",
    "*.a.example",
    "b.a.example",
    "*.b.a.example",
    "evila.example",
    "127.0.0.1",
    "[2606:4700::1]",
    "*.example",
];
const PATHS: [&str; 6] = ["", "/**", "/v1/**", "/v1/*", "/v1/x", "/*/x"];

fn rule(places: &'static [&'static str]) -> impl Strategy<Value = String> {
    let methods = select(vec!["*", "GET", "POST", "GET,POST"]);
    let scheme = select(vec!["https", "http"]);
    let port = select(vec!["", ":8443"]);
    (methods, scheme, select(places), port, select(PATHS.to_vec()))
        .prop_map(|(methods, scheme, host, port, path)| format!("{methods} {scheme}://{host}{port}{path}"))
}

fn rules(most: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set(rule(&PLACES), 0..most).prop_map(|rules| rules.into_iter().collect())
}

fn request() -> impl Strategy<Value = (String, String)> {
    let path = select(vec!["/", "/v1", "/v1/x", "/v1/y", "/v1/x/y", "/q/x"]);
    let port = select(vec!["", ":8443"]);
    (select(vec!["GET", "POST", "PUT"]), select(vec!["https", "http"]), select(HOSTS.to_vec()), port, path)
        .prop_map(|(method, scheme, host, port, path)| (method.to_owned(), format!("{scheme}://{host}{port}{path}")))
}

fn canonical(rules: &[String]) -> Vec<String> {
    let mut rules: Vec<String> =
        rules.iter().map(|rule| rule.parse::<policy::CeilingRule>().unwrap().to_string()).collect();
    rules.sort();
    rules.dedup();
    rules
}

fn ceiling(allowed: &[String], denied: &[String]) -> String {
    format!(
        "version = 1\nallowed = {:?}\ndenied = {:?}\naddresses = [\"127.0.0.1:*\"]",
        canonical(allowed),
        canonical(denied)
    )
}

fn grant(rules: &[String]) -> String {
    let addresses = "[\"127.0.0.1:80\", \"127.0.0.1:443\"]";
    format!(
        "version = 1\nplugin = \"p\"\naddresses = {addresses}\n[operations.go]\ndestinations = {:?}",
        canonical(rules)
    )
}

fn asking(reaches: &[String]) -> Manifest {
    let reaches: Vec<&str> = reaches.iter().map(String::as_str).collect();
    manifest("p", &Value::Null, &[action("go", &reaches, &[], "none", "none")], &[])
}

fn everything() -> Vec<String> {
    PLACES
        .iter()
        .flat_map(|host| ["https", "http"].map(|scheme| format!("* {scheme}://{host}")))
        .chain(PLACES.iter().flat_map(|host| ["https", "http"].map(|scheme| format!("* {scheme}://{host}:8443"))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_deny_never_widens(
        allowed in rules(6), denied in rules(3), more in rule(&PLACES), given in rules(6), sent in request(),
    ) {
        let manifest = asking(&everything());
        let before = Case::new(&ceiling(&allowed, &denied), &grant(&given), manifest.clone(), "go");
        let all: Vec<String> = denied.iter().cloned().chain([more]).collect();
        let after = Case::new(&ceiling(&allowed, &all), &grant(&given), manifest, "go");
        prop_assert!(before.decide(&sent.0, &sent.1).is_ok() || after.decide(&sent.0, &sent.1).is_err());
    }

    #[test]
    fn removing_a_rule_never_widens(
        (given, fewer) in rules(8).prop_flat_map(|rules| (Just(rules.clone()), subsequence(rules.clone(), 0..=rules.len()))),
        (asked, less) in rules(8).prop_flat_map(|rules| (Just(rules.clone()), subsequence(rules.clone(), 0..=rules.len()))),
        sent in request(),
    ) {
        let all = ceiling(&everything(), &[]);
        let whole = Case::new(&all, &grant(&given), asking(&asked), "go").decide(&sent.0, &sent.1);
        let by_grant = Case::new(&all, &grant(&fewer), asking(&asked), "go").decide(&sent.0, &sent.1);
        let by_manifest = Case::new(&all, &grant(&given), asking(&less), "go").decide(&sent.0, &sent.1);
        let by_ceiling = Case::new(&ceiling(&fewer, &[]), &grant(&given), asking(&asked), "go").decide(&sent.0, &sent.1);
        prop_assert!(whole.is_ok() || (by_grant.is_err() && by_manifest.is_err() && by_ceiling.is_err()));
    }

    #[test]
    fn explain_agrees_with_decide_and_decide_with_a_plain_search(
        allowed in rules(6), denied in rules(3), asked in rules(6), given in rules(6), sent in request(),
    ) {
        let case = Case::new(&ceiling(&allowed, &denied), &grant(&given), asking(&asked), "go");
        let answer = case.decide(&sent.0, &sent.1);
        let told = case.explain(&sent.0, &sent.1);
        prop_assert_eq!(told.allowed, answer.is_ok());
        prop_assert_eq!(told.allowed, told.steps.iter().all(|step| step.passes));
        prop_assert_eq!(told.denial.as_ref(), answer.as_ref().err());
        let target = model::Target::parse(&sent.0, &sent.1).unwrap();
        let any = |rules: &[String]| rules.iter().any(|rule| rule.parse::<model::Destination>().unwrap().matches(&target));
        let address = matches!(target.host, model::Host::Address(address) if address.is_loopback());
        let dialled = !address || [80, 443].contains(&target.port);
        let wanted = any(&allowed) && !any(&denied) && any(&asked) && any(&given) && dialled;
        prop_assert_eq!(answer.is_ok(), wanted);
    }

    #[test]
    fn a_host_that_no_rule_names_is_never_reached(
        given in rules(8), label in "[a-z][a-z0-9-]{0,8}[a-z0-9]", suffix in select(vec!["example.org", "a.example.org", "xa.example.org", "test"]),
        scheme in select(vec!["https", "http"]),
    ) {
        let case = Case::new("version = 1\nallowed = [\"* https://*:*\", \"* http://*:*\"]", &grant(&given), asking(&everything()), "go");
        let url = format!("{scheme}://{label}.{suffix}/v1/x");
        prop_assert!(case.decide("GET", &url).is_err());
    }

    #[test]
    fn parse_then_print_is_the_identity(
        rules in rules(6), denied in rules(4), scopes in proptest::collection::vec("[!-~]{1,20}", 0..4),
        note in proptest::option::of(any::<String>()), wall in proptest::option::of(1..=u64::MAX), folder in "/[a-z\"'\\\\ ]{1,10}x",
    ) {
        let mut document = Grant::parse(&grant(&rules), "a.toml").unwrap();
        document.scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        document.note = note;
        document.limits.wall_ms = wall;
        document.folders.insert("in".parse().unwrap(), policy::FolderGrant {
            path: folder.parse().unwrap(), access: policy::FolderAccess::Write,
        });
        let printed = document.to_toml();
        prop_assert_eq!(Grant::parse(&printed, "a.toml"), Ok(document), "{}", printed);
        let document = Ceiling::parse(&ceiling(&rules, &denied), "a.toml").unwrap();
        prop_assert_eq!(Ceiling::parse(&document.to_toml(), "a.toml"), Ok(document));
    }

    #[test]
    fn an_address_of_the_private_network_is_never_public(bits in any::<u32>(), port in 1..=u16::MAX) {
        let case = Case::new("version = 1\nallowed = [\"* https://*:*\"]", &grant(&["GET https://a.example".into()]),
            asking(&["GET https://a.example".into()]), "go");
        let permit = case.decide("GET", "https://a.example/").unwrap();
        let addresses: &AddressPolicy = permit.addresses();
        let address = std::net::Ipv4Addr::from_bits(bits);
        let plain = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
            || address.is_broadcast() || address.is_documentation() || address.is_unspecified();
        prop_assert!(!plain || addresses.check((address, port).into()).is_err());
        prop_assert!(addresses.check((address.to_ipv6_mapped(), port).into()).is_err());
        prop_assert!(addresses.check((address.to_ipv6_compatible(), port).into()).is_err());
    }
}

#[test]
fn an_authority_may_cross_threads() {
    fn check<T: Send + Sync + Clone>(_: &T) {}
    let rules = ["GET https://a.example".to_owned()];
    let case = Case::new(&ceiling(&rules, &[]), &grant(&rules), asking(&rules), "go");
    check(&case.authority().unwrap());
    assert_eq!(Arc::strong_count(&case.ceiling), 1);
}
