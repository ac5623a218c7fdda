//! Asks for nearly four gigabytes at once, again and again, and tells what it got.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    const PAGES: usize = 60_000;
    let granted = (0..1_000).filter(|_| core::arch::wasm32::memory_grow::<0>(PAGES) != usize::MAX).count();
    Ok(granted.to_string())
}
