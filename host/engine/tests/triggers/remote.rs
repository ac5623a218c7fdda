//! A remote service and the connector that speaks with it, without a sandbox between.
//!
//! The connector keeps the contract: pages of items after a cursor, a webhook found by
//! its address. What it was asked, and how it is to fail, is in `Remote`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use engine::{Connector, Connectors, Engine, NewConnection, Wasm};
use futures_util::future::BoxFuture;
use model::{Credential, Digest, Failure, Manifest, Problem};
use policy::Grant;
use sandbox::{Answer, Call, Callback, Item, Page, Position, Report, Subscribed, Work};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::world::test;

const GRANT: &str = "version = 1\nplugin = \"remote\"\n[operations.new-item]\n[operations.item]\n";

/// What there is at the service, and what it was asked.
#[derive(Default)]
pub(crate) struct Remote {
    /// By number; each is found after the one before.
    pub(crate) items: u64,
    /// How many items a page has.
    pub(crate) page: u64,
    /// The next answers, as long as there are any.
    pub(crate) failures: VecDeque<Failure>,
    /// The cursors of all polls, in order.
    pub(crate) polls: Vec<String>,
    /// The most polls that were under way at once.
    pub(crate) at_once: (usize, usize),
    /// Whether the next webhook is made and nobody hears of it.
    pub(crate) loses_answer: bool,
    /// The webhooks that are there: handle, address.
    pub(crate) hooks: Vec<(String, String)>,
    /// What was asked about webhooks: `subscribe`, `renew`, `unsubscribe`.
    pub(crate) asked: Vec<String>,
    /// How long a webhook lives; none: for ever.
    pub(crate) life_ms: Option<u64>,
    /// The time at the service.
    pub(crate) now_ms: u64,
}

/// Shared between the connector and the test.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Remote>>);

impl Shared {
    pub(crate) fn new(page: u64) -> Self {
        let shared = Self::default();
        shared.lock().page = page;
        shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Remote> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Connectors for Shared {
    fn load(&self, _: Digest, _: Wasm) -> BoxFuture<'_, Result<Arc<dyn Connector>, Problem>> {
        let connector = self.clone();
        Box::pin(async move { Ok(Arc::new(connector) as Arc<dyn Connector>) })
    }
}

impl Connector for Shared {
    fn describe(&self) -> BoxFuture<'_, Result<Manifest, Vec<Problem>>> {
        let manifest = serde_json::from_value(manifest());
        Box::pin(async move { manifest.map_err(|error| vec![Problem::new("manifest", error.to_string())]) })
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Report> {
        Box::pin(async move {
            let outcome = self.perform(call.work).await;
            Report { outcome, accesses: Vec::new(), log: Vec::new(), sent: true, duration_us: 1, memory_bytes: 1 }
        })
    }
}

impl Shared {
    async fn perform(&self, work: Work) -> Result<Answer, Failure> {
        match work {
            Work::Poll { from, .. } => {
                self.lock().enter();
                // Others have their turn while the service thinks.
                tokio::task::yield_now().await;
                let mut remote = self.lock();
                remote.at_once.0 -= 1;
                remote.poll(from)
            }
            Work::Subscribe { callback, .. } => self.lock().subscribe(callback),
            Work::Renew { callback, handle, .. } => self.lock().renew(callback, &handle),
            Work::Unsubscribe { handle, .. } => self.lock().unsubscribe(&handle),
            Work::Invoke { .. }
            | Work::Receive { .. }
            | Work::Check
            | Work::Choices { .. }
            | Work::Fields { .. }
            | Work::Migrate { .. } => Err(Failure::Permanent { message: "nobody asks for this".to_owned() }),
        }
    }
}

impl Remote {
    fn enter(&mut self) {
        self.at_once.0 += 1;
        self.at_once.1 = self.at_once.1.max(self.at_once.0);
    }

    fn fail(&mut self) -> Result<(), Failure> {
        self.failures.pop_front().map_or(Ok(()), Err)
    }

    fn poll(&mut self, from: Position) -> Result<Answer, Failure> {
        let begin = match &from {
            Position::Now => self.items,
            Position::Beginning => 0,
            Position::After(cursor) => cursor.parse().expect("a cursor of this service"),
        };
        self.polls.push(match from {
            Position::Now => "now".to_owned(),
            Position::Beginning => "beginning".to_owned(),
            Position::After(cursor) => cursor,
        });
        self.fail()?;
        let end = (begin + self.page).min(self.items);
        // Newest first, as services do: the order is the order keys' matter.
        let items = (begin..end).rev().map(|number| Item {
            dedupe_key: format!("item-{number}"),
            order_key: format!("{number:08}"),
            payload: json!({ "number": number }).to_string(),
        });
        let items = items.collect();
        Ok(Answer::Page(Page { items, cursor: end.to_string(), more: end < self.items }))
    }

    fn subscribe(&mut self, callback: Callback) -> Result<Answer, Failure> {
        self.asked.push("subscribe".to_owned());
        assert!(callback.secret.is_some(), "this service takes a secret");
        self.fail()?;
        let handle = match self.hooks.iter().find(|(_, url)| *url == callback.url) {
            Some((handle, _)) => handle.clone(),
            None => {
                let handle = format!("hook-{}", self.asked.len());
                self.hooks.push((handle.clone(), callback.url));
                handle
            }
        };
        if std::mem::take(&mut self.loses_answer) {
            return Err(Failure::Remote { status: 502, message: "the gateway gave up".to_owned() });
        }
        Ok(Answer::Subscribed(Subscribed { handle, expires_ms: self.life_ms.map(|life_ms| self.now_ms + life_ms) }))
    }

    fn renew(&mut self, callback: Callback, handle: &str) -> Result<Answer, Failure> {
        self.asked.push("renew".to_owned());
        self.fail()?;
        let now_ms = self.now_ms;
        let Some((_, url)) = self.hooks.iter_mut().find(|(known, _)| known == handle) else {
            return Err(Failure::NotFound { message: "no such hook".to_owned() });
        };
        *url = callback.url;
        let expires_ms = self.life_ms.map(|life_ms| now_ms + life_ms);
        Ok(Answer::Subscribed(Subscribed { handle: handle.to_owned(), expires_ms }))
    }

    fn unsubscribe(&mut self, handle: &str) -> Result<Answer, Failure> {
        self.asked.push("unsubscribe".to_owned());
        self.fail()?;
        self.hooks.retain(|(known, _)| known != handle);
        Ok(Answer::Unsubscribed)
    }
}

/// Installs and approves the connector, and makes its connection.
pub(crate) async fn set_up(engine: &Engine) {
    engine.install_plugin(b"the remote's connector".to_vec(), "test").await.expect("installed");
    let grant = Grant::parse(GRANT, "grant.toml").expect("a grant");
    engine.approve_plugin("remote", grant, test(), "test", None).await.expect("approved");
    connect(engine).await;
}

pub(crate) async fn connect(engine: &Engine) {
    let new = NewConnection {
        id: "account".parse().expect("a name"),
        environment: test(),
        plugin: "remote".parse().expect("a name"),
        team: None,
        label: None,
        base_url: None,
        credential: Credential::Bearer { token: SecretString::from("a token of the account") },
        webhook_secret: Some(SecretString::from("the connection's own")),
        scopes: Vec::new(),
    };
    engine.add_connection(new, "test").await.expect("connected");
}

fn manifest() -> Value {
    let event = json!({ "type": "object", "properties": { "number": { "type": "integer" } } });
    let webhook = json!({
        "verification": { "scheme": "token", "header": "x-token" },
        "delivery_key": { "from": "header", "name": "x-id" },
    });
    json!({
        "manifest_version": 1, "id": "remote", "version": "1.0.0", "label": "Remote", "publisher": "tests",
        "license": "MIT", "support": { "owner": "tests", "contact": "tests@example.com", "policy": "none" },
        "purpose": "Stands for a service.", "data": "Numbers.",
        "connection": { "auth": [{ "scheme": "bearer", "help": "a token" }] },
        "triggers": [
            {
                "id": "new-item", "label": "New item", "help": "Fires for each item.", "kind": "poll",
                "poll": { "every_s": 300, "every_s_min": 60, "connection": "required" },
                "config": { "type": "object" }, "event": event,
                "sample": { "config": {}, "event": { "number": 1 } },
            },
            {
                "id": "item", "label": "Item", "help": "Fires when delivered.", "webhook": webhook,
                "subscription": { "destinations": [], "by_hand": "open Settings and add a webhook" },
                "config": { "type": "object" }, "event": event,
                "sample": { "config": {}, "body": {}, "event": { "number": 1 } },
            },
        ],
    })
}
