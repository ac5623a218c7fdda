//! The sandbox itself: one engine, one linker, one ticker, one code cache.
//!
//! Owns the loading of components: looked at, compiled at most once, kept, linked.

use std::io;
use std::sync::Arc;

use model::Digest;

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::offers::Offers;
use crate::cache::{CodeCache, TrustedCode};
use crate::engine::{self, Built, MEMORIES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::error::{LoadError, OpenError};
use crate::inspect::{classify, inspect};
use crate::lanes::Lanes;
use crate::loads::Loads;
use crate::options::{Options, processors};
use crate::plugin::{Loaded, Plugin};
use crate::room::Room;
use crate::state::State;
use crate::ticker::Ticker;

/// Where connectors run. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    linker: Linker<State>,
    pub(crate) ticker: Ticker,
    cache: CodeCache,
    loads: Loads,
    /// As much as the pool has.
    pub(crate) room: Room,
    /// Guests that compute at once, and the slow ones among them.
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) slow_lanes: Arc<Lanes>,
    pub(crate) options: Options,
}

/// Memories are counted in pages.
const PAGE_BYTES: u64 = 64 << 10;

impl Sandbox {
    /// Starts the engine and opens the code cache.
    ///
    /// # Errors
    /// When the engine, its thread or the cache's folder cannot be had.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let failed = |error: wasmtime::Error| OpenError::Engine(format!("{error:#}"));
        let Built { engine, calls } = engine::build(&options).map_err(failed)?;
        let linker = link(&engine).map_err(failed)?;
        let cache = CodeCache::open(&options.cache_folder, options.cache_key, &engine).map_err(|error| {
            OpenError::Cache { folder: options.cache_folder.display().to_string(), reason: error.to_string() }
        })?;
        let ticker = Ticker::start(&engine, options.tick).map_err(OpenError::Thread)?;
        Ok(Self(Arc::new(Inner {
            engine,
            linker,
            ticker,
            cache,
            loads: Loads::default(),
            room: Room::new(calls, options.waiting_max),
            lanes: Lanes::new(processors()),
            slow_lanes: Lanes::new(options.slow_lanes()),
            options,
        })))
    }

    /// Calls that may run at the same time: [`Options::calls_max`], or what the machine
    /// has address space for.
    pub fn calls_max(&self) -> u32 {
        self.0.room.calls_max()
    }

    /// Calls that could begin now.
    pub fn free_room(&self) -> usize {
        self.0.room.free()
    }

    /// Calls that wait until there is room.
    pub fn waiting(&self) -> u32 {
        self.0.room.waiting()
    }

    /// Loads a component; compiles it unless its code is in the cache. Blocks, for
    /// seconds when it compiles: call it off the async threads.
    ///
    /// # Errors
    /// When it is no connector of a version that this host knows, or too large.
    pub fn load(&self, wasm: &[u8]) -> Result<Plugin, LoadError> {
        self.0.load(Digest::of(wasm), || Ok(wasm.to_vec()))
    }

    /// Loads a component by digest: from the cache when it is there, else from the
    /// bytes that `wasm` gives, which must have that digest. Blocks like [`Self::load`].
    ///
    /// # Errors
    /// As [`Self::load`]; also when the bytes cannot be read or have another digest.
    pub fn load_cached(
        &self,
        digest: &Digest,
        wasm: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> Result<Plugin, LoadError> {
        self.0.load(*digest, || {
            let wasm = wasm().map_err(|error| LoadError::Unreadable(error.to_string()))?;
            let found = Digest::of(&wasm);
            if found == *digest { Ok(wasm) } else { Err(LoadError::WrongDigest { wanted: *digest, found }) }
        })
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Inner {
    fn load(&self, digest: Digest, wasm: impl FnOnce() -> Result<Vec<u8>, LoadError>) -> Result<Plugin, LoadError> {
        let load = || {
            let component = match self.revive_kept(&digest) {
                Some(component) => component,
                None => self.compile(&digest, &wasm()?)?,
            };
            Ok(Arc::new(self.link(digest, &component)?))
        };
        self.loads.once(digest, load).map(Plugin)
    }

    fn revive_kept(&self, digest: &Digest) -> Option<Component> {
        let code = self.cache.load(digest)?;
        revive(&self.engine, &code)
            .inspect_err(|error| {
                tracing::error!(%digest, %error, "authentic code could not be loaded: compiling again");
                self.cache.quarantine(digest);
            })
            .ok()
    }

    fn compile(&self, digest: &Digest, wasm: &[u8]) -> Result<Component, LoadError> {
        inspect(wasm, self.options.wasm_bytes_max)?;
        let code = match &self.options.compiler {
            Some(compiler) => compiler(wasm)?,
            None => compile(&self.engine, wasm)?,
        };
        let code = TrustedCode::compiled_now(code);
        let component = revive(&self.engine, &code).map_err(|error| why_not_revived(&code, &error))?;
        if let Err(error) = self.cache.store(digest, &code) {
            // The next start is slower, and nothing else.
            tracing::warn!(%digest, %error, "compiled code could not be kept");
        }
        Ok(component)
    }

    fn link(&self, digest: Digest, component: &Component) -> Result<Loaded, LoadError> {
        check_parts(component)?;
        let ty = component.component_type();
        let exports = classify(ty.exports(&self.engine).map(|(name, _)| name))?;
        let pre = self.linker.instantiate_pre(component).map_err(crate::plugin::wrong_shape("imports"))?;
        Loaded::try_new(digest, exports, pre)
    }
}

/// Compiles a component that passes the first look, for [`Options::compiler`]: the
/// child process calls this, its parent runs what it prints. Needs no pool.
///
/// # Errors
/// As [`Sandbox::load`].
pub fn precompile(wasm: &[u8], wasm_bytes_max: usize) -> Result<Vec<u8>, LoadError> {
    inspect(wasm, wasm_bytes_max)?;
    let engine = Engine::new(&engine::base()).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    compile(&engine, wasm)
}

fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    engine.precompile_component(wasm).map_err(|error| LoadError::Malformed(format!("{error:#}")))
}

/// Links everything that hosts offer, once for all components.
fn link(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    crate::wasi_http::link(&mut linker)?;
    Offers::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

#[allow(unsafe_code, reason = "the one place that turns verified bytes into code")]
fn revive(engine: &Engine, code: &TrustedCode) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` needs bytes that wasmtime itself has made. `TrustedCode`
    // is only ever made from what the compiler has just returned, or from a buffer
    // whose MAC under the host's key was verified, and which is this very buffer.
    unsafe { Component::deserialize(engine, code.as_bytes()) }
}

/// Why code that was compiled a moment ago could not be loaded. What an engine without
/// a pool takes asks for more than a slot of the pool has.
fn why_not_revived(code: &TrustedCode, error: &wasmtime::Error) -> LoadError {
    let without_pool = Engine::new(&engine::base()).and_then(|engine| revive(&engine, code));
    match without_pool.map(|component| check_parts(&component)) {
        Ok(Err(named)) => named,
        Ok(Ok(())) => LoadError::TooManyParts { what: format!("more than a call has: {error:#}") },
        Err(_) => LoadError::Compile(format!("{error:#}")),
    }
}

fn check_parts(component: &Component) -> Result<(), LoadError> {
    let Some(parts) = component.resources_required() else {
        return Err(LoadError::TooManyParts { what: "core modules that the host should bring".to_owned() });
    };
    let memory_bytes = parts.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES);
    let table_elements = parts.max_initial_table_size.unwrap_or(0);
    for (found, limit, what) in [
        (parts.num_memories.into(), MEMORIES_MAX.into(), "memories"),
        (parts.num_tables.into(), TABLES_MAX.into(), "tables"),
        (memory_bytes, MEMORY_BYTES_MAX as u64, "bytes of memory from the start"),
        (table_elements, TABLE_ELEMENTS_MAX as u64, "elements of one table from the start"),
    ] {
        if found > limit {
            return Err(LoadError::TooManyParts { what: format!("{found} {what}, more than {limit}") });
        }
    }
    Ok(())
}
