//! Puts chance, both clocks and the time left into its manifest.
#![cfg(target_arch = "wasm32")]

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Instant, SystemTime};

use guest_common::{Error, context, describe, guest};

guest!(act, by_chance);

fn by_chance() -> String {
    let chance = RandomState::new().hash_one(1);
    let told = format!("{chance} {:?} {:?} {}", SystemTime::now(), Instant::now(), context::remaining_ms());
    describe(env!("CARGO_PKG_NAME")).replace("\"None.\"", &format!("\"{}\"", told.replace(['"', '\\'], "'")))
}

fn act(_input: &str) -> Result<String, Error> {
    Ok(RandomState::new().hash_one(1).to_string())
}
