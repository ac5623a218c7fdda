//! A real host that uses all the secrets, and every place where one could be seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use xtask::host::{Done, Host, Settings};
use xtask::sender::{Answer, Client};
use xtask::workspace::{empty_folder, sluice, target};

use crate::canaries::{self, Canary, Scheme};
use crate::forms::FAMILIES;
use crate::search::{MARKER, Place};
use crate::upstream::{JUDGED, Upstream, WAYS};

/// Places that hold what guests saw: without the marker in one of each kind, searching it
/// would prove nothing.
pub(crate) const WITH_MARKER: [&str; 11] = [
    "guest memory",
    "log",
    "data folder of a running host",
    "data folder",
    "checkpoint",
    "backup",
    "restored folder",
    "answers of the API",
    "command line",
    "run show",
    "dead show",
];
/// Places that hold nothing of what guests saw.
pub(crate) const WITHOUT_MARKER: [&str; 3] = ["process", "deliveries", "refusals"];

/// Longer than any of the runs takes.
const WITHIN: Duration = Duration::from_secs(120);
/// Connections of one flow, each a step.
const STEPS: usize = 5;
/// Webhooks that the host sets up, each with a secret of its own.
const LENT: usize = 2;
/// What the host writes in the place of a secret that a service hands back.
const REDACTED: &str = "[redacted]";
/// What a guest writes when an answer has come in pieces.
const STREAMED: &str = "pieces over wasi: 200";
const GUEST: &str = "dump-memory";
/// The host's clock is the machine's; so is the sender's.
const TOLERANCE_S: u64 = 3_600;

pub(crate) struct World {
    folder: PathBuf,
    canaries: Vec<Canary>,
    upstream: Upstream,
    host: Option<Host>,
    places: Vec<Place>,
    flows: BTreeSet<String>,
}

impl World {
    pub(crate) fn open(seed: u64) -> Result<Self> {
        ensure!(sluice().is_file(), "target/debug/sluice is not built: run `cargo xtask test`, which builds it");
        let component = target().join("guests").join(format!("{GUEST}.wasm"));
        ensure!(component.is_file(), "{} is not built: run `cargo xtask test`, which builds it", component.display());
        let folder = target().join("secrets").join(seed.to_string());
        empty_folder(&folder)?;
        let canaries = canaries::all(seed);
        let upstream = Upstream::start(canaries.clone())?;
        let ceiling = folder.join("ceiling.toml");
        fs::write(&ceiling, "version = 1\nallowed = [\"* http://127.0.0.1:*\"]\naddresses = [\"127.0.0.1:*\"]\n")?;
        let settings = Settings {
            ceiling: Some(ceiling),
            options: vec!["--public-url".to_owned(), "https://flows.example.com".to_owned()],
            under: vec!["env".to_owned(), "SLUICE_LOG=trace".to_owned()],
            ..Settings::in_folder(&folder)
        };
        let host = Some(Host::start(settings)?);
        let world = Self { folder, canaries, upstream, host, places: Vec::new(), flows: BTreeSet::new() };
        world.install(&component)?;
        Ok(world)
    }

    /// Those made up here, and those that the host made.
    pub(crate) fn canaries(&self) -> Vec<Canary> {
        let lent = self.upstream.seen().lent.clone();
        let lent = lent.into_iter().map(|(name, secret)| Canary { name, scheme: Scheme::Lent, secret });
        self.canaries.iter().cloned().chain(lent).collect()
    }

    fn install(&self, component: &Path) -> Result<()> {
        let grant = self.folder.join("grant.toml");
        let (address, other) = (self.upstream.address, self.upstream.other);
        let text = format!(
            "version = 1\nplugin = \"{GUEST}\"\naddresses = [\"{address}\", \"{other}\"]\n[operations.\"*\"]\n\
             destinations = [\"* http://{address}/**\", \"* http://{other}/**\"]\n[limits]\nrequests = 200\n\
             requests_per_minute = 1000000\nlog_bytes = 33554432\noutput_bytes = 8388608\ncpu_ms = 60000\n\
             wall_ms = 100000\n"
        );
        fs::write(&grant, text)?;
        self.must(&["plugin", "install", &component.display().to_string()])?;
        self.must(&["plugin", "approve", GUEST, "--grant", &grant.display().to_string()])?;
        Ok(())
    }

    /// Everything that a host does with secrets.
    pub(crate) fn act(&mut self) -> Result<()> {
        for canary in self.canaries.clone() {
            self.connect(&canary)?;
        }
        self.refused_connections()?;
        let connected: Vec<Canary> =
            self.canaries.iter().filter(|canary| canary.scheme != Scheme::Webhook).cloned().collect();
        for (number, some) in connected.chunks(STEPS).enumerate() {
            self.flow_of_calls(&format!("calls-{number}"), some, "answer")?;
        }
        // Each way to fail, with each way to present a secret.
        for (number, canary) in connected.iter().step_by(3).enumerate() {
            let way = ["error", "other", "panic"][number % 3];
            self.flow_of_calls(&format!("fails-{number}"), std::slice::from_ref(canary), way)?;
        }
        self.lent()?;
        self.deliveries()?;
        self.settle()?;
        self.ended()?;
        self.judge(&connected)
    }

    /// Whether each flow ran, and ended as it was to.
    fn ended(&self) -> Result<()> {
        let page = self.api("GET", "/runs?limit=500", &Value::Null)?.json();
        let runs = page["runs"].as_array().with_context(|| format!("no list of runs: {page}"))?;
        let mut ran = BTreeSet::new();
        for run in runs {
            let flow = run["flow"].as_str().context("a run has a flow")?;
            let wanted = if flow.starts_with("fails-") { "failed" } else { "succeeded" };
            if run["status"].as_str() != Some(wanted) {
                let told = self.sluice(&["run", "show", run["id"].as_str().unwrap_or_default()])?.text();
                bail!("a run of {flow} was to end as {wanted}:\n{told}");
            }
            ran.insert(flow.to_owned());
        }
        ensure!(ran == self.flows, "of the flows {:?} only {ran:?} ran", self.flows);
        Ok(())
    }

    /// Whether it happened at all: every secret was used and handed back, and what came
    /// back was led into a guest.
    fn judge(&self, connected: &[Canary]) -> Result<()> {
        let seen = self.upstream.seen();
        ensure!(seen.wrong.is_empty(), "without its secret: {:#?}", seen.wrong);
        ensure!(seen.carried.len() == connected.len(), "only {:?} carried their secrets", seen.carried.keys());
        // By `fetch` and over `wasi:http`.
        ensure!(seen.carried.values().all(|times| *times > 2 * WAYS.len()), "{:?}", seen.carried);
        ensure!(seen.lent.len() == LENT, "{} secrets were lent", seen.lent.len());
        ensure!(seen.strayed.is_empty(), "requests strayed: {}", seen.strayed.len());
        let lent = seen.lent.iter().map(|(name, _)| name);
        for name in connected.iter().map(|canary| &canary.name).chain(lent) {
            for sign in [MARKER, REDACTED, STREAMED] {
                let holds = |dump: &[u8]| dump.windows(sign.len()).any(|part| part == sign.as_bytes());
                let is_there = seen.dumps.iter().any(|(of, dump)| of == name && holds(dump));
                ensure!(is_there, "{sign} is in no memory of a guest with the connection {name}");
            }
        }
        Ok(())
    }

    fn connect(&self, canary: &Canary) -> Result<()> {
        let Canary { name, scheme, secret } = canary;
        let auth = match scheme {
            Scheme::Bearer => json!({ "scheme": "bearer", "secret": secret }),
            Scheme::Basic => json!({ "scheme": "basic", "user": "user", "secret": secret }),
            Scheme::Header => json!({ "scheme": "header", "name": "x-key", "prefix": "Token ", "secret": secret }),
            Scheme::Query => json!({ "scheme": "query", "name": "key", "secret": secret }),
            Scheme::Webhook | Scheme::Lent => json!({ "scheme": "none" }),
        };
        let mut new = json!({ "id": name, "environment": "test", "plugin": GUEST, "auth": auth, "label": MARKER });
        if *scheme == Scheme::Webhook {
            new["plugin"] = json!("webhook");
            new["webhook_secret"] = json!(usable(canary));
        } else {
            new["base_url"] = json!(format!("http://{}/{name}", self.upstream.address));
        }
        self.post("/connections", &new, 201)
    }

    /// A person's mistakes with a secret are told without it.
    fn refused_connections(&mut self) -> Result<()> {
        for Canary { name, secret, .. } in self.canaries.clone().iter().step_by(7) {
            let base = json!({ "id": "bad", "environment": "test", "plugin": GUEST });
            for auth in [
                json!({ "scheme": "bearer", "secret": format!("{secret}\n") }),
                json!({ "scheme": "bearer", "token": secret }),
                json!({ "scheme": "query", "name": "", "secret": secret }),
                json!({ "scheme": "header", "name": "a b", "secret": secret }),
            ] {
                let mut new = base.clone();
                new["auth"] = auth;
                let answer = self.api("POST", "/connections", &new)?;
                ensure!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());
                self.see("refusals", name.clone(), answer.text());
            }
        }
        Ok(())
    }

    fn flow_of_calls(&mut self, id: &str, canaries: &[Canary], way: &str) -> Result<()> {
        // A failure is to be the connector's own, in its words.
        let without: &[&str] = if way == "answer" { &[] } else { &JUDGED };
        let input = format!("{way} {}", paths(without));
        let to_step = |canary: &Canary| json!({ "id": canary.name, "uses": "dump-memory/act", "connection": canary.name, "input": input });
        let steps: Vec<Value> = canaries.iter().map(to_step).collect();
        // No step goes on after a failure: what it leaves behind is always there to be read.
        let output = json!({ "first": format!("{{{{ steps['{}'] }}}}", canaries[0].name) });
        self.apply(&json!({
            "version": 1, "id": id, "name": MARKER, "trigger": { "manual": {} }, "steps": steps, "output": output,
        }))?;
        let done = self.sluice(&["flow", "run", id])?;
        ensure!(done.code == 0, "flow run {id}: {}", done.text());
        self.see("command line", format!("flow run {id}"), done.text());
        Ok(())
    }

    /// Secrets that the host makes, for webhooks that it sets up at the service.
    fn lent(&mut self) -> Result<()> {
        let names: Vec<String> = (0..LENT).map(|number| format!("lent-{number}")).collect();
        for name in &names {
            let base_url = format!("http://{}/{name}", self.upstream.address);
            let new = json!({ "id": name, "environment": "test", "plugin": GUEST, "base_url": base_url });
            self.post("/connections", &new, 201)?;
            self.apply(&json!({
                "version": 1, "id": name, "name": MARKER,
                "trigger": { "uses": "dump-memory/happened", "connection": name, "config": paths(&[]) },
                "steps": [{ "id": "a", "transform": "{{ trigger }}" }],
            }))?;
        }
        for name in &names {
            let hook = self.subscribed(name)?;
            self.deliver_lent(name, &hook)?;
        }
        Ok(())
    }

    /// Waits until a flow's webhook is set up; where its deliveries go.
    fn subscribed(&self, flow: &str) -> Result<String> {
        let started = Instant::now();
        loop {
            let page = self.api("GET", &format!("/flows/test/{flow}"), &Value::Null)?.json();
            let trigger = &page["trigger"];
            if trigger["subscription"]["state"].as_str() == Some("subscribed") {
                return Ok(trigger["hook"].as_str().context("a webhook has an address")?.to_owned());
            }
            ensure!(started.elapsed() < WITHIN, "the webhook of {flow} is not set up: {trigger}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A delivery signed with the secret that the host made, as the manifest declares:
    /// GitHub's way.
    fn deliver_lent(&mut self, name: &str, hook: &str) -> Result<()> {
        let lent = self.canaries().into_iter().rfind(|canary| canary.name == name);
        let body = json!({ "marker": MARKER }).to_string();
        let headers = proof(0, &lent.with_context(|| format!("no secret came for {name}"))?, &body);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = Client::new(self.host()?.hooks()).send("POST", hook, &headers, body.as_bytes())?;
        ensure!(answer.status == 202, "{name}: {} {}", answer.status, answer.text());
        self.see("deliveries", format!("{name}: {}", answer.status), answer.text());
        Ok(())
    }

    /// Deliveries by each scheme, as they should be and not.
    fn deliveries(&mut self) -> Result<()> {
        let hooks: Vec<Canary> =
            self.canaries.iter().filter(|canary| canary.scheme == Scheme::Webhook).cloned().collect();
        for (number, canary) in hooks.iter().enumerate() {
            let verification = match number % 6 {
                0 => json!({ "scheme": "github" }),
                1 => json!({ "scheme": "slack" }),
                2 => json!({ "scheme": "stripe" }),
                3 => json!({ "scheme": "standard-webhooks" }),
                4 => json!({ "scheme": "token", "header": "x-token" }),
                _ => json!({ "scheme": "hmac", "header": "x-sig", "encoding": "base64" }),
            };
            let id = format!("hook-{number}");
            let trigger = json!({
                "webhook": {
                    "verification": verification, "delivery_key": { "from": "header", "name": "x-id" },
                    "headers": ["x-token", "x-sig", "x-id", "x-hub-signature-256"], "tolerance_s": TOLERANCE_S,
                },
                "connection": canary.name,
            });
            self.apply(&json!({
                "version": 1, "id": id, "name": MARKER, "trigger": trigger,
                "steps": [{ "id": "a", "transform": "{{ trigger }}" }], "output": "{{ steps.a }}",
            }))?;
            let body = json!({ "marker": MARKER }).to_string();
            for (delivery, sent) in [(true, &body), (false, &body), (true, &"{oops".to_owned())] {
                let mut headers = proof(number, canary, sent);
                if !delivery {
                    for (_, value) in &mut headers {
                        value.push('x');
                    }
                }
                headers.push(("x-id", format!("{number}")));
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let path = format!("/hooks/test/{id}");
                let answer = Client::new(self.host()?.hooks()).send("POST", &path, &headers, sent.as_bytes())?;
                let accepted = delivery && sent == &body;
                ensure!((answer.status == 202) == accepted, "{id}: {} {}", answer.status, answer.text());
                self.see("deliveries", format!("{id}: {}", answer.status), answer.text());
            }
        }
        Ok(())
    }

    fn apply(&mut self, document: &Value) -> Result<()> {
        let id = document["id"].as_str().context("a flow has an id")?.to_owned();
        self.post("/flows", &json!({ "document": document.to_string(), "environment": "test" }), 201)?;
        self.flows.insert(id);
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        let mut api = xtask::api::Api::of(self.host()?)?;
        let started = Instant::now();
        while api.open_runs()? > 0 {
            ensure!(started.elapsed() < WITHIN, "a run does not end");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Looks everywhere. The host is stopped on the way: what is only in memory is on disk
    /// then.
    pub(crate) fn collect(&mut self) -> Result<Vec<Place>> {
        self.look_at_answers()?;
        let backup = self.folder.join("backup");
        let done = self.sluice(&["backup", &backup.display().to_string()])?;
        ensure!(done.code == 0, "backup: {}", done.text());
        self.look_at_files("backup", &backup)?;
        let pid = self.host()?.pid();
        for file in ["cmdline", "environ"] {
            self.see("process", file.to_owned(), fs::read(format!("/proc/{pid}/{file}"))?);
        }
        self.look_at_files("data folder of a running host", &self.folder.join("data"))?;
        let settings = self.host.take().context("the host is running")?.stop()?;
        self.look_at_files("data folder", &settings.data)?;
        let restored = Settings { data: self.folder.join("restored"), ..settings.clone() };
        let done = restored.run(&["restore", &backup.display().to_string()])?;
        ensure!(done.code == 0, "restore: {}", done.text());
        self.look_at_files("restored folder", &restored.data)?;
        self.see("log", "host.log".to_owned(), fs::read(&settings.log)?);
        let dumps = std::mem::take(&mut self.upstream.seen().dumps);
        for (name, dump) in dumps {
            self.see("guest memory", name, dump);
        }
        Ok(std::mem::take(&mut self.places))
    }

    fn look_at_answers(&mut self) -> Result<()> {
        let runs = self.all("/runs?limit=500", "runs", "run")?;
        let letters = self.all("/dead-letters?limit=500", "dead_letters", "run")?;
        ensure!(!runs.is_empty() && !letters.is_empty(), "{} runs, {} dead letters", runs.len(), letters.len());
        let mut paths: Vec<String> =
            ["/health", "/plugins", "/plugins/dump-memory", "/connections", "/flows", "/approvals"]
                .map(str::to_owned)
                .into();
        paths.extend(self.canaries.iter().map(|canary| format!("/connections/test/{}", canary.name)));
        paths.extend(self.flows.iter().map(|flow| format!("/flows/test/{flow}")));
        paths.extend(self.flows.iter().map(|flow| format!("/flows/test/{flow}/versions")));
        paths.extend(runs.iter().map(|run| format!("/runs/{run}")));
        paths.extend(letters.iter().map(|run| format!("/dead-letters/{run}")));
        for path in paths {
            let answer = self.api("GET", &path, &Value::Null)?;
            ensure!(answer.status == 200, "GET {path}: {} {}", answer.status, answer.text());
            self.see("answers of the API", path, format!("{:?}\n{}", answer.message.headers, answer.text()));
        }
        for run in &runs {
            self.look_at_command("run show", &["run", "show", run])?;
        }
        for run in &letters {
            self.look_at_command("dead show", &["dead", "show", run])?;
        }
        for words in [&["run", "list"][..], &["dead", "list"], &["connection", "list"], &["flow", "list"]] {
            self.look_at_command("command line", words)?;
        }
        for number in (0..self.canaries.len()).step_by(5) {
            let name = self.canaries[number].name.clone();
            self.look_at_command("command line", &["connection", "show", &name])?;
        }
        Ok(())
    }

    /// The names in a list that has pages.
    fn all(&mut self, path: &str, list: &str, key: &str) -> Result<Vec<String>> {
        let (mut found, mut before) = (Vec::new(), String::new());
        loop {
            let answer = self.api("GET", &format!("{path}{before}"), &Value::Null)?;
            let page = answer.json();
            self.see("answers of the API", path.to_owned(), answer.text());
            let entries = page[list].as_array().with_context(|| format!("{path}: {page}"))?;
            found.extend(
                entries.iter().filter_map(|entry| entry[key].as_str().or(entry["id"].as_str())).map(str::to_owned),
            );
            let Some(next) = page["next"].as_str() else { return Ok(found) };
            before = format!("&before={next}");
        }
    }

    fn look_at_command(&mut self, kind: &'static str, words: &[&str]) -> Result<()> {
        for words in [words.to_vec(), [&["--json"], words].concat()] {
            let done = self.sluice(&words)?;
            ensure!(done.code == 0, "sluice {}: {} {}", words.join(" "), done.code, done.text());
            self.see(kind, words.join(" "), done.text());
        }
        Ok(())
    }

    fn look_at_files(&mut self, kind: &'static str, folder: &Path) -> Result<()> {
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let meta = fs::symlink_metadata(&path)?;
                if meta.is_dir() {
                    open.push(path);
                    continue;
                }
                if !meta.is_file() {
                    continue;
                }
                // It may have gone meanwhile, while the host runs.
                let Ok(content) = fs::read(&path) else { continue };
                let name = path.display().to_string();
                if name.ends_with(".ckp") {
                    self.see("checkpoint", format!("{name}, inflated"), inflated(&content));
                }
                self.see(kind, name, content);
            }
        }
        Ok(())
    }

    /// Leaves nothing behind: a seed that held needs no second look.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| self.folder.display().to_string())
    }

    fn see(&mut self, kind: &'static str, name: String, content: impl Into<Vec<u8>>) {
        self.places.push(Place { kind, name, content: content.into() });
    }

    fn post(&self, path: &str, body: &Value, wanted: u16) -> Result<()> {
        let answer = self.api("POST", path, body)?;
        let good = answer.status == wanted || answer.status == 200;
        ensure!(good, "POST {path} {body}: {} {}", answer.status, answer.text());
        Ok(())
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let host = self.host()?;
        let token = fs::read_to_string(host.settings().data.join("admin.token"))?;
        let token = format!("Bearer {}", token.trim());
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/api/v1{path}");
        let answer = Client::new(host.admin()).send(method, &path, &headers, body.as_bytes());
        answer.with_context(|| format!("{method} {path}"))
    }

    fn must(&self, words: &[&str]) -> Result<()> {
        let done = self.sluice(words)?;
        ensure!(done.code == 0, "`sluice {}` ended with {}:\n{}", words.join(" "), done.code, done.text());
        Ok(())
    }

    fn sluice(&self, words: &[&str]) -> Result<Done> {
        self.host()?.settings().run(words)
    }

    fn host(&self) -> Result<&Host> {
        self.host.as_ref().context("the host is not running")
    }
}

/// Every path that a guest asks for, with blanks between, but those that are left out.
fn paths(without: &[&str]) -> String {
    let ways: Vec<&str> = FAMILIES.iter().chain(&WAYS).copied().filter(|way| !without.contains(way)).collect();
    // The marker in what is told of requests: with their paths, without their queries.
    format!("{} plain/{MARKER}?m={MARKER}", ways.join(" "))
}

/// The rows in a checkpoint's deflated blocks.
fn inflated(content: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    const HEADER_BYTES: usize = 8;
    const DEFLATED: u8 = 3;
    let (mut rows, mut at) = (Vec::new(), 0);
    while let Some(header) = content.get(at..at + HEADER_BYTES) {
        let len = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
        let Some(block) = content.get(at + HEADER_BYTES..at + HEADER_BYTES + len) else { break };
        if let Some((&DEFLATED, deflated)) = block.split_first() {
            // What is no such block is searched as it is.
            let _ = flate2::read::DeflateDecoder::new(deflated).read_to_end(&mut rows);
        }
        at += HEADER_BYTES + len;
    }
    rows
}

/// The secret as its scheme takes it: Standard Webhooks has base64.
fn usable(canary: &Canary) -> String {
    let number: usize = canary.name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    match number % 6 {
        3 => format!("whsec_{}", STANDARD.encode(&canary.secret)),
        _ => canary.secret.clone(),
    }
}

/// The headers that prove a delivery.
fn proof(number: usize, canary: &Canary, body: &str) -> Vec<(&'static str, String)> {
    let key = canary.secret.as_bytes();
    let now = now_s().to_string();
    let sign = |parts: &[&str]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        parts.iter().for_each(|part| mac.update(part.as_bytes()));
        mac.finalize().into_bytes()
    };
    match number % 6 {
        0 => vec![("x-hub-signature-256", format!("sha256={}", hex::encode(sign(&[body]))))],
        1 => {
            let signature = hex::encode(sign(&["v0:", &now, ":", body]));
            vec![("x-slack-request-timestamp", now), ("x-slack-signature", format!("v0={signature}"))]
        }
        2 => vec![("stripe-signature", format!("t={now},v1={}", hex::encode(sign(&[&now, ".", body]))))],
        3 => {
            let signature = STANDARD.encode(sign(&["msg.", &now, ".", body]));
            let signature = format!("v1,{signature}");
            vec![("webhook-id", "msg".to_owned()), ("webhook-timestamp", now), ("webhook-signature", signature)]
        }
        4 => vec![("x-token", canary.secret.clone())],
        _ => vec![("x-sig", STANDARD.encode(sign(&[body])))],
    }
}

#[expect(clippy::disallowed_methods, reason = "the sender's own clock, outside the host")]
fn now_s() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}
