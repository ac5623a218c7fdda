//! One call's way out: what it may do, what it did, and what the host makes of it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use model::{AccessRecord, ConnectionId, Credential, Digest, Failure, Limits};
use policy::Authority;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::egress::Egress;
use crate::gate::{Gate, Kind, Slot};
use crate::ledger::Ledger;
use crate::message::{Request, Response, SendError};
use crate::scrub::Scrubber;
use crate::send::Send;
use crate::transport::Owner;

/// What a call brings along.
#[derive(Debug)]
pub struct SessionSpec {
    /// The component that runs.
    pub digest: Digest,
    /// The connection whose credential it uses.
    pub connection: Option<ConnectionId>,
    /// What it may do.
    pub authority: Authority,
    /// Placed by the host where a permit says so.
    pub credential: Credential,
    /// Those of the call.
    pub limits: Limits,
    /// When the call ends, whatever it does.
    pub deadline: Instant,
}

/// The way out of one call. Share it in an `Arc`.
pub struct Session {
    pub(crate) egress: Arc<Egress>,
    pub(crate) spec: SessionSpec,
    pub(crate) ledger: Ledger,
    /// Looked up by the first request: most calls make none.
    gates: OnceLock<OwnGates>,
    scrubber: OnceLock<Scrubber>,
    lent: Option<Lent>,
}

/// A secret that a connector may have written into a body, without seeing it.
struct Lent {
    reference: Finder<'static>,
    secret: SecretString,
}

struct OwnGates {
    plugin: Arc<Gate>,
    connection: Option<Arc<Gate>>,
}

/// Held while a request is under way.
pub(crate) type Slots = (Option<Slot>, Slot);

/// Held while a call is under way.
pub struct CallSlots {
    _held: Slots,
}

impl Session {
    pub(crate) fn new(egress: Arc<Egress>, spec: SessionSpec) -> Self {
        Self { egress, spec, ledger: Ledger::default(), gates: OnceLock::new(), scrubber: OnceLock::new(), lent: None }
    }

    /// Lends a secret: wherever `reference` is in the body of a request that may carry
    /// the credential, the host writes the secret instead. What comes back is scrubbed
    /// of it. Before the first request.
    #[must_use]
    pub fn lending(mut self, reference: &str, secret: SecretString) -> Self {
        self.lent = Some(Lent { reference: Finder::new(reference).into_owned(), secret });
        self
    }

    /// The body with the lent secret in the places of its reference.
    pub(crate) fn fill(&self, body: &Bytes) -> Bytes {
        let Some(Lent { reference, secret }) = &self.lent else { return body.clone() };
        let (mut filled, mut at) = (Vec::new(), 0);
        for start in reference.find_iter(body) {
            filled.extend_from_slice(&body[at..start]);
            filled.extend_from_slice(secret.expose_secret().as_bytes());
            at = start + reference.needle().len();
        }
        if at == 0 {
            return body.clone();
        }
        filled.extend_from_slice(&body[at..]);
        filled.into()
    }

    /// Sends one request, follows its redirects, and gives the answer back without
    /// the credential. Every decision on the way is on record.
    ///
    /// # Errors
    /// When it is denied, over a limit, not valid, or not answered.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        Send::new(self, &request).run(&request).await
    }

    /// Adds the record of an access made elsewhere (files). A denied one counts for
    /// the verdict.
    pub fn record(&self, record: AccessRecord) {
        self.ledger.add(record);
    }

    /// Every decision so far.
    pub fn records(&self) -> Vec<AccessRecord> {
        self.ledger.records()
    }

    /// What the host denied or limited first, if anything: it overrides what the
    /// connector claims.
    pub fn verdict(&self) -> Option<Failure> {
        self.ledger.verdict()
    }

    /// Whether any byte of any request may have left.
    pub fn sent(&self) -> bool {
        self.ledger.sent()
    }

    /// What the call may do.
    pub fn authority(&self) -> &Authority {
        &self.spec.authority
    }

    /// The text without the credential: plain, base64, hexadecimal, URL-encoded or
    /// escaped as in JSON.
    pub fn scrub(&self, text: &str) -> String {
        self.scrubber().text(text).into_owned()
    }

    pub(crate) fn scrubber(&self) -> &Scrubber {
        let lent = self.lent.as_ref().map(|lent| lent.secret.expose_secret());
        self.scrubber.get_or_init(|| Scrubber::new(&self.spec.credential, lent))
    }

    pub(crate) fn owner(&self) -> Owner {
        let SessionSpec { digest, connection, authority, .. } = &self.spec;
        Owner { digest: *digest, environment: authority.environment().clone(), connection: connection.clone() }
    }

    fn gates(&self) -> &OwnGates {
        self.gates.get_or_init(|| {
            let now_ms = (self.egress.clock)();
            let SessionSpec { digest, connection, authority, .. } = &self.spec;
            // Pools and waits are never shared across environments.
            let environment = authority.environment();
            let of_connection = |connection: &ConnectionId| {
                self.egress.connection_gates.get((environment.clone(), connection.clone()), now_ms)
            };
            OwnGates {
                plugin: self.egress.plugin_gates.get((*digest, environment.clone()), now_ms),
                connection: connection.as_ref().map(of_connection),
            }
        })
    }

    /// Leave of plugin and connection for one request, or how long to wait.
    pub(crate) fn take_leave(&self) -> Result<(), u64> {
        let OwnGates { plugin, connection } = self.gates();
        let now_ms = (self.egress.clock)();
        plugin.take(&self.spec.limits, now_ms)?;
        let Some(connection) = connection else { return Ok(()) };
        connection.take(&self.spec.limits, now_ms).inspect_err(|_| plugin.give_back())
    }

    /// Counts a redirect, which needs no leave.
    pub(crate) fn charge(&self) {
        let OwnGates { plugin, connection } = self.gates();
        let now_ms = (self.egress.clock)();
        for gate in std::iter::once(plugin).chain(connection) {
            gate.charge(&self.spec.limits, now_ms);
        }
    }

    /// Waits until the call may begin: fewer calls of the connection, then of the
    /// plugin, are under way than its limit. Keep what comes back while it runs.
    pub async fn enter(&self) -> CallSlots {
        CallSlots { _held: self.enter_as(Kind::Call).await }
    }

    /// The same for one request of the call.
    pub(crate) async fn take_slots(&self) -> Slots {
        self.enter_as(Kind::Request).await
    }

    /// The connection first, so that a busy one does not keep the plugin's slots from
    /// the others.
    async fn enter_as(&self, kind: Kind) -> Slots {
        let (gates, limits) = (self.gates(), &self.spec.limits);
        let connection = match &gates.connection {
            Some(gate) => Some(gate.enter(kind, limits).await),
            None => None,
        };
        (connection, gates.plugin.enter(kind, limits).await)
    }

    /// The remote asked to wait: the connection does, or the plugin if it has none.
    pub(crate) fn close_until(&self, at_ms: u64) {
        let OwnGates { plugin, connection } = self.gates();
        connection.as_ref().unwrap_or(plugin).close_until(at_ms);
    }

    pub(crate) fn trace(&self, record: &AccessRecord) {
        let digest = tracing::field::display(self.spec.digest.to_short());
        let connection = self.spec.connection.as_ref().map(tracing::field::display);
        let AccessRecord { method, target, path, rule, address, status, error, duration_ms, .. } = record;
        if record.allowed {
            tracing::debug!(
                digest,
                connection,
                method,
                target,
                path,
                rule,
                address,
                status,
                error,
                duration_ms,
                "allowed"
            );
        } else {
            tracing::warn!(digest, connection, method, target, path, rule, address, "denied");
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("spec", &self.spec).finish_non_exhaustive()
    }
}
