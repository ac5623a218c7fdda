//! Performing steps.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::api::Api;
use xtask::github::sign;
use xtask::host::Host;
use xtask::sender::{Answer, Client};

use crate::case::{Case, Step};
use crate::expect;
use crate::world::{HOOK_SECRET, World};

/// What is waited for comes in milliseconds, or after a retry of a second or two.
const WITHIN: Duration = Duration::from_secs(40);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

impl World {
    /// Performs every step, then ends the host as an operator would.
    pub(crate) fn perform(&mut self, case: &Case) -> Result<()> {
        for (number, step) in (1..).zip(&case.steps) {
            self.step(step).with_context(|| format!("step {number}"))?;
        }
        self.host.take().context("the host is not running")?.stop().map(drop)
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step { run: Some(command), .. } => self.command(step, command),
            Step { send: Some(line), .. } => self.send(step, line),
            Step { received: Some(path), .. } => self.received(step, path),
            Step { file: Some(file), .. } => {
                let seen = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
                expect::text(step, &seen, |text| self.fill(text))
            }
            Step { settle: true, .. } => self.settle(),
            Step { kill: true, .. } => {
                let host = self.host.take().context("the host is not running")?;
                self.host = Some(Host::start(host.kill()?)?);
                Ok(())
            }
            _ => bail!("the step says nothing to do"),
        }
    }

    fn command(&mut self, step: &Step, command: &str) -> Result<()> {
        let words = split(&self.fill(command));
        let done = self.sluice(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        expect::equal("the exit code", &done.code, &step.code.unwrap_or(0), &done.text())?;
        expect::text(step, &done.text(), |text| self.fill(text))
    }

    fn send(&mut self, step: &Step, line: &str) -> Result<()> {
        let (method, path) = line.split_once(' ').context("a request is a method and a path")?;
        let wanted = step.status.unwrap_or(202);
        self.attempt = 1;
        let mut answer = self.request(step, method, path)?;
        while answer.status == 202 && wanted != 202 && self.attempt < step.tries {
            self.accepted += 1;
            self.attempt += 1;
            answer = self.request(step, method, path)?;
        }
        self.accepted += usize::from(answer.status == 202);
        let head: Vec<String> = answer.message.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let seen = format!("{}\n{}\n\n{}", answer.message.start, head.join("\n"), answer.text());
        expect::equal("the status", &answer.status, &wanted, &seen)?;
        let view = answer.json();
        let run = view["run"].as_str().or_else(|| answer.message.header("sluice-run"));
        if let Some(run) = run {
            run.clone_into(&mut self.run);
        }
        expect::text(step, &seen, |text| self.fill(text))
    }

    fn request(&self, step: &Step, method: &str, path: &str) -> Result<Answer> {
        let body = match (&step.body_hex, step.body_bytes) {
            (Some(digits), _) => bytes(digits)?,
            (None, Some(count)) => vec![b'x'; count],
            (None, None) => self.fill(&step.body).into_bytes(),
        };
        let signature = sign(HOOK_SECRET, &body);
        let mut headers = vec![("content-type", "application/json")];
        let own: Vec<(&str, String)> =
            step.headers.iter().map(|(name, value)| (name.as_str(), self.fill(value))).collect();
        headers.extend(own.iter().map(|(name, value)| (*name, value.as_str())));
        if step.signed {
            headers.push(("x-hub-signature-256", &signature));
        }
        Client::new(self.host()?.hooks()).send(method, path, &headers, &body).context("the host gave no answer")
    }

    /// Waits for the requests, then looks at them: more than wanted is a failure.
    fn received(&self, step: &Step, path: &str) -> Result<()> {
        let wanted = if step.accepted { self.accepted } else { step.count.unwrap_or(1) };
        let started = Instant::now();
        loop {
            let all = self.receiver.received();
            let found: Vec<_> = all.iter().filter(|request| request.path == path).collect();
            if found.len() >= wanted || started.elapsed() > WITHIN {
                let seen = serde_json::to_string_pretty(&found)?;
                let everything: Vec<&str> = all.iter().map(|request| request.path.as_str()).collect();
                expect::equal("the number of requests", &found.len(), &wanted, &everything.join("\n"))?;
                return expect::text(step, &seen, |text| self.fill(text));
            }
            thread::sleep(LOOK_AGAIN_AFTER);
        }
    }

    fn settle(&self) -> Result<()> {
        let mut api = Api::of(self.host()?)?;
        let started = Instant::now();
        while api.open_runs()? > 0 {
            ensure!(started.elapsed() < WITHIN, "a run does not end");
            thread::sleep(LOOK_AGAIN_AFTER);
        }
        Ok(())
    }
}

/// Words with single quotes around those that hold spaces.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn bytes(digits: &str) -> Result<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).context("hexadecimal digits")?;
        u8::from_str_radix(pair, 16).with_context(|| format!("{pair} is no byte"))
    });
    pairs.collect()
}
