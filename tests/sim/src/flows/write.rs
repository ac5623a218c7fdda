//! Flows as the documents that the host reads.

use serde_json::{Map, Value, json};

use super::{LINES, Missed, Named, OnError, Op, Program, Rhythm, SIGNAL, Start, Step, Test, Work};

impl Program {
    /// The document of this version, as JSON.
    pub(crate) fn document(&self) -> String {
        let mut document = json!({
            "version": 1,
            "id": self.id,
            "name": self.id,
            "purpose": format!("Variant {}.", self.variant),
            "trigger": self.trigger(),
            "steps": self.block(&self.steps, false),
            "output": { "n": self.number() },
        });
        if let Some(most) = self.most {
            document["concurrency"] = json!({ "mode": "limited", "most": most });
        }
        if self.in_line {
            let n = self.number().trim_matches(['{', '}', ' ']);
            document["concurrency"] = json!({ "mode": "sequential", "key": format!("{{{{ {n} % {LINES} }}}}") });
        }
        if !self.on_error.is_empty() {
            document["on_error"] = self.block(&self.on_error, false);
        }
        document.to_string()
    }

    fn trigger(&self) -> Value {
        let event = json!({
            "type": "object",
            "properties": {
                "id": { "type": "string" },
                "n": { "type": "integer" },
                "at": { "type": "string" },
                "at_s": { "type": "integer" },
            },
            "required": ["id", "n", "at"],
        });
        match self.start {
            Start::Delivered => json!({ "uses": "sim/event", "connection": "account" }),
            Start::Webhook { named, responds } => {
                let named = match named {
                    Named::Header => json!({ "from": "header", "name": "x-delivery" }),
                    Named::Body => json!({ "from": "body", "pointer": "/id" }),
                    Named::Fingerprint => json!({ "from": "fingerprint" }),
                };
                let verification = json!({ "scheme": "token", "header": "x-token" });
                let mut trigger = json!({
                    "webhook": { "verification": verification, "delivery_key": named },
                    "connection": "hook",
                    "event": event,
                });
                if responds {
                    trigger["respond"] = json!({ "within": "5s" });
                }
                trigger
            }
            Start::Manual => json!({ "manual": { "input": event } }),
            Start::Schedule(rhythm) => json!({ "schedule": schedule(rhythm) }),
            Start::Poll => {
                json!({
                    "uses": "sim/feed", "connection": "account", "poll": { "every": "10s", "from": "beginning" },
                })
            }
            Start::Call => {
                let output = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
                json!({ "call": { "input": event, "output": output } })
            }
        }
    }

    fn id(&self) -> &'static str {
        if matches!(self.start, Start::Schedule(_)) { "{{ trigger.nominal }}" } else { "{{ trigger.id }}" }
    }

    fn number(&self) -> &'static str {
        if matches!(self.start, Start::Schedule(_)) { "{{ trigger.missed }}" } else { "{{ trigger.n }}" }
    }

    fn instant(&self) -> &'static str {
        if matches!(self.start, Start::Schedule(_)) { "{{ trigger.nominal }}" } else { "{{ trigger.at }}" }
    }

    fn test(&self, test: Test) -> String {
        let n = self.number().trim_matches(['{', '}', ' ']);
        match test {
            Test::Even => format!("{{{{ {n} % 2 == 0 }}}}"),
            Test::Above(least) => format!("{{{{ {n} > {least} }}}}"),
        }
    }

    fn mark(&self, step: &str, looping: bool) -> String {
        let index = if looping { ".{{ loop.index }}" } else { "" };
        format!("{}/{}{index}", self.id(), self.suffix(step, None))
    }

    fn block(&self, steps: &[Step], looping: bool) -> Value {
        steps.iter().flat_map(|step| self.step(step, looping)).collect()
    }

    /// A step's document; a question is followed by the way that its answer decides.
    fn step(&self, step: &Step, looping: bool) -> Vec<Value> {
        let block = |steps: &[Step]| self.block(steps, looping);
        let work = match &step.work {
            Work::Act { op, attempts, when, on_error } => {
                let mut work = json!({
                    "uses": format!("sim/{}", op.name()),
                    "connection": "account",
                    "input": { "mark": self.mark(&step.id, looping), "n": self.number() },
                    "retry": { "attempts": attempts, "first": "200ms", "most": "5s" },
                });
                if let Some(when) = when {
                    work["when"] = self.test(*when).into();
                }
                if *op == Op::Set {
                    work["timeout"] = "3s".into();
                }
                self.put_on_error(&mut work, on_error, looping);
                work
            }
            Work::If { test, then, otherwise } => {
                let mut work = json!({ "if": self.test(*test), "then": block(then) });
                if !otherwise.is_empty() {
                    work["else"] = block(otherwise);
                }
                work
            }
            Work::Switch { cases, otherwise } => {
                let n = self.number().trim_matches(['{', '}', ' ']);
                let case = |(index, steps): (usize, &Vec<Step>)| json!({ "is": index, "steps": block(steps) });
                let cases: Vec<Value> = cases.iter().enumerate().map(case).collect();
                let mut work = json!({ "switch": format!("{{{{ {n} % 3 }}}}"), "cases": cases });
                if !otherwise.is_empty() {
                    work["default"] = block(otherwise);
                }
                work
            }
            Work::Each { items, batch, at_once, continues, steps } => {
                let mut work = json!({
                    "foreach": (0..*items).collect::<Vec<u32>>(),
                    "concurrency": at_once,
                    "on_item_error": if *continues { "continue" } else { "fail" },
                    "steps": self.block(steps, true),
                });
                if *batch > 1 {
                    work["batch"] = (*batch).into();
                }
                work
            }
            Work::Call { flow, timeout_ms, attempts, on_error } => {
                let id = self.mark(&step.id, looping);
                let input = json!({ "id": id, "n": self.number(), "at": self.instant() });
                let mut work = json!({ "call": flow, "input": input });
                put_timeout(&mut work, *timeout_ms);
                if let Some(attempts) = attempts {
                    work["retry"] = json!({ "attempts": attempts, "first": "1s", "most": "30s" });
                }
                self.put_on_error(&mut work, on_error, looping);
                work
            }
            Work::WaitFor { ms } => json!({ "wait": { "for": format!("{ms}ms") } }),
            Work::WaitUntil => json!({ "wait": { "until": self.instant() } }),
            Work::WaitEvent { timeout_ms } => {
                let key = self.mark(&step.id, looping);
                json!({ "wait": { "event": SIGNAL, "key": key, "timeout": format!("{timeout_ms}ms") } })
            }
            Work::Ask { timeout_ms, on_timeout, approved, rejected } => {
                return self.ask(&step.id, (*timeout_ms, *on_timeout), block(approved), block(rejected));
            }
            Work::Make => json!({ "transform": { "n": self.number() } }),
            Work::Stop { failed: true } => json!({ "stop": { "outcome": "failed", "reason": "it says so" } }),
            Work::Stop { failed: false } => {
                json!({ "stop": { "outcome": "succeeded", "output": { "n": self.number() } } })
            }
        };
        vec![named(&step.id, work)]
    }

    fn ask(&self, id: &str, (timeout_ms, on_timeout): (Option<u64>, bool), yes: Value, no: Value) -> Vec<Value> {
        let mut approve = json!({ "role": "boss", "title": format!("Go on with {}?", self.id()) });
        put_timeout(&mut approve, timeout_ms);
        if on_timeout {
            approve["on_timeout"] = "reject".into();
        }
        let way = json!({ "if": format!("{{{{ steps.{id}.outcome == \"approve\" }}}}"), "then": yes, "else": no });
        vec![named(id, json!({ "approve": approve })), named(&format!("{id}-way"), way)]
    }

    fn put_on_error(&self, work: &mut Value, on_error: &OnError, looping: bool) {
        match on_error {
            OnError::Fail => {}
            OnError::Continue => work["on_error"] = "continue".into(),
            OnError::Steps(steps) => work["on_error"] = json!({ "steps": self.block(steps, looping) }),
        }
    }
}

fn named(id: &str, work: Value) -> Value {
    let mut step = Map::new();
    step.insert("id".to_owned(), id.into());
    if let Value::Object(work) = work {
        step.extend(work);
    }
    step.into()
}

fn put_timeout(work: &mut Value, timeout_ms: Option<u64>) {
    if let Some(timeout_ms) = timeout_ms {
        work["timeout"] = format!("{timeout_ms}ms").into();
    }
}

fn schedule(rhythm: Rhythm) -> Value {
    let missed = match rhythm.missed {
        Missed::Skip => "skip",
        Missed::Once => "once",
        Missed::All => "all",
    };
    match rhythm.every_ms {
        60_000 => json!({ "cron": "* * * * *", "missed": missed }),
        every_ms => json!({ "every": format!("{every_ms}ms"), "missed": missed }),
    }
}
