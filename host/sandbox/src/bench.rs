//! The reference of the benchmarks: what the same engine and pool do with the same
//! component when the host adds nothing. Not for production.

use std::time::Instant;

use model::{Digest, Limits};
use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::acts::ActsIndices;
use crate::invoke::Returned;
use crate::limiter::Limiter;
use crate::outcome::{Ended, host_call_bytes, wall};
use crate::plugin::Plugin;
use crate::sandbox::Sandbox;

/// A raw loop over one component: fresh store and instance, one call, no limits, no
/// context, no log; whatever the component imports beside WASI traps.
pub struct RawLoop {
    sandbox: Sandbox,
    digest: Digest,
    pre: InstancePre<Raw>,
    acts: ActsIndices,
}

struct Raw {
    wasi: Option<Box<WasiCtx>>,
    table: ResourceTable,
    limiter: Limiter,
}

impl Raw {
    fn new(limits: &Limits) -> Self {
        Self { wasi: None, table: ResourceTable::new(), limiter: Limiter::new(limits) }
    }
}

impl WasiView for Raw {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.get_or_insert_with(|| Box::new(WasiCtx::default())), table: &mut self.table }
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
            .and_then(|()| trap_ours(&mut linker, component))
            .and_then(|()| linker.instantiate_pre(component))
            .and_then(|pre| Ok((ActsIndices::new(&pre)?, pre)));
        let (acts, pre) = linked.map_err(|error| format!("{error:#}"))?;
        Ok(Self { sandbox: sandbox.clone(), digest: plugin.digest(), pre, acts })
    }

    /// One call.
    ///
    /// # Errors
    /// When the guest traps or answers an error.
    pub async fn invoke(&self, operation: &str, input: &String) -> Result<String, String> {
        let mut store = self.store();
        answered(self.call(&mut store, operation, input).await)
    }

    /// A store and an instance, and no call.
    ///
    /// # Errors
    /// When the guest traps.
    pub async fn instantiate(&self) -> Result<(), String> {
        let mut store = self.store();
        self.pre.instantiate_async(&mut store).await.map(drop).map_err(|error| format!("{error:#}"))
    }

    /// One call under the limits of a real one: memory, bytes of host calls, processor time
    /// and wall clock.
    ///
    /// # Errors
    /// When the guest traps, answers an error, or exceeds a limit.
    pub async fn invoke_limited(&self, operation: &str, input: &String) -> Result<String, String> {
        let limits = Limits::default();
        let meter = self.sandbox.0.meter(&limits, self.digest);
        let mut store = self.store();
        store.limiter(|raw| &mut raw.limiter);
        store.set_hostcall_fuel(usize::try_from(host_call_bytes(&limits)).unwrap_or(usize::MAX));
        store.set_epoch_deadline(1);
        let ticking = meter.clone();
        store.epoch_deadline_callback(move |_| Ok(ticking.tick()));
        let deadline = Instant::now() + wall(&limits);
        match self.sandbox.0.run(deadline, meter, self.call(&mut store, operation, input)).await {
            Ended::Returned(returned) => answered(Ok(returned)),
            Ended::Trapped(error) => answered(Err(error)),
            Ended::TimedOut => Err("it took too long".to_owned()),
        }
    }

    fn store(&self) -> Store<Raw> {
        let mut store = Store::new(&self.sandbox.0.engine, Raw::new(&Limits::default()));
        // Code is compiled with epoch checks; this one never strikes.
        store.set_epoch_deadline(u64::MAX / 2);
        store
    }

    async fn call(&self, store: &mut Store<Raw>, operation: &str, input: &String) -> Returned<String> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let acts = self.acts.load(&mut *store, &instance)?;
        acts.sluicegate_connector_actions().call_invoke(store, operation, input).await
    }
}

fn answered(returned: Returned<String>) -> Result<String, String> {
    returned.map_err(|error| format!("{error:#}"))?.map_err(|error| format!("{error:?}"))
}

/// What hosts of ours offer: it is there, and traps.
fn trap_ours(linker: &mut Linker<Raw>, component: &Component) -> wasmtime::Result<()> {
    let (engine, component) = (linker.engine().clone(), component.component_type());
    for (name, import) in component.imports(&engine).filter(|(name, _)| name.starts_with("sluicegate:")) {
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        let exports = instance.exports(&engine);
        let functions =
            exports.filter_map(|(name, it)| matches!(it.ty, ComponentItem::ComponentFunc(_)).then_some(name));
        let mut offers = linker.instance(name)?;
        for function in functions {
            offers.func_new(function, |_, _, _, _| Err(wasmtime::Error::msg("a raw loop offers nothing")))?;
        }
    }
    Ok(())
}

impl std::fmt::Debug for RawLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawLoop")
    }
}
