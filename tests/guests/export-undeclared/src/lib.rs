//! Exports webhooks and an account test, and declares neither.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, account, export, guest, webhooks};

guest!(act);
export!(receives, checks);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl webhooks::Guest for Guest {
    fn receive(_: String, _: String, _: webhooks::Delivery) -> Result<Vec<webhooks::Event>, Error> {
        Ok(Vec::new())
    }
}

impl account::Guest for Guest {
    fn check() -> Result<String, Error> {
        Ok("nobody".to_owned())
    }
}
