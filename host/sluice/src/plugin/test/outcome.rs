//! One sample: from its grant to what differs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use egress::{Egress, EgressOptions, SessionSpec};
use model::{ConnectionId, Credential, Environment, Failure, Need, Schema, Target};
use policy::{Approval, Authority, ConnectionFacts, Subject};
use sandbox::{Answer, Call, CallContext, ContextConnection, Delivery, Report, Work};
use serde_json::{Value, json};

use super::compare::{differences, differences_of_members};
use super::recorded::Tape;
use super::sample::{Case, Sample, bytes};
use super::{Bench, ceiling, files, grant};
use crate::exit::Stop;

/// As the samples' format has it: the same in every sample.
const SAMPLE: &str = "sample";

impl Bench {
    /// Runs a case; gives back what differs.
    pub(super) async fn run(&self, case: Case, scratch: &Path) -> Result<Vec<String>, Stop> {
        let Case { operation, mut sample, .. } = case;
        let subject = self.subject(&operation, &sample)?;
        let input = match (&sample.input, subject) {
            (Some(input), _) => input.clone(),
            (None, Subject::Action(action)) => action.sample.input.clone(),
            (None, Subject::Check(_) | Subject::Trigger(_)) => Value::Null,
        };
        let folder = tempfile::tempdir_in(scratch).map_err(anyhow::Error::new)?;
        let root = folder.path().canonicalize().map_err(anyhow::Error::new)?;
        let folders = files::set_up(&root, subject, &sample, &input)?;
        let base_url = grant::base_url(&self.manifest, &sample)?;
        let given = grant::derive(&self.manifest, subject, &sample, base_url.as_ref(), &folders)?;
        let approval = Approval {
            digest: self.plugin.digest(),
            environment: environment()?,
            grant: given,
            approved_by: "plugin test".to_owned(),
            approved_at_ms: 0,
            note: None,
        };
        let base_text = base_url.as_ref().map(|base| base.url().to_string());
        let tape = Arc::new(Tape::new(base_text, std::mem::take(&mut sample.exchanges)));
        let report = self.call(subject, &sample, &input, approval, base_url, tape.clone(), &root).await?;
        let mut wrong = judge(subject, &sample, &report);
        wrong.extend(tape.differences());
        wrong.extend(files::differences(&root, &sample));
        if !wrong.is_empty() {
            wrong.extend(denials(&report));
            wrong.extend(report.log.iter().map(|line| format!("log: {}", line.message)));
        }
        Ok(wrong)
    }

    fn subject(&self, operation: &str, sample: &Sample) -> Result<Subject<'_>, Stop> {
        let manifest = &self.manifest;
        let found = match &sample.trigger {
            _ if sample.check => manifest.connection.as_ref().and_then(|spec| spec.check.as_ref()).map(Subject::Check),
            Some(id) => manifest.trigger(id).map(Subject::Trigger),
            None => manifest.actions.iter().find(|action| action.id.as_str() == operation).map(Subject::Action),
        };
        found.ok_or_else(|| {
            let name = sample.trigger.as_ref().map_or(operation, |id| id.as_str());
            Stop::failed(model::Problem::new("sample", format!("{} has no operation {name}", manifest.id)))
        })
    }

    #[expect(clippy::too_many_arguments, reason = "each is one part of the stage that a sample is played on")]
    async fn call(
        &self,
        subject: Subject<'_>,
        sample: &Sample,
        input: &Value,
        approval: Approval,
        base_url: Option<Target>,
        tape: Arc<Tape>,
        root: &Path,
    ) -> Result<Report, Stop> {
        let connection = self.connection(subject, base_url)?;
        let authority = Authority::try_new(
            &Arc::new(ceiling(&approval.grant, root)?),
            Some(&Arc::new(approval)),
            &self.plugin.digest(),
            &environment()?,
            &self.manifest,
            subject,
            connection.as_ref(),
        );
        let authority = match authority {
            Ok(authority) => authority,
            Err(denial) => return Ok(not_made(denial.to_failure())),
        };
        let limits = authority.limits();
        let context = context(connection.as_ref(), &authority);
        // A gate of its own: what one sample's remote asked to wait is not the next one's.
        let egress = Arc::new(Egress::with_transport(EgressOptions::default(), tape));
        let session = egress.session(SessionSpec {
            digest: self.plugin.digest(),
            connection: connection.map(|facts| facts.id),
            authority,
            credential: Credential::None,
            limits,
            deadline: tokio::time::Instant::now() + Duration::from_millis(limits.wall_ms),
        });
        Ok(self.sandbox.call(&self.plugin, Call { work: work(subject, sample, input), context, limits, session }).await)
    }

    /// A sample with a base URL has a connection, and so has one that needs it.
    fn connection(&self, subject: Subject<'_>, base_url: Option<Target>) -> Result<Option<ConnectionFacts>, Stop> {
        let needed = match subject {
            Subject::Action(action) => action.connection == Need::Required,
            Subject::Check(_) => true,
            Subject::Trigger(_) => false,
        };
        let takes_none = matches!(subject, Subject::Action(action) if action.connection == Need::None);
        if takes_none || (base_url.is_none() && !needed) {
            return Ok(None);
        }
        let id: ConnectionId = SAMPLE.parse().map_err(anyhow::Error::new)?;
        Ok(Some(ConnectionFacts {
            id,
            label: SAMPLE.to_owned(),
            plugin: self.manifest.id.clone(),
            environment: environment()?,
            team: None,
            base_url,
            scopes: grant::scopes(subject),
        }))
    }
}

/// A call that the policy stopped before it began.
fn not_made(failure: Failure) -> Report {
    Report {
        outcome: Err(failure),
        accesses: Vec::new(),
        log: Vec::new(),
        sent: false,
        duration_us: 0,
        memory_bytes: 0,
    }
}

fn environment() -> Result<Environment, Stop> {
    "test".parse().map_err(|error| anyhow::Error::new(error).into())
}

fn context(connection: Option<&ConnectionFacts>, authority: &Authority) -> CallContext {
    CallContext {
        flow: Some(SAMPLE.to_owned()),
        run: Some("0".repeat(32)),
        step: Some(SAMPLE.to_owned()),
        attempt: 1,
        idempotency_key: SAMPLE.to_owned(),
        environment: "test".to_owned(),
        connection: connection.map(|facts| ContextConnection {
            label: facts.label.clone(),
            base_url: authority.base_url().map(|base| base.url().to_string()),
            scopes: facts.scopes.iter().map(ToString::to_string).collect(),
        }),
    }
}

fn work(subject: Subject<'_>, sample: &Sample, input: &Value) -> Work {
    match subject {
        Subject::Action(action) => Work::Invoke { operation: action.id.clone(), input: input.to_string() },
        Subject::Check(_) => Work::Check,
        Subject::Trigger(trigger) => Work::Receive {
            trigger: trigger.id.clone(),
            config: sample.config.clone().unwrap_or_else(|| json!({})).to_string(),
            delivery: Delivery {
                headers: sample.headers.clone().into_iter().collect(),
                query: sample.query.clone(),
                body: bytes(&sample.body),
            },
        },
    }
}

fn judge(subject: Subject<'_>, sample: &Sample, report: &Report) -> Vec<String> {
    match (&report.outcome, &sample.error) {
        (Ok(answer), None) => judge_answer(subject, sample, answer),
        (Ok(answer), Some(wanted)) => vec![format!("expected the error {wanted}, got {}", value_of(answer))],
        (Err(failure), None) => vec![failure.to_problem().to_string()],
        (Err(failure), Some(wanted)) => judge_failure(wanted, failure),
    }
}

fn judge_answer(subject: Subject<'_>, sample: &Sample, answer: &Answer) -> Vec<String> {
    let got = value_of(answer);
    let (wanted, schema) = match subject {
        Subject::Action(action) => {
            (sample.output.clone().unwrap_or_else(|| action.sample.output.clone()), Some(&action.output))
        }
        Subject::Trigger(trigger) => (json!(sample.events.clone().unwrap_or_default()), Some(&trigger.event)),
        Subject::Check(_) => (json!(sample.account), None),
    };
    let name = match subject {
        Subject::Action(_) => "output",
        Subject::Trigger(_) => "events",
        Subject::Check(_) => "account",
    };
    let mut wrong = differences(name, &wanted, &got);
    // A schema that does not compile was refused when the component was described.
    if let Some(schema) = schema.and_then(|schema| Schema::compile(schema).ok()) {
        let values: Vec<&Value> = match (&subject, &got) {
            (Subject::Trigger(_), Value::Array(events)) => events.iter().collect(),
            (_, value) => vec![value],
        };
        let breaks = values.into_iter().flat_map(|value| schema.check(value));
        wrong.extend(breaks.map(|field| format!("the manifest's schema of the {name} does not allow this: {field}")));
    }
    wrong
}

fn judge_failure(wanted: &Value, failure: &Failure) -> Vec<String> {
    let got = serde_json::to_value(failure).unwrap_or_default();
    let mut wrong = differences_of_members("error", wanted, &got);
    if !wrong.is_empty() {
        wrong.push(failure.to_problem().to_string());
    }
    wrong
}

fn value_of(answer: &Answer) -> Value {
    let parsed = |json: &String| serde_json::from_str(json).unwrap_or_default();
    match answer {
        Answer::Output(output) => parsed(output),
        Answer::Events(events) => events.iter().map(|event| parsed(&event.payload)).collect(),
        Answer::Account(account) => json!(account),
    }
}

/// What the policy refused: most often a destination that the manifest forgot.
fn denials(report: &Report) -> Vec<String> {
    let denied = report.accesses.iter().filter(|access| !access.allowed);
    denied
        .map(|access| format!("denied: {} {}{}: {}", access.method, access.target, access.path, access.rule))
        .collect()
}
