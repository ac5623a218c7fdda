//! Egress against real servers on the loopback interface. Servers are the judges:
//! what they did not see has not left.

mod addresses;
mod caps;
mod certificates;
mod credentials;
mod decisions;
mod encodings;
mod frames;
mod hostile;
mod injection;
mod lying;
mod pools;
mod rates;
mod redirects;
mod secure;
mod server;
mod streams;
mod times;
mod transports;
mod world;
