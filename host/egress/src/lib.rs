//! Egress: the one way out of the host, and the only crate naming reqwest.
//!
//! Owns the sending of requests that `policy` permits: resolving, checking and
//! pinning addresses, placing the credential, redirects, caps, timeouts, rates,
//! scrubbing, records. Refuses to know plugins' code and flows. Invariants: no byte
//! leaves without a `Permit`; every decision is on record; no connection is shared
//! across plugins, connections, environments or address policies; the credential
//! goes to its audience and is removed from everything that comes back.

mod asked;
mod body;
mod collect;
mod egress;
mod gate;
mod gunzip;
mod headers;
mod hop;
mod inflow;
mod ledger;
mod message;
mod options;
mod placement;
mod pool;
mod redirect;
mod resolve;
mod scrub;
mod send;
mod session;
mod size;
mod tls;
mod transport;
mod wire;

pub use body::Source;
pub use egress::Egress;
pub use headers::is_host_owned;
pub use inflow::{Departure, Inflow, StreamResponse};
pub use ledger::Entry;
pub use message::{Request, Response, SendError, StreamRequest};
pub use options::{EgressOptions, StartError};
pub use resolve::{Resolve, SystemResolver};
pub use session::{CallSlots, Lent, Session, SessionSpec};
pub use transport::{BodyStream, Incoming, Outgoing, Transport, TransportError};
