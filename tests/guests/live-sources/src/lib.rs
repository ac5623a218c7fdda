//! Tells both clocks and every source of chance, so that two calls can be compared.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, list};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::random::{insecure, insecure_seed, random};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    let before = monotonic_clock::now();
    monotonic_clock::subscribe_duration(2_000_000).block();
    let passed = monotonic_clock::now() - before;
    Ok(list([
        wall_clock::now().seconds.to_string(),
        passed.to_string(),
        format!("{:?}", random::get_random_bytes(16)),
        format!("{:?}", insecure::get_insecure_random_bytes(16)),
        format!("{:?}", insecure_seed::insecure_seed()),
    ]))
}
