//! Runs into its memory limit, survives, and claims that another try would help.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest};

guest!(act);

fn act(_input: &str) -> Result<String, Error> {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            return Err(Error::Transient("try again".to_owned()));
        }
        hoard.push(piece);
    }
}
