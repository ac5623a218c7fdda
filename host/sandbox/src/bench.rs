//! The reference of the benchmarks: what the same engine and pool do with the same
//! component when the host adds nothing. Not for production.

use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::bindings::acts::ActsIndices;
use crate::plugin::Plugin;
use crate::sandbox::Sandbox;
use crate::wasi_http::Http;

/// A raw loop over one component: fresh store and instance, one call, no limits, no
/// context, no log; whatever the component imports beside WASI traps.
pub struct RawLoop {
    sandbox: Sandbox,
    pre: InstancePre<Raw>,
    acts: ActsIndices,
}

struct Raw {
    wasi: Option<Box<WasiCtx>>,
    http: Option<Box<Http>>,
    table: ResourceTable,
}

impl WasiView for Raw {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.get_or_insert_with(|| Box::new(WasiCtx::default())), table: &mut self.table }
    }
}

/// Denies whatever is asked; its types have to be those of WASI.
impl WasiHttpView for Raw {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.get_or_insert_with(|| Box::new(Http::new(None))).view(&mut self.table)
    }
}

impl RawLoop {
    /// Links the component again, with nothing of ours.
    ///
    /// # Errors
    /// When it has no actions, or cannot be linked.
    pub fn new(sandbox: &Sandbox, plugin: &Plugin) -> Result<Self, String> {
        let component = plugin.0.pre.component();
        let mut linker = Linker::new(&sandbox.0.engine);
        let linked = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker))
            .and_then(|()| linker.define_unknown_imports_as_traps(component))
            .and_then(|()| linker.instantiate_pre(component))
            .and_then(|pre| Ok((ActsIndices::new(&pre)?, pre)));
        let (acts, pre) = linked.map_err(|error| format!("{error:#}"))?;
        Ok(Self { sandbox: sandbox.clone(), pre, acts })
    }

    /// One call.
    ///
    /// # Errors
    /// When the guest traps or answers an error.
    pub async fn invoke(&self, operation: &str, input: &String) -> Result<String, String> {
        let raw = Raw { wasi: None, http: None, table: ResourceTable::new() };
        let mut store = Store::new(&self.sandbox.0.engine, raw);
        // Code is compiled with epoch checks; this one never strikes.
        store.set_epoch_deadline(u64::MAX / 2);
        let returned = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let acts = self.acts.load(&mut store, &instance)?;
            acts.sluicegate_connector_actions().call_invoke(&mut store, operation, input).await
        };
        returned.await.map_err(|error| format!("{error:#}"))?.map_err(|error| format!("{error:?}"))
    }
}

impl std::fmt::Debug for RawLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawLoop")
    }
}
