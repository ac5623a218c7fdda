//! Keeps more, larger and oftener than it may, and tells how each try ended.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, list, state, unquote};

guest!(act);

/// More than any limit.
const TRIES: usize = 5_000;

fn act(input: &str) -> Result<String, Error> {
    let mut told = Vec::new();
    for index in 0..TRIES {
        let tried = match unquote(input) {
            "values" => state::set(&format!("key-{index}"), &vec![7; 60 << 10]).map(|_| ()),
            "large" => state::set("key", &vec![7; 70 << 10]).map(|_| ()),
            "writes" => state::set("key", b"x").map(|_| ()),
            "swaps" => state::compare_and_set("key", None, b"x").map(|_| ()),
            "deletes" => state::delete("key").map(|_| ()),
            "reads" => state::get("key").map(|_| ()),
            "long" => state::set(&"k".repeat(201), b"x").map(|_| ()),
            _ => state::set("", b"x").map(|_| ()),
        };
        if let Err(error) = tried {
            told.push(match error {
                state::StateError::LimitExceeded(limit) => format!("{} after {index}", limit.which),
                state::StateError::InvalidKey(_) => format!("invalid key after {index}"),
                state::StateError::Unavailable(why) => format!("unavailable: {why}"),
                state::StateError::Failed(why) => format!("failed: {why}"),
            });
            break;
        }
    }
    // Its own story is no excuse: what the host refused counts.
    if unquote(input) == "values" { Err(Error::Transient("try again".to_owned())) } else { Ok(list(told)) }
}
