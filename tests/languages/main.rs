//! The contract is not Rust's: one connector in JavaScript and one in Python, built from
//! `wit/` alone, take the whole way through the real host: manifest, grant, credential,
//! request, typed errors, denial.
//!
//! Both carry a whole language runtime that was started while they were built. What such
//! a snapshot could have frozen, chance and the time of day, must be the host's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use xtask::host::Settings;
use xtask::languages::{LANGUAGES, Language};
use xtask::receiver::{Received, Receiver, Reply};
use xtask::workspace::spoken;

const TOKEN: &str = "a-long-enough-token";

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, LANGUAGES.map(trial).into()).exit();
}

/// One that cannot be built on this machine is counted as ignored, with the reason said.
fn trial(language: Language) -> Trial {
    let missing = language.missing().ok().flatten();
    if let Some(why) = &missing {
        eprintln!("skipped: the connector in {}: {why}", language.name());
    }
    Trial::test(language.name(), move || prove(language).map_err(|error| Failed::from(format!("{error:#}"))))
        .with_ignored_flag(missing.is_some())
}

fn prove(language: Language) -> Result<()> {
    let (wasm, building) = timed(|| language.build())?;
    let folder = tempfile::tempdir()?;
    let service = Receiver::start(([127, 0, 0, 1], 0).into(), None, answer)?;
    let elsewhere = Receiver::start(([127, 0, 0, 1], 0).into(), None, answer)?;
    let proof = Proof { language, settings: Settings::in_folder(folder.path()), service, elsewhere };
    let ((), installing) = timed(|| proof.install(folder.path(), &wasm))?;
    println!(
        "{}: {} KiB, built in {}, compiled and described twice in {}",
        language.name(),
        fs::metadata(&wasm)?.len() / 1024,
        spoken(building),
        spoken(installing)
    );
    proof.connect(folder.path())?;
    proof.reaches_the_service_with_the_credential()?;
    proof.chance_and_time_are_the_hosts()?;
    proof.errors_keep_their_types()?;
    proof.denials_are_ordinary_errors()
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let began = Instant::now();
    Ok((work()?, began.elapsed()))
}

/// The service of the connection.
fn answer(request: &Received, _: usize) -> Reply {
    let status = match request.path.as_str() {
        "/api/status" => 200,
        "/api/expired" => 401,
        "/api/busy" => 429,
        "/api/broken" => 500,
        _ => 404,
    };
    let mut reply = Reply::json(status, &json!({ "said": "Grüße ☂" }));
    if status == 429 {
        reply.headers.push(("retry-after".to_owned(), "7".to_owned()));
    }
    reply
}

struct Proof {
    language: Language,
    settings: Settings,
    service: Receiver,
    /// Nobody granted it.
    elsewhere: Receiver,
}

impl Proof {
    fn must(&self, arguments: &[&str]) -> Result<String> {
        let done = self.settings.run(arguments)?;
        ensure!(done.code == 0, "{}:\n{}", arguments.join(" "), done.text());
        Ok(done.stdout)
    }

    fn install(&self, folder: &Path, wasm: &Path) -> Result<()> {
        let (name, service) = (self.language.name(), self.service.address());
        self.must(&["plugin", "list"])?;
        let ceiling = "version = 1\nallowed = [\"GET http://127.0.0.1:*\"]\naddresses = [\"127.0.0.1:*\"]\n";
        fs::write(self.settings.data.join("ceiling.toml"), ceiling)?;
        self.must(&["plugin", "install", &wasm.display().to_string()])?;
        let grant = folder.join("grant.toml");
        let text = format!(
            "version = 1\nplugin = \"{name}\"\naddresses = [\"{service}\"]\n\n\
             [operations.look]\ndestinations = [\"GET http://{service}/api/**\"]\n"
        );
        fs::write(&grant, text)?;
        self.must(&["plugin", "approve", name, "--grant", &grant.display().to_string()])?;
        Ok(())
    }

    fn connect(&self, folder: &Path) -> Result<()> {
        let name = self.language.name();
        let secret = folder.join("secret");
        fs::write(&secret, TOKEN)?;
        let url = format!("http://{}/api", self.service.address());
        let add = ["connection", "add", name, "--id", "account", "--base-url", &url, "--auth", "bearer"];
        self.must(&[&add[..], &["--secret-file", &secret.display().to_string()]].concat())?;
        Ok(())
    }

    /// Calls the action; the exit code and what the host tells of the call.
    fn look(&self, url: &str, with: &[&str]) -> Result<(i32, Value)> {
        let input = json!({ "url": url }).to_string();
        let call = ["--json", "plugin", "call", self.language.name(), "look", "--input", &input];
        let done = self.settings.run(&[&call[..], with].concat())?;
        let told = serde_json::from_str(&done.stdout).with_context(|| done.text())?;
        Ok((done.code, told))
    }

    fn look_with_account(&self, page: &str) -> Result<(i32, Value)> {
        self.look(&format!("{{base-url}}/{page}"), &["--connection", "account"])
    }

    fn reaches_the_service_with_the_credential(&self) -> Result<()> {
        let (code, told) = self.look_with_account("status")?;
        ensure!(code == 0, "{told:#}");
        let output = &told["outcome"]["output"];
        ensure!(output["language"] == self.language.name(), "{told:#}");
        ensure!(output["found"]["said"] == "Grüße ☂", "{told:#}");
        let received = self.service.received();
        let request = received.last().context("the service was not asked")?;
        let bearer = format!("Bearer {TOKEN}");
        ensure!(request.header("authorization") == Some(bearer.as_str()), "{request:?}");
        ensure!(request.header("accept") == Some("application/json"), "{request:?}");
        println!(
            "{}: a call takes {} µs and {} bytes",
            self.language.name(),
            told["duration_us"],
            told["memory_bytes"]
        );
        Ok(())
    }

    fn chance_and_time_are_the_hosts(&self) -> Result<()> {
        let mut drawn = BTreeSet::new();
        for _ in 0..3 {
            let before = now_ms();
            let (code, told) = self.look_with_account("status")?;
            ensure!(code == 0, "{told:#}");
            let output = &told["outcome"]["output"];
            let at = output["now_ms"].as_u64().context("a time")?;
            ensure!((before..=now_ms()).contains(&at), "it was not {at} when it looked: {told:#}");
            ensure!(output["chance"].is_number(), "{told:#}");
            drawn.insert(output["chance"].to_string());
        }
        ensure!(drawn.len() == 3, "three calls drew {drawn:?}");
        Ok(())
    }

    fn errors_keep_their_types(&self) -> Result<()> {
        for (page, wanted) in [
            ("expired", json!({ "kind": "auth-expired" })),
            ("gone", json!({ "kind": "not-found" })),
            ("busy", json!({ "kind": "rate-limited", "retry_after_ms": 7000 })),
            ("broken", json!({ "kind": "remote", "status": 500 })),
        ] {
            let (code, told) = self.look_with_account(page)?;
            let failure = &told["outcome"]["failure"];
            let same =
                wanted.as_object().is_some_and(|wanted| wanted.iter().all(|(key, value)| failure[key] == *value));
            ensure!(code == 1 && same, "{page} is not {wanted}: {told:#}");
        }
        let (code, told) = self.look("nowhere at all", &["--connection", "account"])?;
        ensure!(code == 1 && told["outcome"]["failure"]["kind"] == "invalid-input", "{told:#}");
        Ok(())
    }

    /// The guest goes on after a denial: it says nothing on its way out, and the host's own
    /// record is what the caller reads.
    fn denials_are_ordinary_errors(&self) -> Result<()> {
        let before = self.service.received().len();
        let elsewhere = format!("http://{}/api/status", self.elsewhere.address());
        let outside = format!("http://{}/private", self.service.address());
        let account = ["--connection", "account"];
        let tries: [(&str, &[&str]); 4] =
            [(&elsewhere, &[]), (&elsewhere, &account), (&outside, &[]), (&outside, &account)];
        for (url, with) in tries {
            let (code, told) = self.look(url, with)?;
            let failure = &told["outcome"]["failure"];
            ensure!(code == 3 && failure["kind"] == "policy-denied", "{url} was not denied: {told:#}");
            ensure!(failure["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{told:#}");
            ensure!(told["accesses"][0]["allowed"] == false, "{told:#}");
            ensure!(told["log"] == json!([]), "the denial broke the connector: {told:#}");
        }
        ensure!(self.elsewhere.received().is_empty(), "what was not granted was reached");
        ensure!(self.service.received().len() == before, "what was not granted was reached");
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the judge's own clock, outside the host")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
