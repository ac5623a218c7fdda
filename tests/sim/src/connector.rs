//! The connector of every world: what a guest would do, without a guest.
//!
//! Sends through the call's own egress session, so that decisions, credentials, rates
//! and records are the real ones. Owes the engine what the sandbox owes it: the host's
//! record overrides the connector's word, and a call ends at its wall limit.

use std::sync::Arc;
use std::time::Duration;

use egress::{Request, Response, SendError, Session};
use engine::{Connector, Connectors, Wasm};
use futures_util::future::BoxFuture;
use model::{Digest, Failure, Manifest, Problem};
use sandbox::{Answer, Call, CallContext, Callback, Delivery, Event, Item, Page, Position, Report, Subscribed, Work};
use serde_json::{Value, json};

use crate::manifest;
use crate::mutant::Mutant;
use crate::world::World;

/// Loads the one connector there is.
pub(crate) struct SimConnectors(pub(crate) Option<Arc<World>>);

struct SimConnector(Option<Arc<World>>);

impl Connectors for SimConnectors {
    fn load(&self, _: Digest, _: Wasm) -> BoxFuture<'_, Result<Arc<dyn Connector>, Problem>> {
        let connector = SimConnector(self.0.clone());
        Box::pin(async move { Ok(Arc::new(connector) as Arc<dyn Connector>) })
    }
}

impl Connector for SimConnector {
    fn describe(&self) -> BoxFuture<'_, Result<Manifest, Vec<Problem>>> {
        let manifest = serde_json::from_value(manifest::manifest());
        Box::pin(async move { manifest.map_err(|error| vec![Problem::new("manifest", error.to_string())]) })
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Report> {
        Box::pin(self.perform(call))
    }
}

impl SimConnector {
    fn mutant(&self) -> Option<Mutant> {
        self.0.as_ref().and_then(|world| world.mutant)
    }

    async fn perform(&self, call: Call) -> Report {
        let Call { work, context, session, .. } = call;
        let wall_ms = session.limits().wall_ms;
        let wall = Duration::from_millis(wall_ms);
        let outcome = match tokio::time::timeout(wall, self.work(work, &context, &session)).await {
            Ok(outcome) => outcome.map_err(|failure| session.verdict().unwrap_or(failure)),
            Err(_) => Err(Failure::LimitExceeded { which: "wall_ms".to_owned(), limit: wall_ms }),
        };
        if let Some(world) = &self.0 {
            world.switch.hold().await;
        }
        let hides = self.mutant() == Some(Mutant::HiddenEffect) && outcome.is_err();
        Report {
            outcome: if hides { Err(Failure::Transient { message: "hidden".to_owned() }) } else { outcome },
            accesses: if hides { Vec::new() } else { session.records() },
            log: Vec::new(),
            sent: session.sent() && !hides,
            duration_us: 0,
            memory_bytes: 0,
        }
    }

    async fn work(&self, work: Work, context: &CallContext, session: &Session) -> Result<Answer, Failure> {
        match work {
            Work::Invoke { operation, input } => {
                let request = self.request(operation.as_str(), &input, context);
                if self.mutant() == Some(Mutant::TwoWorkers) {
                    // Whatever becomes of the first is the other worker's affair.
                    let _ = session.send(request.clone()).await;
                }
                let answer = read(session.send(request).await).map(|body| Answer::Output(body.to_string()));
                let hides = self.mutant() == Some(Mutant::HiddenFailure);
                answer.or_else(
                    |failure| if hides { Ok(Answer::Output(json!({ "n": 0 }).to_string())) } else { Err(failure) },
                )
            }
            Work::Receive { delivery, .. } => receive(&delivery),
            Work::Check => {
                let request = self.request("check", "", context);
                read(session.send(request).await).map(|_| Answer::Account("simulated".to_owned()))
            }
            Work::Poll { from, .. } => {
                let after = match from {
                    Position::Now | Position::Beginning => "0".to_owned(),
                    Position::After(cursor) => cursor,
                };
                let request = self.request("feed", &json!({ "after": after }).to_string(), context);
                read(session.send(request).await).map(|body| Answer::Page(self.page(&body)))
            }
            Work::Subscribe { callback, .. } => self.subscribe(&callback, None, context, session).await,
            Work::Renew { callback, handle, .. } => self.subscribe(&callback, Some(&handle), context, session).await,
            Work::Unsubscribe { handle, .. } => {
                if self.mutant() == Some(Mutant::LeftWebhook) {
                    return Ok(Answer::Unsubscribed);
                }
                let request = self.request("unsubscribe", &json!({ "handle": handle }).to_string(), context);
                read(session.send(request).await).map(|_| Answer::Unsubscribed)
            }
            Work::Choices { .. } | Work::Fields { .. } | Work::Migrate { .. } => {
                Err(Failure::Permanent { message: "its manifest does not declare this".to_owned() })
            }
        }
    }

    async fn subscribe(
        &self,
        callback: &Callback,
        handle: Option<&str>,
        context: &CallContext,
        session: &Session,
    ) -> Result<Answer, Failure> {
        let body = json!({ "url": callback.url, "secret": callback.secret, "handle": handle });
        let made = read(session.send(self.request("subscribe", &body.to_string(), context)).await)?;
        let handle = made["handle"].as_str().unwrap_or_default().to_owned();
        Ok(Answer::Subscribed(Subscribed { handle, expires_ms: made["expires_ms"].as_u64() }))
    }

    fn page(&self, body: &Value) -> Page {
        let name = |event: &Value| event["id"].as_str().unwrap_or_default().to_owned();
        let items = body["items"].as_array().into_iter().flatten();
        let item = |event: &Value| {
            let mut dedupe_key = name(event);
            if self.mutant() == Some(Mutant::NewItems) {
                // As if the host had forgotten which items it knows.
                dedupe_key = format!("{dedupe_key}, page {}", body["next"]);
            }
            // Of one length: what is first in the feed is first by bytes.
            Item { dedupe_key, order_key: format!("{:>8}", name(event)), payload: event.to_string() }
        };
        let cursor = body["next"].as_str().unwrap_or_default().to_owned();
        Page { items: items.map(item).collect(), cursor, more: body["more"] == true }
    }

    fn request(&self, operation: &str, input: &str, context: &CallContext) -> Request {
        let method = match operation {
            "set" => "PUT",
            "create" | "fire" | "subscribe" | "unsubscribe" => "POST",
            _ => "GET",
        };
        let mut key = context.idempotency_key.clone();
        if self.mutant() == Some(Mutant::FreshKey) {
            key = format!("{key}-{}", context.attempt);
        }
        let (flow, run) = (context.flow.clone().unwrap_or_default(), context.run.clone().unwrap_or_default());
        Request {
            method: method.to_owned(),
            url: format!("https://sim.example/{operation}"),
            headers: [("idempotency-key", key), ("x-flow", flow), ("x-run", run)]
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            body: input.to_owned().into(),
            timeout_ms: None,
        }
    }
}

fn read(answer: Result<Response, SendError>) -> Result<Value, Failure> {
    let response = answer.map_err(|error| match error {
        SendError::RateLimited { retry_after_ms, .. } => Failure::RateLimited { retry_after_ms: Some(retry_after_ms) },
        SendError::Denied(denial) => denial.to_failure(),
        SendError::LimitExceeded { which, limit } => Failure::LimitExceeded { which: which.to_owned(), limit },
        SendError::Invalid(message) => Failure::Permanent { message },
        SendError::Unreachable(message) => Failure::Transient { message },
    })?;
    match response.status {
        200 => {
            serde_json::from_slice(&response.body).map_err(|error| Failure::Permanent { message: error.to_string() })
        }
        401 => Err(Failure::AuthExpired),
        404 => Err(Failure::NotFound { message: "simulated".to_owned() }),
        429 => Err(Failure::RateLimited { retry_after_ms: retry_after_ms(&response) }),
        status => Err(Failure::Remote { status, message: "simulated".to_owned() }),
    }
}

fn retry_after_ms(response: &Response) -> Option<u64> {
    let (_, value) = response.headers.iter().find(|(name, _)| name == "retry-after")?;
    value.parse::<u64>().ok().map(|seconds| seconds * 1_000)
}

/// A delivery is a list of events.
fn receive(delivery: &Delivery) -> Result<Answer, Failure> {
    let events: Vec<Value> =
        serde_json::from_slice(&delivery.body).map_err(|error| Failure::Permanent { message: error.to_string() })?;
    let event =
        |event: &Value| Event { dedupe_key: event["id"].as_str().map(str::to_owned), payload: event.to_string() };
    Ok(Answer::Events(events.iter().map(event).collect()))
}
