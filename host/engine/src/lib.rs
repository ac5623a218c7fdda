//! The engine: accepts events, runs flows through approved connectors, and answers
//! for what happened.
//!
//! Owns queue, retries, recovery, dead letters, and what administrators approved.
//! Refuses to know HTTP routes. Invariants: nothing is acknowledged before it is
//! durable; an effect begins only after its intent is durable; an effect that must
//! not be repeated never is; a plugin runs only by digest under a grant in force.

mod accept;
mod alarms;
mod approvals;
mod backoff;
mod backup;
mod call;
mod catalogue;
mod clock;
mod connections;
mod connectors;
mod dead;
mod depth;
mod diff;
mod drafts;
mod due;
mod duplicates;
mod engine;
mod error;
mod explain;
mod flows;
mod forms;
mod give_up;
mod handshake;
mod hooks;
mod inbox;
mod keys;
mod lifecycle;
mod listing;
mod order;
mod pace;
mod past;
mod pauses;
mod plugins;
mod poll_state;
mod polls;
mod preview;
mod queue;
mod rates;
mod reauthorise;
mod receive;
mod records;
mod redact;
mod replay;
mod run;
mod runner;
mod runs;
mod schedules;
mod seen;
mod standing;
mod state;
mod status;
mod subscriptions;
mod testing;
mod triggers;
mod verify;
mod waits;
mod workers;

pub use accept::{Accepted, RunResult};
pub use call::CallView;
pub use catalogue::BUILT_IN_WEBHOOK;
pub use clock::{Clock, SystemClock};
pub use connections::{ConnectionView, ListedConnection, NewConnection, Renewal};
pub use connectors::{Connector, Connectors, Wasm};
pub use dead::{DeadFilter, DeadPage, RefusedRun, SettledRun, Settlement, Treatment};
pub use drafts::{VersionView, Which};
pub use duplicates::Duplicates;
pub use engine::{Engine, Health, Options, Parts};
pub use error::EngineError;
pub use explain::Question;
pub use flows::{FlowState, FlowView};
pub use forms::Asked;
pub use hooks::{HookView, NewSecret, RotatedHook, Rotation};
pub use listing::{ListedRun, RunFilter, RunPage};
pub use plugins::PluginView;
pub use polls::PollView;
pub use preview::{PlannedCall, Preview};
pub use reauthorise::CredentialRefusal;
pub use records::{
    ApprovalRecord, CallRecord, Child, ConnectionRecord, DeadLetter, Decided, Decision, Origin, Paused, PluginRecord,
    Revoked, RunRecord, RunStatus, Settled, SettledAs,
};
pub use replay::{Replay, ReplayFrom, ReplayVersion};
pub use runs::RunView;
pub use sandbox::Position as PollPosition;
pub use schedules::{Note, Occasion, ScheduleView};
pub use standing::{Failed, FlowStanding, RunCount};
pub use subscriptions::{SubscriptionState, SubscriptionView};
pub use triggers::TriggerView;
pub use verify::{Incoming, Refusal, verify};
pub use waits::{Retries, WaitView};
