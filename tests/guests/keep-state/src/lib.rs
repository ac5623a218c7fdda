//! Keeps a counter from one call to the next, in memory and in a manifest.
#![cfg(target_arch = "wasm32")]

use std::sync::atomic::{AtomicU32, Ordering};

use guest_common::{Error, describe, guest};

guest!(act, || describe(env!("CARGO_PKG_NAME")).replace("\"None.\"", &format!("\"{}\"", count())));

static CALLS: AtomicU32 = AtomicU32::new(0);

fn count() -> u32 {
    CALLS.fetch_add(1, Ordering::Relaxed)
}

fn act(_input: &str) -> Result<String, Error> {
    Ok(count().to_string())
}
