//! Connections kept for reuse, never shared where permission could differ.
//!
//! One client, and so one pool, for each plugin digest, environment, connection,
//! origin and address policy. What a kept connection leads to was checked under the
//! very policy that its next request is held to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::LimitsPart;
use policy::AddressPolicy;
use rustls::ClientConfig;

use crate::options::EgressOptions;
use crate::resolve::{CheckedResolver, Resolve};
use crate::transport::{Outgoing, Owner};

/// Unused connections kept in one pool: as many as a plugin's default concurrency.
const IDLE_PER_POOL_MAX: usize = 64;
/// Header fields of one answer.
const RESPONSE_HEADERS_MAX: usize = 200;

#[derive(PartialEq, Eq, Hash)]
struct PoolKey {
    owner: Owner,
    origin: String,
    addresses: AddressPolicy,
}

#[derive(Default)]
struct Clients {
    by_key: HashMap<PoolKey, Slot>,
    uses: u64,
}

struct Slot {
    client: reqwest::Client,
    last_use: u64,
}

pub(crate) struct Pools {
    clients: Mutex<Clients>,
    options: EgressOptions,
    resolver: Arc<dyn Resolve>,
    tls: ClientConfig,
}

impl Pools {
    pub(crate) fn new(options: EgressOptions, tls: ClientConfig) -> Self {
        let resolver = Arc::clone(&options.resolver);
        Self { clients: Mutex::default(), options, resolver, tls }
    }

    /// The client for this request, made when there is none.
    pub(crate) fn client(&self, outgoing: &Outgoing) -> Result<reqwest::Client, reqwest::Error> {
        let target = outgoing.permit.target();
        let key = PoolKey {
            owner: outgoing.owner.clone(),
            origin: target.origin(),
            addresses: outgoing.permit.addresses().clone(),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.uses += 1;
        let last_use = clients.uses;
        if let Some(slot) = clients.by_key.get_mut(&key) {
            slot.last_use = last_use;
            return Ok(slot.client.clone());
        }
        if clients.by_key.len() >= self.options.pools_max.max(1) {
            clients.drop_oldest();
        }
        let client = self.build(target.port, outgoing.permit.addresses())?;
        clients.by_key.insert(key, Slot { client: client.clone(), last_use });
        Ok(client)
    }

    fn build(&self, port: u16, addresses: &AddressPolicy) -> Result<reqwest::Client, reqwest::Error> {
        // No grant gives more; what it gives less is looked at when the answer is here.
        let header_bytes_max = LimitsPart::most().response_header_bytes.and_then(|bytes| u32::try_from(bytes).ok());
        let resolver = CheckedResolver { resolver: Arc::clone(&self.resolver), addresses: addresses.clone(), port };
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(resolver)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .http2_max_header_list_size(header_bytes_max.unwrap_or(u32::MAX))
            .tcp_nodelay(true)
            .connect_timeout(self.options.connect_timeout)
            .pool_idle_timeout(self.options.keep_alive)
            .pool_max_idle_per_host(IDLE_PER_POOL_MAX)
            .build()
    }
}

impl Clients {
    /// Requests under way keep their connection; it is closed after them.
    fn drop_oldest(&mut self) {
        let oldest = self.by_key.values().map(|slot| slot.last_use).min();
        self.by_key.retain(|_, slot| Some(slot.last_use) != oldest);
    }
}
