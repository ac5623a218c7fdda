//! A loaded connector: compiled, linked once, ready to be instantiated for a call.

use std::sync::Arc;

use model::Digest;
use wasmtime::component::InstancePre;

use crate::bindings::acts::ActsIndices;
use crate::bindings::checks::ChecksIndices;
use crate::bindings::describes::DescribesIndices;
use crate::bindings::discovers::DiscoversIndices;
use crate::bindings::migrates::MigratesIndices;
use crate::bindings::polls::PollsIndices;
use crate::bindings::receives::ReceivesIndices;
use crate::bindings::subscribes::SubscribesIndices;
use crate::error::LoadError;
use crate::inspect::{Exports, MANIFEST};
use crate::state::State;

/// A loaded connector. Cheap to clone; unloaded with its last clone.
#[derive(Clone)]
pub struct Plugin(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) digest: Digest,
    pub(crate) exports: Exports,
    pub(crate) pre: InstancePre<State>,
    pub(crate) describes: DescribesIndices,
    pub(crate) acts: Option<ActsIndices>,
    pub(crate) receives: Option<ReceivesIndices>,
    pub(crate) checks: Option<ChecksIndices>,
    pub(crate) polls: Option<PollsIndices>,
    pub(crate) subscribes: Option<SubscribesIndices>,
    pub(crate) discovers: Option<DiscoversIndices>,
    pub(crate) migrates: Option<MigratesIndices>,
}

impl Plugin {
    /// The digest of its component.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What it exports beside its manifest.
    pub fn exports(&self) -> Exports {
        self.0.exports
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("digest", &self.0.digest).field("exports", &self.0.exports).finish()
    }
}

impl Loaded {
    /// Finds the functions of each exported capability, once for all calls.
    pub(crate) fn try_new(digest: Digest, exports: Exports, pre: InstancePre<State>) -> Result<Self, LoadError> {
        let describes = DescribesIndices::new(&pre).map_err(wrong_shape(MANIFEST))?;
        Ok(Self {
            acts: find(exports.actions, "actions", || ActsIndices::new(&pre))?,
            receives: find(exports.webhooks, "webhooks", || ReceivesIndices::new(&pre))?,
            checks: find(exports.account, "account", || ChecksIndices::new(&pre))?,
            polls: find(exports.polling, "polling", || PollsIndices::new(&pre))?,
            subscribes: find(exports.subscriptions, "subscriptions", || SubscribesIndices::new(&pre))?,
            discovers: find(exports.discovery, "discovery", || DiscoversIndices::new(&pre))?,
            migrates: find(exports.migration, "migration", || MigratesIndices::new(&pre))?,
            digest,
            exports,
            describes,
            pre,
        })
    }
}

/// The functions of an interface that is exported.
fn find<T>(
    exported: bool,
    interface: &str,
    look: impl FnOnce() -> wasmtime::Result<T>,
) -> Result<Option<T>, LoadError> {
    exported.then(look).transpose().map_err(wrong_shape(interface))
}

pub(crate) fn wrong_shape(interface: &str) -> impl FnOnce(wasmtime::Error) -> LoadError + '_ {
    move |error| LoadError::WrongShape { interface: interface.to_owned(), reason: format!("{error:#}") }
}
