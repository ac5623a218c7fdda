//! One call's way out: what it may do, what it did, and what the host makes of it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use memchr::memmem;
use model::{AccessRecord, ConnectionId, Credential, Digest, Failure, Limits};
use policy::Authority;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::body::Body;
use crate::egress::Egress;
use crate::gate::{Gate, Kind, Slot};
use crate::headers;
use crate::ledger::{Entry, Ledger};
use crate::message::{Request, Response, SendError};
use crate::scrub::Scrubber;
use crate::send::{Send, Wishes, gather};
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
    /// A secret that its requests may carry beside.
    pub lent: Option<Lent>,
}

/// A secret that a connector may have written into a body, without seeing it: wherever
/// the reference is in the body of a request that may carry the credential, the host
/// writes the secret instead. What comes back is scrubbed of it.
#[derive(Debug)]
pub struct Lent {
    /// What the connector writes.
    pub reference: String,
    /// What is sent.
    pub secret: SecretString,
}

/// The way out of one call.
pub struct Session {
    pub(crate) egress: Arc<Egress>,
    pub(crate) spec: SessionSpec,
    pub(crate) ledger: Ledger,
    /// Looked up by the first request: most calls make none.
    gates: OnceLock<OwnGates>,
    scrubber: OnceLock<Scrubber>,
    open: Arc<Open>,
}

struct OwnGates {
    plugin: Arc<Gate>,
    connection: Option<Arc<Gate>>,
}

/// One's place at the connection's gate, if there is one, and at the plugin's.
type Places = (Option<Slot>, Slot);

/// Held while a request is under way.
pub(crate) struct Slots {
    /// None while its request waits for them.
    held: Option<Places>,
    open: Arc<Open>,
}

/// Held while a call is under way.
pub struct CallSlots {
    _held: Places,
}

/// The requests of one call that have slots or wait for them. Only the first one waits: of
/// two calls whose answers were read together with that of a further request, each would
/// keep the slot that the other one waits for.
#[derive(Default)]
struct Open(Mutex<OpenRequests>);

#[derive(Default)]
struct OpenRequests {
    count: u64,
    /// One waits, and has no slots yet.
    waits: bool,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, OpenRequests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.count -= 1;
        if self.held.is_none() {
            open.waits = false;
        }
    }
}

impl Session {
    pub(crate) fn new(egress: Arc<Egress>, spec: SessionSpec) -> Self {
        Self {
            egress,
            spec,
            ledger: Ledger::default(),
            gates: OnceLock::new(),
            scrubber: OnceLock::new(),
            open: Arc::default(),
        }
    }

    /// Whether a secret is lent.
    pub(crate) fn lends(&self) -> bool {
        self.spec.lent.is_some()
    }

    /// The body with the lent secret in the places of its reference.
    pub(crate) fn fill(&self, body: &Bytes) -> Bytes {
        let Some(Lent { reference, secret }) = &self.spec.lent else { return body.clone() };
        let (mut filled, mut at) = (Vec::new(), 0);
        for start in memmem::find_iter(body, reference) {
            filled.extend_from_slice(&body[at..start]);
            filled.extend_from_slice(secret.expose_secret().as_bytes());
            at = start + reference.len();
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
        let mut send = Send::new(self, request.timeout_ms, Body::Whole(request.body.clone()), Wishes::default());
        let (permit, hop) = send.start(self, &request)?;
        let headed = send.run(self, permit, hop).await?;
        gather(self, headed, &send.waits).await
    }

    /// Whether a request that sets this header is refused, whatever its value. Names in
    /// lower case.
    pub fn refuses_header(&self, name: &str) -> bool {
        headers::is_refused(name, &self.spec.credential)
    }

    /// Ends the call: no request leaves any more, bodies under way break off, and
    /// [`Self::sent`] does not change.
    pub fn close(&self) {
        self.ledger.close();
    }

    /// Whether the call is over. A body that only ends because it is was not finished.
    pub fn is_closed(&self) -> bool {
        self.ledger.is_closed()
    }

    /// How long a request was told to wait that was refused for it, in milliseconds.
    pub fn refused_for_ms(&self) -> Option<u64> {
        self.ledger.refused_for()
    }

    /// What the call may use.
    pub fn limits(&self) -> &Limits {
        &self.spec.limits
    }

    /// Adds the record of an access made elsewhere (files). A denied one counts for
    /// the verdict. Its place, for [`Self::amend`]; none when there are so many that it is
    /// only counted.
    pub fn record(&self, record: AccessRecord) -> Option<Entry> {
        self.ledger.add(record)
    }

    /// Changes a record of this session as its access goes on.
    pub fn amend(&self, entry: Entry, change: impl FnOnce(&mut AccessRecord)) {
        self.ledger.update(entry, change);
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
        let lent = self.spec.lent.as_ref().map(|lent| lent.secret.expose_secret());
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

    /// Leave of plugin and connection for one request, or why there is none and how long to
    /// wait.
    pub(crate) fn take_leave(&self) -> Result<(), (String, u64)> {
        let OwnGates { plugin, connection } = self.gates();
        let (limits, now_ms) = (&self.spec.limits, (self.egress.clock)());
        let explain = |whose: &str, gate: &Gate| match gate.closed_until(now_ms) {
            Some(_) => "the remote asked to wait".to_owned(),
            None => reached(whose, "requests_per_minute", limits.requests_per_minute),
        };
        plugin.take(limits, now_ms).map_err(|wait_ms| (explain("plugin", plugin), wait_ms))?;
        let Some(connection) = connection else { return Ok(()) };
        connection.take(limits, now_ms).map_err(|wait_ms| {
            plugin.give_back();
            (explain("connection", connection), wait_ms)
        })
    }

    /// Why there was no slot: the connection had none, or the plugin.
    pub(crate) fn why_no_slots(&self) -> String {
        let (gates, limits) = (self.gates(), &self.spec.limits);
        let is_full = gates.connection.as_ref().is_some_and(|gate| gate.is_full(Kind::Request, limits));
        let whose = if is_full { "connection" } else { "plugin" };
        reached(whose, "concurrency", limits.concurrency)
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

    /// The same for one request of the call. None: others of the call are open, and there
    /// is no room for one more now.
    pub(crate) async fn take_slots(&self) -> Option<Slots> {
        let mut slots = self.begin_request()?;
        if slots.held.is_none() {
            let places = self.enter_as(Kind::Request).await;
            slots.held = Some(places);
            slots.open.lock().waits = false;
        }
        Some(slots)
    }

    /// Slots, or the leave to wait for them.
    fn begin_request(&self) -> Option<Slots> {
        let mut open = self.open.lock();
        if open.waits {
            return None;
        }
        let held = self.try_enter();
        if held.is_none() && open.count > 0 {
            return None;
        }
        open.count += 1;
        open.waits = held.is_none();
        Some(Slots { held, open: self.open.clone() })
    }

    fn try_enter(&self) -> Option<Places> {
        let (gates, limits) = (self.gates(), &self.spec.limits);
        let connection = match &gates.connection {
            Some(gate) => Some(gate.try_enter(Kind::Request, limits)?),
            None => None,
        };
        Some((connection, gates.plugin.try_enter(Kind::Request, limits)?))
    }

    /// The connection first, so that a busy one does not keep the plugin's slots from
    /// the others.
    async fn enter_as(&self, kind: Kind) -> Places {
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

fn reached(whose: &str, which: &str, limit: u64) -> String {
    format!("the {whose} reached its limit {which} = {limit}")
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("spec", &self.spec).finish_non_exhaustive()
    }
}
