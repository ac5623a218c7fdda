//! One call of a guest, and its neighbour's calls at the same time.

use std::sync::Arc;
use std::time::Duration;

use egress::SessionSpec;
use model::{Credential, Environment, KeyName, Manifest, parse_base_url};
use policy::{Approval, Authority, Ceiling, ConnectionFacts, Grant, Subject};
use sandbox::{Answer, Call, CallContext, Callback, Delivery, Plugin, Position, Report, Services, Work};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::services::{Keys, Shelf};
use crate::stage::{SECRET, Stage};

/// Calls that the neighbour finishes meanwhile.
pub(crate) const NEIGHBOURS_CALLS: usize = 20;

/// What is asked of the guest.
#[derive(Debug, Clone)]
enum Part {
    Action,
    Trigger,
    Check,
    Poll(Position),
    Subscribe,
    Choices,
    Fields,
    Migrate,
}

/// A call of a guest, described step by step.
#[derive(Debug, Clone)]
pub struct Act<'s> {
    stage: &'s Stage,
    guest: &'static str,
    part: Part,
    input: String,
    attempt: u32,
    limits: String,
    destinations: Vec<String>,
    named: Vec<String>,
    access: &'static str,
    connected: bool,
    services: Services,
}

impl<'s> Act<'s> {
    pub(crate) fn new(stage: &'s Stage, guest: &'static str) -> Self {
        Self {
            stage,
            guest,
            part: Part::Action,
            input: "null".to_owned(),
            attempt: 1,
            limits: String::new(),
            destinations: vec![format!("* {}/**", stage.receiver.origin())],
            named: vec![stage.receiver.authority()],
            access: "write",
            connected: false,
            services: Services::default(),
        }
    }

    /// With this JSON as input.
    #[must_use]
    pub fn input(mut self, json: impl Into<String>) -> Self {
        self.input = json.into();
        self
    }

    /// With this text as input.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.input(format!("\"{text}\""))
    }

    /// As this try.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// With these lines under `[limits]` of the grant.
    #[must_use]
    pub fn limits(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.limits);
        self
    }

    /// With a grant of these destinations.
    #[must_use]
    pub fn granted<T: Into<String>>(mut self, destinations: impl IntoIterator<Item = T>) -> Self {
        self.destinations = destinations.into_iter().map(Into::into).collect();
        self
    }

    /// With a grant and a ceiling that name another remote as well: `127.0.0.1:PORT`.
    #[must_use]
    pub fn serving(mut self, authority: &str) -> Self {
        self.destinations.push(format!("* http://{authority}/**"));
        self.named.push(authority.to_owned());
        self
    }

    /// With a grant that names no address that is not public.
    #[must_use]
    pub fn no_addresses(mut self) -> Self {
        self.named.clear();
        self
    }

    /// With a grant that opens the folder for reading alone.
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.access = "read";
        self
    }

    /// Through a connection below `/base` of the receiver, with [`SECRET`].
    #[must_use]
    pub fn connected(mut self) -> Self {
        self.connected = true;
        self
    }

    /// As a delivery for its trigger, with the input as configuration.
    #[must_use]
    pub fn delivery(mut self) -> Self {
        self.part = Part::Trigger;
        self
    }

    /// As a poll of its trigger, with the input as configuration.
    #[must_use]
    pub fn poll(mut self, from: Position) -> Self {
        self.part = Part::Poll(from);
        self
    }

    /// As the setting up of its trigger's webhook, with the input as configuration.
    #[must_use]
    pub fn subscribe(mut self) -> Self {
        self.part = Part::Subscribe;
        self.connected()
    }

    /// As a form's question, with the input as what is filled in.
    #[must_use]
    pub fn choices(mut self) -> Self {
        self.part = Part::Choices;
        self
    }

    /// As a form's question for the fields of an object.
    #[must_use]
    pub fn fields(mut self) -> Self {
        self.part = Part::Fields;
        self
    }

    /// As a migration of its action, with the input as configuration.
    #[must_use]
    pub fn migrate(mut self) -> Self {
        self.part = Part::Migrate;
        self
    }

    /// With a store of its own.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.services.state = Some(Arc::new(Shelf::default()));
        self
    }

    /// With the keys of a connection, of which its manifest asks for this one.
    #[must_use]
    pub fn keyed(mut self, asked: KeyName) -> Self {
        self.services.keys = Some(Arc::new(Keys(asked)));
        self
    }

    /// As a test of its connection.
    #[must_use]
    pub fn check(mut self) -> Self {
        self.part = Part::Check;
        self.connected()
    }

    /// Makes the call while the neighbour makes its own, all of which must succeed.
    ///
    /// # Panics
    /// When the host breaks, the neighbour's answers are wrong, or the guest may not
    /// run at all.
    pub async fn run(self) -> Report {
        let stage = self.stage;
        let hostile = self.begin_beside().await;
        let report = hostile.await.expect("the host must not panic, whatever a guest does");
        stage.act("echo").work(1, None).await;
        report
    }

    /// The same, of a call that would last much longer than the neighbour's: it must be
    /// under way when they have ended, and is dropped then.
    ///
    /// # Panics
    /// As [`Self::run`]; also when the neighbour had to wait for the call's end.
    pub async fn run_past_neighbour(self) {
        let stage = self.stage;
        let hostile = self.begin_beside().await;
        assert!(!hostile.is_finished(), "it was over before the neighbour's calls");
        hostile.abort();
        let dropped = hostile.await.expect_err("it has no end of its own");
        assert!(dropped.is_cancelled(), "the host must not panic, whatever a guest does: {dropped}");
        stage.act("echo").work(1, None).await;
    }

    /// Begins the call, and comes back when the neighbour's calls have ended.
    async fn begin_beside(self) -> JoinHandle<Report> {
        let (stage, plugin) = (self.stage, self.stage.load(self.guest));
        let manifest = self.manifest(&plugin).await;
        let call = self.call(&plugin, &manifest).expect("the guest is approved");
        let start = Arc::new(Barrier::new(2));
        let (sandbox, ready) = (stage.sandbox.clone(), start.clone());
        let hostile = tokio::spawn(async move {
            ready.wait().await;
            sandbox.call(&plugin, call).await
        });
        stage.act("echo").work(NEIGHBOURS_CALLS, Some(&start)).await;
        hostile
    }

    /// Makes the call without a neighbour beside it.
    ///
    /// # Panics
    /// When the guest may not run at all.
    pub async fn run_alone(self) -> Report {
        let plugin = self.stage.load(self.guest);
        let manifest = self.manifest(&plugin).await;
        let call = self.call(&plugin, &manifest).expect("the guest is approved");
        self.stage.sandbox.call(&plugin, call).await
    }

    /// Makes the call of another component, as if it had this guest's manifest.
    pub(crate) async fn run_as(self, plugin: &Plugin) -> Report {
        let manifest = self.manifest(&self.stage.load(self.guest)).await;
        let call = self.call(plugin, &manifest).expect("the component is approved");
        self.stage.sandbox.call(plugin, call).await
    }

    /// The code of the denial that keeps the guest from running with this approval of
    /// another component.
    ///
    /// # Panics
    /// When it may run.
    pub async fn refusal_with_approval_of(self, other: &str) -> &'static str {
        let (plugin, other) = (self.stage.load(self.guest), self.stage.load(other));
        let manifest = self.manifest(&plugin).await;
        let approval = Arc::new(Approval { digest: other.digest(), ..self.approval(&plugin, &manifest) });
        let refused = self.authority(&plugin, &manifest, &approval);
        refused.expect_err("it must not run with an approval of another component")
    }

    async fn manifest(&self, plugin: &Plugin) -> Manifest {
        self.stage.sandbox.describe(plugin).await.expect("a manifest without fault")
    }

    /// The neighbour's calls, each with a text of its own.
    pub(crate) async fn work(&self, calls: usize, start: Option<&Barrier>) {
        let plugin = self.stage.load(self.guest);
        let manifest = self.manifest(&plugin).await;
        if let Some(start) = start {
            start.wait().await;
        }
        for index in 0..calls {
            let text = format!("{{\"call\":{index}}}");
            let call = self.clone().input(text.clone()).call(&plugin, &manifest).expect("the neighbour is approved");
            let report = self.stage.sandbox.call(&plugin, call).await;
            assert_eq!(report.outcome, Ok(Answer::Output(text)), "the neighbour noticed something");
            assert!(report.log.is_empty() && report.accesses.is_empty() && !report.sent, "{report:?}");
        }
    }

    fn call(&self, plugin: &Plugin, manifest: &Manifest) -> Result<Call, &'static str> {
        let approval = Arc::new(self.approval(plugin, manifest));
        let authority = self.authority(plugin, manifest, &approval)?;
        let limits = authority.limits();
        let connection = authority.connection().cloned();
        let credential = match self.connected {
            true => Credential::Bearer { token: SECRET.into() },
            false => Credential::None,
        };
        let deadline = Instant::now() + Duration::from_millis(limits.wall_ms);
        let (digest, lent) = (plugin.digest(), None);
        let spec = SessionSpec { digest, connection, authority, credential, limits, deadline, lent };
        let session = self.stage.egress.session(spec);
        let context = CallContext { attempt: self.attempt, environment: "test".to_owned(), ..CallContext::default() };
        Ok(Call { work: self.work_of(manifest), context, session, services: self.services.clone() })
    }

    fn work_of(&self, manifest: &Manifest) -> Work {
        let input = self.input.clone();
        match &self.part {
            Part::Action => Work::Invoke { operation: manifest.actions[0].id.clone(), input },
            Part::Trigger => {
                Work::Receive { trigger: manifest.triggers[0].id.clone(), config: input, delivery: Delivery::default() }
            }
            Part::Check => Work::Check,
            Part::Poll(from) => {
                Work::Poll { trigger: manifest.triggers[0].id.clone(), config: input, from: from.clone() }
            }
            Part::Subscribe => {
                let callback = Callback {
                    url: "https://flows.example.com/hooks/x".to_owned(),
                    secret: Some("the-reference".to_owned()),
                };
                Work::Subscribe { trigger: manifest.triggers[0].id.clone(), config: input, callback }
            }
            Part::Choices => Work::Choices {
                field: "thing".parse().expect("a field's name"),
                config: input,
                query: String::new(),
                page: None,
            },
            Part::Fields => Work::Fields { object: "thing".parse().expect("an object's name"), config: input },
            Part::Migrate => Work::Migrate {
                operation: manifest.actions[0].id.clone(),
                config: input,
                from_version: "0.0.9".to_owned(),
            },
        }
    }

    fn authority(
        &self,
        plugin: &Plugin,
        manifest: &Manifest,
        approval: &Arc<Approval>,
    ) -> Result<Authority, &'static str> {
        let ceiling = Arc::new(Ceiling::parse(&self.ceiling(), "ceiling.toml").expect("a ceiling"));
        let check = manifest.connection.as_ref().and_then(|connection| connection.check.as_ref());
        let subject = match self.part {
            Part::Action => Subject::Action(&manifest.actions[0]),
            Part::Trigger => Subject::Trigger(&manifest.triggers[0]),
            Part::Check => Subject::Check(check.expect("the manifest declares a check")),
            Part::Poll(_) => {
                let trigger = &manifest.triggers[0];
                Subject::Poll(trigger, trigger.poll.as_ref().expect("the trigger is polled"))
            }
            Part::Subscribe => {
                let trigger = &manifest.triggers[0];
                Subject::Subscription(trigger, trigger.subscription.as_ref().expect("the trigger is subscribed to"))
            }
            Part::Choices | Part::Fields => {
                Subject::Discovery(manifest.discovery.as_ref().expect("the manifest declares discovery"))
            }
            Part::Migrate => Subject::Migration(&manifest.actions[0].id),
        };
        let connection = self.connected.then(|| self.connection(manifest));
        let (digest, environment) = (plugin.digest(), environment());
        let authority =
            Authority::try_new(&ceiling, Some(approval), &digest, &environment, manifest, subject, connection.as_ref());
        authority.map_err(|denial| denial.code)
    }

    fn connection(&self, manifest: &Manifest) -> ConnectionFacts {
        ConnectionFacts {
            id: "account".parse().expect("a connection's id"),
            label: "the account".to_owned(),
            plugin: manifest.id.clone(),
            environment: environment(),
            team: None,
            base_url: Some(parse_base_url(&format!("{}/base", self.stage.receiver.origin())).expect("a base URL")),
            scopes: Vec::new(),
        }
    }

    fn approval(&self, plugin: &Plugin, manifest: &Manifest) -> Approval {
        let text = self.grant(manifest);
        Approval {
            digest: plugin.digest(),
            environment: environment(),
            grant: Grant::parse(&text, "grant.toml").unwrap_or_else(|problems| panic!("{text}\n{problems:?}")),
            approved_by: "the test".to_owned(),
            approved_at_ms: 0,
            note: None,
        }
    }

    /// A ceiling that allows everything public, the remotes, and the test's folder.
    fn ceiling(&self) -> String {
        let receiver = self.stage.receiver.authority();
        let others = self.named.iter().filter(|named| **named != receiver);
        let named: Vec<&String> = std::iter::once(&receiver).chain(others).collect();
        format!(
            "version = 1\nallowed = [\"* http://*:*\", \"* https://*:*\"]\naddresses = {named:?}\nfolders = [{:?}]\n",
            self.stage.outside(),
        )
    }

    fn grant(&self, manifest: &Manifest) -> String {
        format!(
            "version = 1\nplugin = \"{}\"\naddresses = {:?}\n[operations.\"*\"]\ndestinations = {:?}\n\
             [limits]\n{}\n[folders.inbox]\npath = {:?}\naccess = \"{}\"\n",
            manifest.id,
            self.named,
            self.destinations,
            self.limits,
            self.stage.inbox(),
            self.access,
        )
    }
}

fn environment() -> Environment {
    "test".parse().expect("an environment's name")
}
