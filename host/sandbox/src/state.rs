//! What the host keeps for one instance: everything of one call, nothing of another.

use std::sync::Arc;
use std::time::Instant;

use egress::Session;
use model::{Failure, Limits};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::call::CallContext;
use crate::crypto::CryptoUse;
use crate::describe::LIMITS as DESCRIBING_LIMITS;
use crate::folders::Folders;
use crate::limiter::Limiter;
use crate::meter::Meter;
use crate::services::Services;
use crate::state_calls::StateUse;
use crate::wasi::{self, SharedLog};
use crate::wasi_http::Http;

/// What the host keeps for one instance.
pub(crate) struct State {
    /// None while a connector describes itself: then every access is denied.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) context: CallContext,
    /// When the call ends, whatever it does.
    pub(crate) deadline: Instant,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Arc<Meter>,
    pub(crate) log: SharedLog,
    pub(crate) folders: Folders,
    pub(crate) clock_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// A limit that a host function has refused to exceed, a key it has denied, or a
    /// wait that it asked for. Overrides what the guest claims.
    pub(crate) refused: Option<Failure>,
    pub(crate) services: Services,
    pub(crate) state_use: StateUse,
    pub(crate) crypto_use: CryptoUse,
    wasi: Option<Box<WasiCtx>>,
    http: Option<Box<Http>>,
    table: ResourceTable,
}

impl State {
    /// The state of a call that begins now.
    pub(crate) fn new(
        session: Option<Arc<Session>>,
        services: Services,
        context: CallContext,
        (began, deadline): (Instant, Instant),
        meter: Arc<Meter>,
        clock_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Self {
        let limits = limits_of(session.as_deref());
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(limits.handles).unwrap_or(usize::MAX));
        Self {
            limiter: Limiter::new(limits),
            log: SharedLog::new(limits.log_bytes, began),
            session,
            context,
            deadline,
            meter,
            folders: Folders::default(),
            clock_ms,
            refused: None,
            services,
            state_use: StateUse::default(),
            crypto_use: CryptoUse::default(),
            wasi: None,
            http: None,
            table,
        }
    }

    /// How much the call may use.
    pub(crate) fn limits(&self) -> &Limits {
        limits_of(self.session.as_deref())
    }

    /// Remembers the first limit that a host function refused to exceed.
    pub(crate) fn refuse(&mut self, which: &str, limit: u64) {
        self.refused.get_or_insert_with(|| Failure::LimitExceeded { which: which.to_owned(), limit });
    }

    /// Ends what the guest left open: nothing of the call leaves or comes in any more,
    /// and its records are complete.
    pub(crate) fn end(&mut self) {
        if let Some(session) = &self.session {
            session.close();
        }
        drop(std::mem::take(&mut self.table));
    }
}

/// Of a call, or of a description, which has no session.
fn limits_of(session: Option<&Session>) -> &Limits {
    session.map_or(&DESCRIBING_LIMITS, Session::limits)
}

impl Drop for State {
    /// A call that is dropped ends like any other: first the session, then its streams, so
    /// that no body which breaks off here looks like a whole one.
    fn drop(&mut self) {
        self.end();
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (log, fixed) = (&self.log, self.session.is_none());
        let ctx = self.wasi.get_or_insert_with(|| Box::new(wasi::context(log, fixed)));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let session = &self.session;
        let http = self.http.get_or_insert_with(|| Box::new(Http::new(session.clone())));
        http.view(&mut self.table)
    }
}
