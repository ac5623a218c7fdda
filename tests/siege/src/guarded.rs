//! The host under attack: the real egress, with grants as open as they can be written.
//!
//! Every wall that is not the one under test is opened: the ceiling allows all
//! destinations, and the grant names the very host and port that the target leads to.
//! What remains is the address policy, and what no rule can mean.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use egress::{Egress, EgressOptions, Resolve, Session, SessionSpec, SystemResolver};
use model::{Credential, Digest, Environment, Limits, Manifest, parse_base_url};
use policy::{Approval, Authority, Ceiling, ConnectionFacts, Grant, Subject};
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use crate::ground::Place;
use crate::nameserver::{Book, SERVICE, address_of};
use crate::outside::Outside;

/// The component that asks, unless another one is meant.
pub(crate) const PROBE: &str = "siege";
/// What must not be seen anywhere but at its own origin.
const CREDENTIAL: &str = "a-credential-that-stays-at-home";

/// A resolver that is told, for places where the system's cannot be.
struct Told(Arc<Book>);

impl Resolve for Told {
    fn resolve(
        &self,
        host: String,
    ) -> std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static>> {
        let address = address_of(&host, self.0.is_evil());
        Box::pin(async move { Ok(vec![address]) })
    }
}

/// One host.
pub(crate) struct Guarded {
    egress: Arc<Egress>,
    ceiling: Arc<Ceiling>,
    friend: Option<SocketAddr>,
    /// The base URL of the connection, without a slash at its end.
    pub(crate) home: String,
}

/// Where the connection's service lives on these ports: special only where nothing
/// else can be had.
pub(crate) fn home(place: &Place, ports: &[u16]) -> (Option<SocketAddr>, String) {
    match place {
        Place::Namespace => (None, SERVICE.to_owned()),
        Place::Loopback { .. } => {
            let friend = SocketAddr::from(([127, 0, 0, 1], ports[0]));
            (Some(friend), friend.to_string())
        }
    }
}

impl Guarded {
    /// With the system's resolver, and this long for a connection.
    pub(crate) fn start(place: &Place, outside: &Outside, book: &Arc<Book>, connect: Duration) -> Result<Self> {
        let resolver: Arc<dyn Resolve> = match place {
            Place::Namespace => Arc::new(SystemResolver),
            Place::Loopback { .. } => Arc::new(Told(Arc::clone(book))),
        };
        let options = EgressOptions {
            resolver,
            connect_timeout: connect,
            extra_roots_pem: outside.roots_pem.clone(),
            // So that a connection stays while its case is under way.
            pools_max: 256,
            ..EgressOptions::default()
        };
        let (friend, host) = home(place, outside.ports());
        let named = friend.map(|friend| format!("\"{friend}\"")).unwrap_or_default();
        let ceiling = format!(
            "version = 1\nallowed = [\"* https://*:*\", \"* http://*:*\"]\n\
             methods = [\"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\"]\naddresses = [{named}]\n"
        );
        let ceiling = Ceiling::parse(&ceiling, "ceiling.toml").map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let egress = Egress::new(options).context("egress")?;
        Ok(Self { egress: Arc::new(egress), ceiling: Arc::new(ceiling), friend, home: format!("http://{host}") })
    }

    /// A call of this component that may do what these rules say, and reach its own service.
    pub(crate) fn session(&self, who: &str, rules: &[String]) -> Result<Arc<Session>> {
        let digest = Digest::of(who.as_bytes());
        let authority = match self.authority(&digest, rules) {
            Ok(authority) => authority,
            // A host that no rule can name is one that no grant opens.
            Err(_) => self.authority(&digest, &[])?,
        };
        Ok(self.egress.session(SessionSpec {
            digest,
            connection: Some("home".parse().context("an id")?),
            authority,
            credential: Credential::Bearer { token: CREDENTIAL.into() },
            limits: Limits { requests_per_minute: 1 << 40, concurrency: 1 << 20, ..Limits::default() },
            deadline: Instant::now() + Duration::from_secs(60),
            lent: None,
        }))
    }

    fn authority(&self, digest: &Digest, rules: &[String]) -> Result<Authority> {
        let mut rules = rules.to_vec();
        rules.push(format!("* {}", self.home));
        // A grant that says a thing twice is refused.
        rules.sort_unstable();
        rules.dedup();
        let named: Vec<String> = self.friend.iter().map(SocketAddr::to_string).collect();
        let grant = format!(
            "version = 1\nplugin = \"probe\"\naddresses = {named:?}\n[operations.go]\ndestinations = {rules:?}\n"
        );
        let grant = Grant::parse(&grant, "grant.toml").map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let environment: Environment = "test".parse().context("an environment")?;
        let approval = Arc::new(Approval {
            digest: *digest,
            environment: environment.clone(),
            grant,
            approved_by: "siege".to_owned(),
            approved_at_ms: 0,
            note: None,
        });
        let manifest = manifest(&rules)?;
        let facts = ConnectionFacts {
            id: "home".parse().context("an id")?,
            label: "Home".to_owned(),
            plugin: manifest.id.clone(),
            environment: environment.clone(),
            team: None,
            base_url: Some(parse_base_url(&self.home).map_err(|error| anyhow::anyhow!("{error}"))?),
            scopes: Vec::new(),
        };
        let subject = Subject::Action(&manifest.actions[0]);
        Authority::try_new(&self.ceiling, Some(&approval), digest, &environment, &manifest, subject, Some(&facts))
            .map_err(|denial| anyhow::anyhow!("{denial}"))
    }
}

fn manifest(rules: &[String]) -> Result<Manifest> {
    Ok(serde_json::from_value(json!({
        "manifest_version": 1, "id": "probe", "version": "1.0.0", "label": "Probe", "publisher": "Tests",
        "license": "MIT", "support": { "owner": "tests", "contact": "tests", "policy": "none" },
        "purpose": "Probes.", "data": "None.",
        "connection": { "base_url": { "help": "Where." }, "auth": [{ "scheme": "none", "help": "None." }] },
        "actions": [{
            "id": "go", "label": "Go", "help": "Goes.", "effect": "read", "idempotency": { "kind": "natural" },
            "destinations": rules, "connection": "optional",
            "input": {}, "output": {}, "sample": { "input": null, "output": null },
        }],
    }))?)
}

/// The rule that means every request to the origin of this URL.
pub(crate) fn rule(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    ["http", "https"].contains(&url.scheme()).then(|| format!("* {}://{host}{port}", url.scheme()))
}
