//! Decisions as a table: who must agree, what a denial says, where a credential goes.

use policy::{Denial, check_connection};
use serde_json::{Value, json};

use crate::fixtures::{Case, OPEN, action, files, fixed, github, http, manifest};

/// What is wanted: the rule of the permit, or the code of the denial.
fn check(case: &Case, method: &str, url: &str, wanted: Result<&str, &str>) -> Option<Denial> {
    let answer = case.decide(method, url);
    let told = case.explain(method, url);
    assert_eq!(told.allowed, answer.is_ok(), "{told}");
    assert_eq!(told.denial.as_ref(), answer.as_ref().err(), "{told}");
    match (answer, wanted) {
        (Ok(permit), Ok(rule)) => {
            assert_eq!(permit.rule(), rule, "{method} {url}");
            assert_eq!(told.carries_credential, permit.may_carry_credential(), "{method} {url}");
            None
        }
        (Err(denial), Err(code)) => {
            assert_eq!(denial.code, code, "{method} {url}: {denial}");
            assert!(!denial.rule.is_empty() && !denial.fix.is_empty(), "{denial}");
            Some(denial)
        }
        (answer, wanted) => panic!("{method} {url}: {answer:?}, wanted {wanted:?}"),
    }
}

const SLACK: &str = "version = 1\nplugin = \"slack\"\nscopes = [\"chat:write\"]\n\
     [operations.post-message]\ndestinations = [\"POST https://slack.com/api/chat.postMessage\"]";
const POST: &str = "https://slack.com/api/chat.postMessage";

fn posting(ceiling: &str) -> Case {
    Case::new(ceiling, SLACK, fixed(), "post-message").connected(None, &["chat:write"])
}

#[test]
fn all_four_must_agree_and_a_deny_wins() {
    let rule = Ok("grant slack: POST https://slack.com/api/chat.postMessage");
    check(&posting(OPEN), "POST", POST, rule);
    check(&posting(OPEN), "POST", &format!("{POST}?x=1"), rule);
    check(&posting(OPEN), "GET", POST, Err("manifest-missing-destination"));
    check(&posting(OPEN), "POST", "https://slack.com/api/chat.delete", Err("manifest-missing-destination"));
    check(
        &posting(OPEN),
        "POST",
        "https://slack.com.evil.example/api/chat.postMessage",
        Err("manifest-missing-destination"),
    );
    check(&posting(OPEN), "POST", "https://slack.com:8443/api/chat.postMessage", Err("manifest-missing-destination"));
    check(&posting("version = 1"), "POST", POST, Err("ceiling-missing-rule"));
    let denying = format!("{OPEN}\ndenied = [\"* https://slack.com\"]");
    check(&posting(&denying), "POST", POST, Err("ceiling-denies"));
    let reading = format!("{OPEN}\nmethods = [\"GET\"]");
    check(&posting(&reading), "POST", POST, Err("ceiling-method"));
    let ungranted =
        posting(OPEN).with_grant(|grant| grant.operations.values_mut().for_each(|said| said.destinations.clear()));
    check(&ungranted, "POST", POST, Err("grant-missing-rule"));
}

#[test]
fn an_operation_runs_only_as_approved() {
    let good = posting(OPEN);
    let change = |change: &dyn Fn(&mut Case)| {
        let mut case = good.clone();
        change(&mut case);
        case
    };
    check(&change(&|case| case.approval = None), "POST", POST, Err("not-approved"));
    check(&change(&|case| case.digest = model::Digest::of(b"another")), "POST", POST, Err("not-approved"));
    check(&change(&|case| case.environment = "production".parse().unwrap()), "POST", POST, Err("other-environment"));
    let elsewhere = change(&|case| case.connection.as_mut().unwrap().environment = "production".parse().unwrap());
    check(&elsewhere, "POST", POST, Err("other-environment"));
    check(
        &change(&|case| case.connection.as_mut().unwrap().plugin = "github".parse().unwrap()),
        "POST",
        POST,
        Err("other-plugin"),
    );
    check(&change(&|case| case.connection = None), "POST", POST, Err("connection-missing"));
    check(
        &change(&|case| case.connection.as_mut().unwrap().scopes.clear()),
        "POST",
        POST,
        Err("connection-missing-scopes"),
    );
    check(&good.with_grant(|grant| grant.scopes.clear()), "POST", POST, Err("grant-missing-scopes"));
    check(&good.with_grant(|grant| grant.operations.clear()), "POST", POST, Err("grant-missing-operation"));
    check(&good.with_grant(|grant| grant.plugin = "other".parse().unwrap()), "POST", POST, Err("other-plugin"));
    let teams = good.with_grant(|grant| grant.teams = vec!["ops".parse().unwrap()]);
    check(&teams, "POST", POST, Err("grant-missing-team"));
    let mut owned = teams;
    owned.connection.as_mut().unwrap().team = Some("ops".parse().unwrap());
    check(&owned, "POST", POST, Ok("grant slack: POST https://slack.com/api/chat.postMessage"));
    check(&posting(&format!("{OPEN}\npublishers = [\"Somebody\"]")), "POST", POST, Err("ceiling-publisher"));
}

#[test]
fn a_denial_holds_the_lines_to_paste() {
    let empty = posting("version = 1").with_grant(|grant| {
        grant.operations.values_mut().for_each(|said| said.destinations.clear());
    });
    let denial = check(&empty, "POST", &format!("{POST}?token=secret"), Err("ceiling-missing-rule")).unwrap();
    let approve = format!("sluice plugin approve {} --grant FILE --environment test", empty.digest);
    assert_eq!(denial.what, "slack/post-message may not send POST https://slack.com/api/chat.postMessage");
    assert_eq!(
        denial.fix,
        format!(
            "in ceiling.toml, add to allowed and start the host again:\n    \"* https://slack.com\",\n\
             in the grant of slack, under [operations.post-message], add:\n\
             destinations = [\"POST https://slack.com/api/chat.postMessage\"]\nthen: {approve}"
        )
    );
    let unnamed = posting(OPEN).with_grant(|grant| grant.operations.clear());
    let denial = check(&unnamed, "POST", POST, Err("grant-missing-operation")).unwrap();
    assert!(
        denial
            .fix
            .contains("[operations.post-message]\ndestinations = [\"POST https://slack.com/api/chat.postMessage\"]\n")
    );
    let mut unapproved = posting(OPEN);
    unapproved.approval = None;
    assert_eq!(check(&unapproved, "POST", POST, Err("not-approved")).unwrap().fix, approve);
    assert!(!denial.to_string().contains("secret"));
}

const GITHUB: &str = "version = 1\nplugin = \"github\"\nscopes = [\"issues:write\"]\n[operations.\"*\"]\ndestinations = [\"* https://api.github.com/**\", \
     \"* https://git.example.com/api/v3/**\", \"* https://*.wild.example/**\"]";

fn issue(base: Option<&str>) -> Case {
    Case::new(OPEN, GITHUB, github(), "create-issue").connected(base, &["issues:write"])
}

#[test]
fn a_base_url_says_where_and_the_grant_names_it() {
    let (cloud, own) = ("https://api.github.com/repos/a/b/issues", "https://git.example.com/api/v3/repos/a/b/issues");
    check(&issue(None), "POST", cloud, Ok("grant github: * https://api.github.com/**"));
    check(&issue(None), "POST", own, Err("outside-base-url"));
    let at_home = issue(Some("https://git.example.com/api/v3"));
    check(&at_home, "POST", own, Ok("grant github: * https://git.example.com/api/v3/**"));
    check(&at_home, "POST", cloud, Err("outside-base-url"));
    check(&at_home, "POST", "https://git.example.com/repos/a/b/issues", Err("manifest-missing-destination"));
    let wild = issue(Some("https://a.wild.example"));
    check(&wild, "POST", "https://a.wild.example/repos/a/b/issues", Err("grant-missing-origin"));
    check(&issue(Some("https://evil.example")), "POST", cloud, Err("grant-missing-origin"));
    let local = issue(Some("http://127.0.0.1:9100"));
    check(&local, "POST", "http://127.0.0.1:9100/repos/a/b/issues", Err("grant-missing-origin"));
}

#[test]
fn a_connection_is_made_only_where_the_grant_names_it() {
    for (base, wanted) in [
        (None, Ok(())),
        (Some("https://git.example.com/api/v3"), Ok(())),
        (Some("https://a.wild.example"), Err("grant-missing-origin")),
        (Some("http://git.example.com/api/v3"), Err("grant-missing-origin")),
        (Some("https://git.example.com:444/api/v3"), Err("grant-missing-origin")),
    ] {
        let case = issue(base);
        let facts = case.connection.as_ref().unwrap();
        let answer = check_connection(&case.ceiling, case.approval.as_ref().unwrap(), &case.manifest, facts);
        assert_eq!(answer.as_ref().map_err(|denial| denial.code).copied(), wanted, "{base:?}");
    }
    let slack = posting(OPEN).connected(Some("https://slack.com"), &["chat:write"]);
    check(&slack, "POST", POST, Err("base-url-unexpected"));
}

#[test]
fn what_a_manifest_leaves_open_the_grant_must_name() {
    let grant = "version = 1\nplugin = \"http\"\naddresses = [\"127.0.0.1:9100\"]\n[operations.get]\ndestinations = \
         [\"GET https://a.example/**\", \"GET https://*.b.example/**\", \"GET http://127.0.0.1:9100\", \"GET http://127.0.0.1:9101\"]";
    let case = Case::new(OPEN, grant, http(), "get");
    check(&case, "GET", "https://a.example/x", Ok("grant http: GET https://a.example/**"));
    check(&case, "GET", "https://c.b.example/x", Err("grant-missing-rule"));
    check(&case, "HEAD", "https://a.example/x", Err("manifest-missing-destination"));
    check(&case, "POST", "https://a.example/x", Err("manifest-missing-destination"));
    check(&case, "GET", "http://127.0.0.1:9100/", Ok("grant http: GET http://127.0.0.1:9100/**"));
    check(&case, "GET", "http://2130706433:9100/", Ok("grant http: GET http://127.0.0.1:9100/**"));
    check(&case, "GET", "http://127.0.0.1:9101/", Err("address-not-named"));
    check(&case, "GET", "http://[::ffff:127.0.0.1]:9100/", Err("grant-missing-rule"));
    let connected = case.connected(Some("https://a.example/api"), &[]);
    check(&connected, "GET", "https://a.example/api/x", Ok("grant http: GET https://a.example/**"));
    check(&connected, "GET", "https://a.example/x", Err("manifest-missing-destination"));
    check(&connected, "GET", "http://127.0.0.1:9100/", Err("outside-base-url"));
}

#[test]
fn a_wildcard_of_the_manifest_is_no_leave_for_wildcards_of_the_grant() {
    let asks = manifest("wide", &Value::Null, &[action("get", &["GET https://*"], &[], "none", "none")], &[]);
    let grant = "version = 1\nplugin = \"wide\"\n[operations.get]\ndestinations = [\"GET https://*.a.example\", \"GET https://b.example\"]";
    let case = Case::new(OPEN, grant, asks, "get");
    check(&case, "GET", "https://x.a.example/", Err("grant-missing-rule"));
    check(&case, "GET", "https://b.example/", Ok("grant wide: GET https://b.example/**"));
}

#[test]
fn a_credential_stays_within_its_audience() {
    let carries = |case: &Case, method: &str, url: &str| case.decide(method, url).unwrap().may_carry_credential();
    assert!(carries(&posting(OPEN), "POST", POST));
    assert!(carries(&issue(None), "POST", "https://api.github.com/repos/a/b/issues"));
    let connection = json!({
        "base_url": { "default": "https://api.up.example", "help": "-" }, "auth": [{ "scheme": "bearer", "help": "-" }],
    });
    let reaches = ["PUT {base-url}/files/*", "PUT https://store.up.example/**"];
    let upload = manifest("up", &connection, &[action("put", &reaches, &[], "optional", "none")], &[]);
    let grant = "version = 1\nplugin = \"up\"\n[operations.put]\ndestinations = [\"PUT https://api.up.example\", \"PUT https://store.up.example\"]";
    let alone = Case::new(OPEN, grant, upload, "put");
    let case = alone.clone().connected(None, &[]);
    assert!(carries(&case, "PUT", "https://api.up.example/files/1"));
    assert!(!carries(&case, "PUT", "https://store.up.example/files/1"));
    assert!(!carries(&alone, "PUT", "https://api.up.example/files/1"));

    let connection = json!({ "auth": [{ "scheme": "bearer", "help": "-" }] });
    let reaches = ["GET https://*.wide.example", "GET https://one.wide.example"];
    let wide = manifest("wide", &connection, &[action("get", &reaches, &[], "optional", "none")], &[]);
    let grant = "version = 1\nplugin = \"wide\"\n[operations.get]\ndestinations = [\"GET https://*.wide.example\"]";
    let case = Case::new(OPEN, grant, wide, "get").connected(None, &[]);
    assert!(carries(&case, "GET", "https://one.wide.example/"));
    assert!(!carries(&case, "GET", "https://two.wide.example/"), "a wildcard is no audience");
}

#[test]
fn a_trigger_sends_nothing_and_overlong_targets_go_nowhere() {
    let mut case = issue(None);
    case.operation = "push".into();
    check(&case, "POST", "https://api.github.com/repos/a/b/issues", Err("manifest-missing-destination"));
    check(&issue(None), "POST", &format!("https://api.github.com/{}", "a/".repeat(300)), Err("target-too-long"));
    check(&issue(None), "POST", &format!("https://{}com/", "a.".repeat(130)), Err("target-too-long"));
}

#[test]
fn limits_are_asked_given_and_capped() {
    let ceiling = format!("{OPEN}\n[limits]\nwall_ms = 40000\nrequests = 5\nhandles = 20");
    let mut case = posting(&ceiling).with_grant(|grant| {
        grant.limits.wall_ms = Some(90_000);
        grant.limits.cpu_ms = Some(5_000);
        grant.limits.handles = Some(50);
        grant.limits.table_elements = Some(u64::MAX);
        grant.limits.url_bytes = Some(100);
    });
    case.manifest.limits.memory_bytes = Some(1 << 20);
    case.manifest.limits.log_bytes = Some(1 << 40);
    let limits = case.authority().unwrap().limits();
    assert_eq!((limits.wall_ms, limits.cpu_ms, limits.requests), (40_000, 5_000, 5));
    assert_eq!((limits.memory_bytes, limits.log_bytes), (1 << 20, model::Limits::default().log_bytes));
    assert_eq!((limits.handles, limits.url_bytes), (20, 100));
    assert_eq!(limits.table_elements, 65_536, "what the host is built for is the most, whatever a grant says");
}

#[test]
fn folders_need_manifest_grant_and_ceiling() {
    let grant = "version = 1\nplugin = \"files\"\n[operations.\"*\"]\n[folders.in]\npath = \"/srv/in\"\naccess = \"read\"\n\
         [folders.out]\npath = \"/srv/out\"\naccess = \"write\"\n[folders.etc]\npath = \"/etc\"\naccess = \"write\"";
    for (operation, folder, write, wanted) in [
        ("read-text", "in", false, Ok("grant files: folder in, read")),
        ("read-text", "out", false, Ok("grant files: folder out, write")),
        ("read-text", "out", true, Err("manifest-missing-files")),
        ("write-text", "out", true, Ok("grant files: folder out, write")),
        ("write-text", "in", true, Err("grant-missing-folder")),
        ("write-text", "tmp", true, Err("grant-missing-folder")),
        ("write-text", "../in", true, Err("grant-missing-folder")),
        ("write-text", "etc", true, Err("ceiling-missing-folder")),
    ] {
        let authority = Case::new(OPEN, grant, files(), operation).authority().unwrap();
        let answer = authority.decide_file(folder, write);
        let short = answer.as_ref().map(|permit| permit.rule()).map_err(|denial| denial.code);
        assert_eq!(short, wanted, "{operation} {folder} {write}");
        if let Ok(permit) = answer {
            assert_eq!((permit.path().starts_with("/srv"), permit.may_write()), (true, write));
        }
    }
}

#[test]
fn the_fix_for_a_folder_gives_all_that_the_operation_asks_for() {
    let grant = "version = 1\nplugin = \"files\"\n[operations.\"*\"]";
    for (operation, write, wanted) in [
        ("read-text", false, "access = \"read\""),
        ("write-text", false, "access = \"write\""),
        ("write-text", true, "access = \"write\""),
    ] {
        let authority = Case::new(OPEN, grant, files(), operation).authority().unwrap();
        let fix = authority.decide_file("in", write).unwrap_err().fix;
        assert!(fix.contains(wanted), "{operation} {write}: {fix}");
    }
}

#[test]
fn below_a_base_url_that_nobody_says_is_nowhere() {
    let connection = json!({ "base_url": { "help": "-" }, "auth": [{ "scheme": "none", "help": "-" }] });
    let asks = manifest("own", &connection, &[action("get", &["GET {base-url}/x"], &[], "optional", "none")], &[]);
    let grant = "version = 1\nplugin = \"own\"\n[operations.get]\ndestinations = [\"GET https://a.example\"]";
    let case = Case::new(OPEN, grant, asks, "get");
    check(&case, "GET", "https://a.example/x", Err("no-base-url"));
    check(&case.clone().connected(None, &[]), "GET", "https://a.example/x", Err("base-url-missing"));
    let rule = Ok("grant own: GET https://a.example/**");
    check(&case.connected(Some("https://a.example"), &[]), "GET", "https://a.example/x", rule);
}

#[test]
fn an_explanation_reads_in_the_order_of_the_parties() {
    let told = posting(OPEN).explain("POST", POST).to_string();
    let digest = posting(OPEN).digest;
    let wanted = format!(
        "allowed: slack/post-message: POST https://slack.com/api/chat.postMessage
  approval          yes  {digest} in test, approved by ada
  ceiling, denied   yes  no rule denies it
  ceiling, allowed  yes  * https://*:*/**
  grant             yes  grant slack: POST https://slack.com/api/chat.postMessage
  manifest          yes  POST https://slack.com/api/chat.postMessage
  connection        yes  account in test
  the credential goes along
"
    );
    assert_eq!(told, wanted);
    let told = posting("version = 1").explain("POST", POST).to_string();
    assert!(told.starts_with("denied: ") && told.contains("ceiling, allowed  NO   no rule allows it"), "{told}");
    assert!(told.ends_with("add to allowed and start the host again:\n        \"* https://slack.com\","), "{told}");
}
