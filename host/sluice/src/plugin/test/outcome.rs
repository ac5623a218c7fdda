//! One sample: from its grant to what differs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use egress::{Egress, EgressOptions, SessionSpec};
use model::{ConnectionId, Credential, Environment, Failure, Manifest, Need, OperationId, Schema, Target};
use policy::{Approval, Authority, ConnectionFacts, Subject};
use sandbox::{Answer, Call, CallContext, Callback, ContextConnection, Delivery, Position, Report, Services, Work};
use serde_json::{Value, json};

use super::compare::{differences, differences_of_members};
use super::recorded::Tape;
use super::sample::{Case, From, Sample, Step, bytes};
use super::{Bench, ceiling, files, grant};
use crate::exit::Stop;

/// As the samples' format has it: the same in every sample.
const SAMPLE: &str = "sample";

impl Bench {
    /// Runs a case; gives back what differs.
    pub(super) async fn run(&self, case: Case, scratch: &Path) -> Result<Vec<String>, Stop> {
        let Case { operation, sample, .. } = case;
        let subject = self.subject(&operation, &sample)?;
        let input = match (&sample.input, subject) {
            (Some(input), _) => input.clone(),
            (None, Subject::Action(action)) => action.sample.input.clone(),
            (
                None,
                Subject::Check(_)
                | Subject::Trigger(_)
                | Subject::Poll(..)
                | Subject::Subscription(..)
                | Subject::Discovery(_)
                | Subject::Migration(_),
            ) => sample.config.clone().unwrap_or_default(),
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
        let tape = Arc::new(Tape::new(base_text, sample.exchanges.clone()));
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

    fn subject<'a>(&'a self, operation: &str, sample: &'a Sample) -> Result<Subject<'a>, Stop> {
        find(&self.manifest, operation, sample).ok_or_else(|| {
            let name = sample.trigger.as_ref().map_or(operation, |id| id.as_str());
            let what = format!("{} has nothing that this sample could be of: {name}", self.manifest.id);
            Stop::failed(model::Problem::new("sample", what))
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
        if let Some(refused) = refused(subject, input) {
            return Ok(not_made(refused));
        }
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
            lent: None,
        });
        let services = Services::default();
        let call = Call { work: work(subject, sample, input), context, session, services };
        Ok(self.sandbox.call(&self.plugin, call).await)
    }

    /// A sample with a base URL has a connection, and so has one that needs it.
    fn connection(&self, subject: Subject<'_>, base_url: Option<Target>) -> Result<Option<ConnectionFacts>, Stop> {
        let need = subject.need();
        if need == Need::None || (base_url.is_none() && need != Need::Required) {
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

/// Why a host would not even call the connector with this input. A schema that does not
/// compile was refused when the component was described.
fn refused(subject: Subject<'_>, input: &Value) -> Option<Failure> {
    let Subject::Action(action) = subject else { return None };
    let fields = Schema::compile(&action.input).ok()?.check(input);
    (!fields.is_empty()).then_some(Failure::InvalidInput { fields })
}

/// A call that the host stopped before it began.
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

/// What a sample is of.
fn find<'a>(manifest: &'a Manifest, operation: &str, sample: &'a Sample) -> Option<Subject<'a>> {
    let discovery = || manifest.discovery.as_ref().map(Subject::Discovery);
    match &sample.trigger {
        _ if sample.check => manifest.connection.as_ref()?.check.as_ref().map(Subject::Check),
        _ if sample.choices.is_some() || sample.fields.is_some() => discovery(),
        Some(id) => {
            let trigger = manifest.trigger(id)?;
            match (&sample.poll, &sample.subscription) {
                (Some(_), _) => trigger.poll.as_ref().map(|poll| Subject::Poll(trigger, poll)),
                (None, Some(_)) => trigger.subscription.as_ref().map(|part| Subject::Subscription(trigger, part)),
                (None, None) => Some(Subject::Trigger(trigger)),
            }
        }
        None => match &sample.migrate {
            Some(id) => Some(Subject::Migration(id)),
            None => manifest.actions.iter().find(|action| action.id.as_str() == operation).map(Subject::Action),
        },
    }
}

fn work(subject: Subject<'_>, sample: &Sample, input: &Value) -> Work {
    let config = sample.config.clone().unwrap_or_else(|| json!({})).to_string();
    match subject {
        Subject::Action(action) => Work::Invoke { operation: action.id.clone(), input: input.to_string() },
        Subject::Check(_) => Work::Check,
        Subject::Trigger(trigger) => Work::Receive {
            trigger: trigger.id.clone(),
            config,
            delivery: Delivery {
                headers: sample.headers.clone().into_iter().collect(),
                query: sample.query.clone(),
                body: bytes(&sample.body),
            },
        },
        Subject::Poll(trigger, _) => Work::Poll { trigger: trigger.id.clone(), config, from: position(sample) },
        Subject::Subscription(trigger, _) => subscription(trigger.id.clone(), config, sample),
        Subject::Discovery(_) => discovery(config, sample),
        Subject::Migration(operation) => Work::Migrate {
            operation: operation.clone(),
            config,
            from_version: sample.from_version.clone().unwrap_or_else(|| "0.0.0".to_owned()),
        },
    }
}

fn position(sample: &Sample) -> Position {
    match &sample.poll {
        Some(From::Now) => Position::Now,
        Some(From::After(cursor)) => Position::After(cursor.clone()),
        Some(From::Beginning) | None => Position::Beginning,
    }
}

/// The secret is not lent: its reference stands in the recorded requests.
fn subscription(trigger: OperationId, config: String, sample: &Sample) -> Work {
    let url = sample.callback_url.clone().unwrap_or_else(|| "https://flows.example.com/hooks/sample".to_owned());
    let callback = Callback { url, secret: Some("sample-secret".to_owned()) };
    let handle = sample.handle.clone().unwrap_or_default();
    match sample.subscription {
        Some(Step::Renew) => Work::Renew { trigger, config, callback, handle },
        Some(Step::Unsubscribe) => Work::Unsubscribe { trigger, config, handle },
        Some(Step::Subscribe) | None => Work::Subscribe { trigger, config, callback },
    }
}

fn discovery(config: String, sample: &Sample) -> Work {
    match (&sample.choices, &sample.fields) {
        (None, Some(object)) => Work::Fields { object: object.clone(), config },
        (Some(field), _) => {
            Work::Choices { field: field.clone(), config, query: sample.query.clone(), page: sample.page.clone() }
        }
        (None, None) => unreachable!("a sample of discovery names a field or an object"),
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
    let (name, wanted) = wanted(subject, sample, &got);
    let mut wrong = differences(name, &wanted, &got);
    let (schema, values): (Option<&Value>, Vec<&Value>) = match (subject, &got) {
        (Subject::Action(action), value) => (Some(&action.output), vec![value]),
        (Subject::Trigger(trigger), Value::Array(events)) => (Some(&trigger.event), events.iter().collect()),
        (Subject::Poll(trigger, _), page) => {
            (Some(&trigger.event), page["items"].as_array().into_iter().flatten().collect())
        }
        (
            Subject::Check(_)
            | Subject::Trigger(_)
            | Subject::Subscription(..)
            | Subject::Discovery(_)
            | Subject::Migration(_),
            _,
        ) => (None, Vec::new()),
    };
    // A schema that does not compile was refused when the component was described.
    if let Some(schema) = schema.and_then(|schema| Schema::compile(schema).ok()) {
        let breaks = values.into_iter().flat_map(|value| schema.check(value));
        wrong.extend(breaks.map(|field| format!("the manifest's schema of the {name} does not allow this: {field}")));
    }
    wrong
}

/// What the answer is called, and what the sample says it is. A cursor is compared when
/// the sample names one: it is in the connector's own words.
fn wanted(subject: Subject<'_>, sample: &Sample, got: &Value) -> (&'static str, Value) {
    match subject {
        Subject::Action(action) => ("output", sample.output.clone().unwrap_or_else(|| action.sample.output.clone())),
        Subject::Trigger(_) => ("events", json!(sample.events.clone().unwrap_or_default())),
        Subject::Check(_) => ("account", json!(sample.account)),
        Subject::Poll(..) => {
            let cursor = sample.cursor.clone().map_or_else(|| got["cursor"].clone(), Value::String);
            (
                "page",
                json!({ "items": sample.items.clone().unwrap_or_default(), "more": sample.more, "cursor": cursor }),
            )
        }
        Subject::Subscription(..) => ("subscription", json!(sample.subscribed)),
        Subject::Discovery(_) => match &sample.choices {
            Some(_) => ("offers", json!(sample.offers)),
            None => ("schema", json!(sample.schema)),
        },
        Subject::Migration(_) => ("migrated", json!(sample.migrated)),
    }
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
        Answer::Page(page) => {
            let items: Vec<Value> = page.items.iter().map(|item| parsed(&item.payload)).collect();
            json!({ "items": items, "more": page.more, "cursor": page.cursor })
        }
        Answer::Subscribed(made) => match made.expires_ms {
            Some(expires_ms) => json!({ "handle": made.handle, "expires_ms": expires_ms }),
            None => json!({ "handle": made.handle }),
        },
        Answer::Unsubscribed => Value::Null,
        Answer::Choices(page) => json!(page),
        Answer::Fields(schema) => parsed(schema),
        Answer::Config(config) => parsed(config),
    }
}

/// What the policy refused: most often a destination that the manifest forgot.
fn denials(report: &Report) -> Vec<String> {
    let denied = report.accesses.iter().filter(|access| !access.allowed);
    denied
        .map(|access| format!("denied: {} {}{}: {}", access.method, access.target, access.path, access.rule))
        .collect()
}
