//! The command line as people and programs use it: the real binary, real files, a
//! real host on free ports.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;

use std::os::unix::fs::PermissionsExt as _;

use bench::{Bench, Host};
use serde_json::{Value, json};

#[test]
fn help_names_every_command_and_shows_examples() {
    let bench = Bench::new();
    let top = bench.run(&["--help"]);
    assert_eq!(top.code, 0);
    for noun in ["serve", "plugin", "connection", "policy", "flow", "run", "backup", "restore"] {
        assert!(top.out.contains(&format!("\n  {noun} ")), "{noun} is missing in\n{}", top.out);
    }
    assert!(!top.out.contains("compile-component"), "inner commands are hidden");
    for (noun, verbs) in [
        ("plugin", &["install", "list", "show", "approve", "revoke", "call", "new", "test"][..]),
        ("connection", &["add", "list", "check", "revoke"]),
        ("policy", &["check", "explain"]),
        ("flow", &["check", "test", "apply", "list", "show", "run"]),
        ("run", &["list", "show", "replay"]),
    ] {
        let help = bench.run(&[noun, "--help"]);
        for verb in verbs {
            assert!(help.out.contains(&format!("\n  {verb} ")), "{noun} {verb} is missing in\n{}", help.out);
            let help = bench.run(&[noun, verb, "--help"]);
            assert_eq!(help.code, 0);
            assert!(*verb == "list" || help.out.contains("Example"), "{noun} {verb} has no example");
        }
    }
    for noun in ["serve", "backup", "restore"] {
        assert!(bench.run(&[noun, "--help"]).out.contains("Examples:"), "{noun} has no example");
    }
}

#[test]
fn wrong_usage_has_its_own_code() {
    let bench = Bench::new();
    for arguments in [
        &["nonsense"][..],
        &["flow", "run"],
        &["run", "show", "short"],
        &["run", "list", "--status", "done"],
        &["--environment", "No Name", "flow", "list"],
        &["connection", "add", "slack", "--id", "a", "--auth", "basic", "--secret-stdin"],
        &["connection", "add", "slack", "--id", "a", "--secret-file", "a", "--secret-stdin"],
        &["connection", "add", "slack", "--id", "a", "--auth", "bearer"],
        &["flow", "run", "greet", "--input", "{not json"],
    ] {
        let ended = bench.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}\n{}{}", ended.out, ended.err);
        let told = bench.run(&[arguments, &["--json"]].concat());
        let document: Value = serde_json::from_str(&told.out).unwrap();
        assert!(document["problems"][0]["what"].is_string() && told.err.is_empty(), "{}{}", told.out, told.err);
        assert_eq!(told.code, 2, "{arguments:?}");
    }
    let signal = bench.run(&["flow", "signal", "paid", "--key", "1", "--payload", "{"]);
    assert!(signal.code == 2 && signal.err.contains("--payload:1:1"), "{}", signal.err);
    let help = bench.run(&["flow", "--help", "--json"]);
    assert!(help.code == 0 && help.out.contains("Usage:"), "{}", help.out);
}

#[test]
fn every_file_is_tried_and_told_of() {
    let bench = Bench::new();
    bench.write("one.yaml", GREET);
    bench.write("bad.yaml", "version: 1\nid: bad\nnam: Bad\ntrigger: { manual: {} }\nsteps: []\n");
    bench.write("two.yaml", &GREET.replace("id: greet", "id: greet-too"));
    let files = ["flow", "apply", "one.yaml", "bad.yaml", "two.yaml"];
    let ended = bench.run(&files);
    assert_eq!(ended.code, 1, "{}", ended.err);
    for wanted in ["(greet) is published", "(greet-too) is published"] {
        assert!(ended.out.contains(wanted), "{wanted:?} is missing in\n{}", ended.out);
    }
    assert!(ended.err.contains("bad.yaml:3") && !ended.err.contains("one.yaml"), "{}", ended.err);
    let told: Value = serde_json::from_str(&bench.run(&[&files[..], &["--json"]].concat()).out).unwrap();
    let ids: Vec<_> = told["flows"].as_array().unwrap().iter().map(|flow| flow["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["greet", "greet-too"]);
    assert!(!told["problems"].as_array().unwrap().is_empty());
}

#[test]
fn slips_in_files_get_line_and_suggestion() {
    let bench = Bench::new();
    bench.write("grant.toml", "version = 1\nplugin = \"slack\"\nscpes = [\"chat:write\"]\n");
    bench.write("ceiling.toml", "version = 1\nallowd = []\n");
    bench.write("good.toml", "version = 1\nplugin = \"slack\"\n[operations.post-message]\n");
    bench.write("flow.yaml", "version: 1\nid: greet\nnam: Greet\ntrigger: { manual: {} }\nsteps: []\n");
    for (arguments, wanted) in [
        (&["policy", "check", "grant.toml"][..], &["grant.toml:3:1", "scopes"][..]),
        (&["policy", "check", "ceiling.toml"], &["ceiling.toml:2:1", "allowed"]),
        (&["policy", "check", "good.toml", "gone.toml"], &["gone.toml cannot be read"]),
        (&["flow", "check", "flow.yaml"], &["flow.yaml:3", "write name"]),
        (&["flow", "apply", "flow.yaml"], &["flow.yaml:3", "write name"]),
        (&["plugin", "install", "flow.yaml"], &["flow.yaml", "component"]),
        (&["plugin", "approve", "slack", "--grant", "grant.toml"], &["grant.toml:3:1"]),
    ] {
        let ended = bench.run(arguments);
        assert_eq!(ended.code, 1, "{arguments:?}\n{}{}", ended.out, ended.err);
        assert!(ended.out.is_empty(), "problems go to standard error");
        for wanted in wanted {
            assert!(ended.err.contains(wanted), "{wanted:?} is missing in\n{}", ended.err);
        }
    }
    assert_eq!(bench.run(&["policy", "check", "good.toml"]).out, "good.toml: the grant is right.\n");
    let told = bench.run(&["policy", "check", "grant.toml", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert!(told["problems"][0]["field"].as_str().unwrap().contains("grant.toml:3:1"));
}

#[test]
fn grants_are_compared_with_the_ceiling_beside_them() {
    let bench = Bench::new();
    bench.write("ceiling.toml", "version = 1\n[limits]\nwall_ms = 1000\n");
    bench.write("within.toml", "version = 1\nplugin = \"slack\"\n[operations.post-message]\n");
    bench.write("beyond.toml", "version = 1\nplugin = \"slack\"\n[operations.a]\n[limits]\nwall_ms = 2000\n");
    let within = bench.run(&["policy", "check", "ceiling.toml", "within.toml"]);
    assert_eq!(within.out, "ceiling.toml: the ceiling is right.\nwithin.toml: the grant is right.\n");
    assert_eq!(within.code, 0, "{}", within.err);
    let beyond = bench.run(&["policy", "check", "beyond.toml", "ceiling.toml", "within.toml"]);
    assert_eq!(beyond.code, 1, "{}{}", beyond.out, beyond.err);
    for wanted in ["warning: beyond.toml goes beyond the ceiling", "wall_ms = 2000 is more than"] {
        assert!(beyond.out.contains(wanted), "{wanted:?} is missing in\n{}", beyond.out);
    }
    assert!(!beyond.out.contains("warning: within.toml"), "{}", beyond.out);
    let told = bench.run(&["policy", "check", "beyond.toml", "ceiling.toml", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["checked"][0]["beyond"][0]["code"], "beyond-ceiling");
    assert_eq!(bench.run(&["policy", "check", "beyond.toml"]).code, 0, "without a ceiling it is right");
}

#[test]
fn shipped_policies_are_right() {
    let bench = Bench::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let ended = bench.run(&["policy", "check", path.to_str().unwrap()]);
            assert_eq!(ended.code, 0, "{}", ended.err);
        }
    }
}

#[test]
fn what_is_denied_has_its_own_code() {
    let bench = Bench::new();
    bench.write("token.txt", "a-long-enough-token\n");
    let ended =
        bench.run(&["connection", "add", "slack", "--id", "team", "--auth", "bearer", "--secret-file", "token.txt"]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.err.contains("approved"), "{}", ended.err);
}

#[test]
fn works_without_a_host() {
    let bench = Bench::new();
    bench.write("greet.yaml", GREET);
    assert_eq!(bench.run(&["flow", "apply", "greet.yaml"]).code, 0);
    let run = bench.run(&["flow", "run", "greet", "--input", "{\"name\":\"Ada\"}", "--wait"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("succeeded") && run.out.contains("\"Hello Ada\""), "{}", run.out);
    bench.write("event.json", "{\"name\":\"Grace\"}");
    let later = bench.run(&["flow", "run", "greet", "--input", "@event.json"]);
    assert!(later.out.contains("No host is running"), "{}", later.out);
    let list = bench.json(&["run", "list"]);
    let states: Vec<&str> =
        list["runs"].as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "succeeded"], "newest first; the later one waits for a host");
    let cancelled = bench.run(&["run", "cancel", list["runs"][0]["id"].as_str().unwrap()]);
    assert!(cancelled.out.contains("it ends when one does"), "{}{}", cancelled.out, cancelled.err);
    assert_eq!(bench.mode("data"), 0o700);
    assert_eq!(bench.mode("data/vault.key"), 0o600);
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("data")).unwrap();
    std::fs::set_permissions(bench.path("data"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bench.write("data/letter.txt", "dear");
    let ended = bench.run(&["flow", "list"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("holds other things"), "{}", ended.err);
    assert_eq!(bench.mode("data"), 0o755);
}

#[test]
fn a_first_start_that_broke_off_before_its_key_is_made_up_for() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path("data/store")).unwrap();
    assert_eq!(bench.run(&["flow", "list"]).code, 0);
    assert_eq!(bench.mode("data/vault.key"), 0o600);
}

#[test]
fn a_paused_flow_says_that_its_runs_wait() {
    let bench = Bench::new();
    bench.write("greet.yaml", GREET);
    let host = Host::start(&bench);
    bench.json(&["flow", "apply", "greet.yaml"]);
    bench.json(&["flow", "pause", "greet"]);
    let again = bench.run(&["flow", "apply", "greet.yaml"]);
    assert!(again.out.contains("start it: ") && again.out.contains("its events wait"), "{}{}", again.out, again.err);
    let run = ["flow", "run", "greet", "--input", "{\"name\":\"Ada\"}"];
    let ways: [(&[&str], i32); 2] = [(&[], 0), (&["--wait"], 1)];
    for (further, code) in ways {
        let ended = bench.run(&[&run[..], further].concat());
        assert_eq!(ended.code, code, "{}{}", ended.out, ended.err);
        for wanted in ["is accepted", "is paused", "waits until sluice flow resume greet"] {
            assert!(ended.out.contains(wanted), "{wanted:?} is missing in\n{}", ended.out);
        }
    }
    assert_eq!(host.end().0, 0);
}

#[test]
fn a_ceiling_may_be_there_before_anything_else() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("data")).unwrap();
    bench.write("data/ceiling.toml", "version = 7\n");
    let ended = bench.run(&["flow", "list"]);
    assert!(ended.code != 0 && ended.err.contains("ceiling.toml"), "this ceiling is the one that holds: {}", ended.err);
    bench.write("data/ceiling.toml", "version = 1\nallowed = []\n");
    let ended = bench.run(&["flow", "list"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let kept = std::fs::read_to_string(bench.path("data/ceiling.toml")).unwrap();
    assert_eq!((kept.as_str(), bench.mode("data")), ("version = 1\nallowed = []\n", 0o700));
}

#[test]
fn a_ceiling_does_not_make_a_folder_the_hosts() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("data")).unwrap();
    bench.write("data/ceiling.toml", "version = 1\nallowed = []\n");
    bench.write("data/letter.txt", "dear");
    assert!(bench.run(&["flow", "list"]).err.contains("holds other things"));
    std::fs::remove_file(bench.path("data/letter.txt")).unwrap();
    std::fs::remove_file(bench.path("data/ceiling.toml")).unwrap();
    std::os::unix::fs::symlink(bench.path("nowhere"), bench.path("data/ceiling.toml")).unwrap();
    assert!(bench.run(&["flow", "list"]).err.contains("holds other things"), "a link is not the administrator's file");
}

#[test]
fn a_ceiling_that_leads_nowhere_is_not_replaced() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["flow", "list"]).code, 0);
    std::fs::remove_file(bench.path("data/ceiling.toml")).unwrap();
    std::os::unix::fs::symlink(bench.path("nowhere"), bench.path("data/ceiling.toml")).unwrap();
    assert_ne!(bench.run(&["flow", "list"]).code, 0);
    assert!(bench.path("data/ceiling.toml").is_symlink());
}

#[test]
fn a_host_serves_drains_and_goes() {
    let bench = Bench::new();
    bench.write("greet.yaml", GREET);
    let host = Host::start(&bench);
    let alive = host.get("/healthz");
    assert!(alive.starts_with("HTTP/1.1 200") && alive.ends_with("{\"status\":\"ok\"}"), "{alive}");
    for name in ["data/admin.token", "data/sluice.sock", "data/listen.json"] {
        assert_eq!(bench.mode(name), 0o600, "{name}");
    }
    assert_eq!(bench.json(&["flow", "apply", "greet.yaml"])["flows"][0]["version"], 1);
    let run = bench.json(&["flow", "run", "greet", "--input", "{\"name\":\"Ada\"}", "--wait"]);
    assert_eq!((&run["status"], &run["output"]), (&json!("succeeded"), &json!("Hello Ada")));
    let id = run["id"].as_str().unwrap();
    let shown = bench.run(&["run", "show", id]);
    for wanted in ["Greet (greet), version 1, production", "1. hello  transform  succeeded", "Hello Ada"] {
        assert!(shown.out.contains(wanted), "{wanted:?} is missing in\n{}", shown.out);
    }
    assert!(bench.run(&["run", "list", "--flow", "greet"]).out.contains(id));

    let second = bench.run(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    assert_eq!(second.code, 4);
    assert!(second.err.contains(&format!("process {}", host.pid())), "{}", second.err);

    let (code, log) = host.end();
    assert_eq!(code, 0, "{log}");
    assert!(
        log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "the log is JSON, line by line:\n{log}"
    );
    assert!(log.contains("\"clean\":true"), "{log}");
    let token = bench.read("data/admin.token");
    assert!(!log.contains(token.trim()), "the token is not in the log");
    for name in ["data/listen.json", "data/sluice.sock"] {
        assert!(!bench.path(name).exists(), "{name} is left behind");
    }
    assert_eq!(bench.run(&["run", "show", id]).code, 0, "what happened is still there without a host");
}

#[test]
fn a_backup_of_a_running_host_comes_back_elsewhere() {
    let bench = Bench::new();
    bench.write("greet.yaml", GREET);
    let host = Host::start(&bench);
    bench.json(&["flow", "apply", "greet.yaml"]);
    for name in ["Ada", "Grace"] {
        let input = format!("{{\"name\":\"{name}\"}}");
        bench.json(&["flow", "run", "greet", "--input", &input, "--wait"]);
    }
    let before = bench.json(&["run", "list"]);
    let made = bench.json(&["backup", "kept/monday", "--with-key"]);
    assert!(made["files"].as_u64().unwrap() >= 4, "{made}");
    let again = bench.run(&["backup", "kept/monday"]);
    assert!(again.code == 1 && again.err.contains("is not empty"), "{}", again.err);
    let plain = bench.run(&["backup", "kept/tuesday"]);
    assert!(plain.out.contains("not in it: vault.key"), "{}", plain.out);
    assert_eq!((bench.mode("kept/monday"), bench.mode("kept/monday/vault.key")), (0o700, 0o600));
    assert_eq!(host.end().0, 0);

    assert_eq!(bench.run(&["restore", "kept/monday", "--check"]).code, 0);
    let used = bench.run(&["restore", "kept/monday"]);
    assert!(used.code == 1 && used.err.contains("is not empty"), "{}", used.err);
    let restored = bench.run(&["restore", "kept/monday", "--data", "other"]);
    assert_eq!(restored.code, 0, "{}", restored.err);
    assert_eq!(bench.json(&["run", "list", "--data", "other"]), before);
    let more = bench.run(&["flow", "run", "greet", "--input", "{\"name\":\"Edsger\"}", "--wait", "--data", "other"]);
    assert!(more.out.contains("Hello Edsger"), "{}{}", more.out, more.err);
    let keyless = bench.run(&["restore", "kept/tuesday", "--data", "third"]);
    assert!(keyless.out.contains("The key file is not in the backup"), "{}{}", keyless.out, keyless.err);
    for _ in 0..2 {
        let refused = bench.run(&["flow", "list", "--data", "third"]);
        assert!(refused.code == 1 && refused.err.contains("put the original vault.key"), "{}", refused.err);
        assert!(!bench.path("third/vault.key").exists(), "a new key would open nothing");
    }
    std::fs::copy(bench.path("kept/monday/vault.key"), bench.path("third/vault.key")).unwrap();
    assert_eq!(bench.json(&["run", "list", "--data", "third"]), before);
    std::fs::remove_file(bench.path("kept/tuesday/ceiling.toml")).unwrap();
    let harmed = bench.run(&["restore", "kept/tuesday", "--data", "fourth"]);
    assert!(harmed.code == 1 && harmed.err.contains("ceiling.toml of the backup is damaged"), "{}", harmed.err);
}

#[test]
fn a_killed_hosts_leftovers_do_not_disturb() {
    let bench = Bench::new();
    bench.write("greet.yaml", GREET);
    let host = Host::start(&bench);
    assert_eq!(bench.run(&["flow", "apply", "greet.yaml"]).code, 0);
    host.kill();
    assert!(bench.path("data/sluice.sock").exists(), "a killed host leaves its socket");
    assert_eq!(bench.json(&["flow", "list"])["flows"][0]["id"], "greet");
    let host = Host::start(&bench);
    assert_eq!(bench.json(&["flow", "list"])["flows"][0]["id"], "greet");
    assert_eq!(host.end().0, 0);
}

#[test]
fn a_flow_is_tested_without_a_host() {
    let bench = Bench::new();
    let tests = "tests:
  - { name: greets, trigger: { name: Ada }, expect: { output: Hello Ada } }
  - { name: shouts, trigger: { name: Ada }, expect: { output: HELLO ADA } }
";
    bench.write("greet.yaml", &format!("{GREET}{tests}"));
    let all = bench.run(&["flow", "test", "greet.yaml"]);
    assert_eq!(all.code, 1, "{}{}", all.out, all.err);
    let wanted = "passed  greets\nfailed  shouts\n        output: expected \"HELLO ADA\", got \"Hello Ada\"\n\
        greet: 1 of 2 tests failed.\n";
    assert_eq!(all.out, wanted);
    let one = bench.json(&["flow", "test", "greet.yaml", "--name", "greets"]);
    assert_eq!(one, json!({ "id": "greet", "tests": [{ "name": "greets", "passed": true }] }));
    assert_eq!(bench.run(&["flow", "apply", "greet.yaml"]).code, 0, "publishing does not ask whether tests pass");
    assert_eq!(
        bench.run(&["flow", "test", "greet", "--name", "greets"]).code,
        0,
        "a flow that is there has its tests too"
    );
    bench.write("plain.yaml", GREET);
    for (arguments, wanted) in [
        (&["flow", "test", "greet.yaml", "--name", "greet"][..], "did you mean \"greets\"?"),
        (&["flow", "test", "plain.yaml"], "flow greet has no tests"),
        (&["flow", "test", "gone"], "there is no flow gone"),
        (&["flow", "test", "gone.yaml"], "there is no file \"gone.yaml\""),
    ] {
        let ended = bench.run(arguments);
        assert_eq!(ended.code, 1, "{arguments:?}");
        assert!(ended.err.contains(wanted), "{wanted:?} is missing in\n{}", ended.err);
    }
}

const GREET: &str = "\
version: 1
id: greet
name: Greet
trigger: { manual: {} }
steps:
  - id: hello
    transform: \"Hello {{ trigger.name }}\"
output: \"{{ steps.hello }}\"
";
