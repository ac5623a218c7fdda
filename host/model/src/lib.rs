//! The domain's words: names, digests, destinations, limits, manifests, schemas, and
//! what people read when something is wrong.
//!
//! Refuses to know IO, async and clocks. Everything here is parsed once, at the edge.

mod credential;
mod destination;
mod difference;
mod digest;
mod failure;
mod host;
mod limits;
mod manifest;
mod method;
mod name;
mod path;
mod problem;
mod reach;
mod record;
mod schema;
mod verification;

pub use credential::Credential;
pub use destination::{Destination, DestinationError, Methods, Scheme, Target, TargetError};
pub use difference::{Difference, Extent, differences};
pub use digest::{Digest, DigestError};
pub use failure::{Failure, FieldProblem, Remedy};
pub use host::{Host, HostError, HostPattern};
pub use limits::{Limits, LimitsPart};
pub use manifest::{
    Action, AuthScheme, BaseUrl, Check, Choices, ConnectionSpec, CustomObject, Deprecated, Discovery, Effect,
    FileAccess, Idempotency, KeyAsked, KeyName, Manifest, Migration, Need, Operation, Poll, RateHint, Sample,
    ScopeAsked, ScopeTemplate, Subscription, Support, Trigger, TriggerKind, TriggerSample,
};
pub use method::unknown_method;
pub use name::{
    ConnectionId, Environment, FieldId, FlowId, FolderName, NameError, OperationId, OperationRef, PluginId, RunId,
    Scope, StepId, Team, nearest,
};
pub use path::{PathError, PathPattern, normalise};
pub use problem::Problem;
pub use reach::{Reach, parse_base_url};
pub use record::AccessRecord;
pub use schema::{Schema, SchemaError, type_words};
pub use verification::{DeliveryKey, Handshake, SignatureEncoding, SignatureHash, SignedTime, Verification, Webhook};
